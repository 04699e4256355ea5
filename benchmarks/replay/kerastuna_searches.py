"""Kerastuna's own searches, replayed: its proposals, verdicts, samplers and pruners, on a course of any origin."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import optuna

from kerastuna.search.proposals.distributions import Values
from kerastuna.search.study.attributes import is_rejection
from kerastuna.search.study.events import Announcer
from kerastuna.search.tuning.settings import OracleArguments, study_settings

from .clock import Clock, Spent
from .networks import LIMITS, PARAMETERS, SPACE, is_allowed, size_at

METRIC = "val_accuracy"


def kerastuna_search(
    clock: Clock, seed: int, *, starts: bool = True, narrows: bool = True, first: Sequence[Values] = (),
    max_trials: int | None = None, **arguments: Any,
) -> int:  # fmt: skip
    """Search until the clock has no epochs left; returns the number of refused proposals.

    Args:
        starts: whether the first proposals are chosen in closed form, and later ones made to fit the budget, where the
            sampler is TPE.
        narrows: whether they are made to fit.
        first: points that are enqueued, in this order.
        max_trials: trained trials; None for no end but the clock's.
        arguments: of `OptunaOracle`, such as sampler, pruner and infeasible.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    given: OracleArguments = {"budget": LIMITS, "seed": seed, **arguments}  # type: ignore[typeddict-item]
    settings = study_settings(keras_tuner.Objective(METRIC, "max"), given)
    opened = settings.open(
        None, "replay", seed, space=PARAMETERS, declared=None, size_at=size_at, is_closed_form=starts,
        narrows=narrows, announcer=Announcer(),
    )  # fmt: skip
    study, pruner = opened.stored.study, settings.pruner_of(clock.epochs)
    study.pruner = pruner
    for values in first:
        study.enqueue_trial(PARAMETERS.encode(values)[0])
    while clock.is_running and (claim := opened.proposer.next(PARAMETERS, max_trials)) is not None:
        try:
            for epoch, value in clock.training(claim.values):
                is_last = epoch == clock.epochs
                if claim.report(epoch, {METRIC: value}, value, None if is_last else pruner):
                    clock.end()
                    claim.stop({})
                    break
                if is_last:
                    clock.end()
                    claim.complete(value, [value], {})
        except Spent:
            break
    return sum(is_rejection(trial) for trial in study.get_trials(deepcopy=False))


def references() -> Mapping[str, Values]:
    """The reference networks within the budget, by name."""
    return {name: dict(values) for name, values in SPACE.starting_points().items() if is_allowed(values)}
