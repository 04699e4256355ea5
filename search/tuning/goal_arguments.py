"""From what a user asks of a tuner (`objective`, `pareto`, `minimize` and `reach`) to the study's goal."""

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner

from ..errors import InputError
from ..study.budget import COST_NAMES, COSTS
from ..study.directions import direction_of
from ..study.goal import BestMetric, Goal, ParetoFront, Quantity, SmallestNetwork


def metric_for(
    objective: Any, pareto: Sequence[str | keras_tuner.Objective] | None, reach: Mapping[str, float] | None
) -> Any:
    """The `objective` for KerasTuner: as it was given, else the metric of the front or of the target.

    A name, also in a list, gets its direction here where we know it: KerasTuner minimises an F1 score.

    Raises InputError for a goal without a metric, and for a second one.
    """
    if pareto is None and reach is None:
        return _directed(objective)
    if objective is not None or (pareto is not None and reach is not None):
        raise InputError("objective=, pareto= and reach= exclude each other: give one of them")
    if reach is not None:
        if not isinstance(reach, Mapping) or len(reach) != 1:
            raise InputError(f'reach={reach!r}: give one metric and its target, such as {{"val_accuracy": 0.994}}')
        return _directed(next(iter(reach)))
    assert pareto is not None
    metrics = [part for part in pareto if _name(part) not in COSTS]
    if isinstance(pareto, str) or len(pareto) < 2 or not metrics or len(set(map(_name, pareto))) < len(pareto):
        raise InputError(
            f"pareto={pareto!r}: give a list of at least two, among them a metric that the training reports; the "
            f"others may be metrics or {', '.join(COSTS)}"
        )
    return _directed(metrics[0])


def goal_for(
    objective: keras_tuner.Objective,
    pareto: Sequence[str | keras_tuner.Objective] | None,
    minimize: str | None,
    reach: Mapping[str, float] | None,
) -> Goal:
    """The goal; `objective` is what KerasTuner has made of `metric_for`. Raises InputError for what is not one."""
    metric = _metric(objective)
    if (minimize is None) != (reach is None):
        given = f"minimize={minimize!r}" if reach is None else f"reach={reach!r}"
        raise InputError(f"{given} alone is no goal: give both, what is to be small and what it has to reach")
    if minimize is not None and reach is not None:
        if minimize not in COST_NAMES:
            raise InputError(f"minimize={minimize!r}: choose one of {', '.join(COSTS)}")
        [target] = reach.values()
        if not isinstance(target, numbers.Real) or not math.isfinite(target):
            raise InputError(f"reach={reach!r}: the target has to be a number")
        return SmallestNetwork(metric, COST_NAMES[minimize], float(target))
    if pareto is not None:
        parts = [Quantity(_name(p), "min") if _name(p) in COSTS else _metric(_objective(p)) for p in pareto]
        return ParetoFront(metric, tuple(parts))
    return BestMetric(metric)


def _directed(objective: Any) -> Any:
    if isinstance(objective, list):
        return list(map(_directed, objective))
    direction = direction_of(objective) if isinstance(objective, str) else None
    return objective if direction is None else keras_tuner.Objective(objective, direction)


def _metric(objective: keras_tuner.Objective) -> Quantity:
    return Quantity(objective.name, "max" if objective.direction == "max" else "min")


def _objective(part: str | keras_tuner.Objective) -> keras_tuner.Objective:
    """A part of a front as an objective. KerasTuner knows the direction of many metrics, and its oracles tell it."""
    return keras_tuner.oracles.RandomSearchOracle(objective=_directed(part), max_trials=1).objective


def _name(part: str | keras_tuner.Objective) -> str:
    name = part if isinstance(part, str) else part.name
    return COST_NAMES.get(name, name)
