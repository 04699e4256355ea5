"""Trials of a study as plain values, for tables, JSON and observers."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from ...spaces.cost import Cost
from .attributes import CONTINUED_AFTER, HISTORY, HYPERPARAMETERS, LIMITS, REASON, SECONDS, is_rejection, is_trained
from .budget import COSTS
from .goal import goal_of, score_of
from .reasons import ERROR, REJECTIONS
from .studies import last_begun


def trial_record(trial: FrozenTrial) -> dict[str, Any]:
    """One trial by the contract of `kerastuna trials --json`.

    `value` is the metric at the last epoch, `epochs` those trained, `seconds` of training, `limits` those that the
    network breaks; None where not known.
    """
    attributes = trial.user_attrs
    value = score_of(trial) if trial.state == TrialState.COMPLETE else None
    if value is None and not is_rejection(trial) and (epochs := own_values(trial)):
        value = epochs[-1][1]
    return {
        "number": trial.number,
        "state": trial.state.name,
        "reason": attributes.get(REASON),
        "value": finite(value),
        **{name: attributes.get(name) for name in COSTS},
        "limits": attributes.get(LIMITS),
        "epochs": len(attributes.get(HISTORY, ())) or len(trial.intermediate_values),
        "seconds": attributes.get(SECONDS),
        "hyperparameters": attributes.get(HYPERPARAMETERS, trial.params),
    }


def own_values(trial: FrozenTrial) -> list[tuple[int, float]]:
    """The epochs that reported a value, with it, in their order.

    A trial that was tried again by the same process has in the study also what it reported before, of later epochs.
    """
    last = len(trial.user_attrs.get(HISTORY, ())) or math.inf
    return sorted(reported for reported in trial.intermediate_values.items() if reported[0] <= last)


def full_record(trial: FrozenTrial) -> dict[str, Any]:
    """`trial_record`, and what trackers and displays want besides.

    These are `summary`, `history`, `message`, `seed`, `name`, and `continued_after`: the epochs that an interrupted
    trial had trained before, None where all are its own.
    """
    attributes = trial.user_attrs
    return trial_record(trial) | {
        "summary": attributes.get("summary", ""),
        "history": attributes.get(HISTORY, []),
        "message": attributes.get("message"),
        "seed": attributes.get("seed"),
        "name": attributes.get("name"),
        "continued_after": attributes.get(CONTINUED_AFTER),
    }


def trial_records(trials: Iterable[FrozenTrial], *, trained: bool = False) -> list[dict[str, Any]]:
    """Every trial by number; with `trained` without those that were refused."""
    return [trial_record(trial) for trial in trials if not (trained and is_rejection(trial))]


def study_rows(storage: BaseStorage) -> list[dict[str, Any]]:
    """A row for every study, by name: trained, refused and failed trials, the best value, when the last trial began.

    There is no best value where there are several objectives.
    """
    rows: list[dict[str, Any]] = []
    for name in sorted(optuna.get_all_study_names(storage)):
        study = optuna.load_study(study_name=name, storage=storage)
        trials = study.get_trials(deepcopy=False)
        goal, begun = goal_of(study), last_begun(trials)
        best = None if len(goal.quantities) > 1 else next((trial.value for trial in goal.results(trials)), None)
        rows.append(
            {
                "name": name,
                "trained": sum(map(is_trained, trials)),
                "refused": sum(map(is_rejection, trials)),
                "failed": sum(trial.state == TrialState.FAIL for trial in trials),
                "best": int(best) if best is not None and goal.costs else best,
                "last_trial": None if begun is None else begun.isoformat(sep=" ", timespec="seconds"),
            }
        )
    return rows


def counts(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    """How many trials ended how, by the contract of `kerastuna search --json`."""
    reasons = Counter(trial.user_attrs.get(REASON) for trial in trials)
    return {
        "complete": sum(trial.state == TrialState.COMPLETE for trial in trials),
        "pruned": sum(trial.state == TrialState.PRUNED and is_trained(trial) for trial in trials),
        "failed": sum(trial.state == TrialState.FAIL for trial in trials),
        **{reason: reasons[reason] for reason in REJECTIONS},
    }


def failure_counts(trials: Iterable[FrozenTrial]) -> dict[str, int]:
    """How many trials failed, by their reason: most first, then by name. Interrupted ones are among them."""
    failed = (trial for trial in trials if trial.state == TrialState.FAIL)
    reasons = Counter(trial.user_attrs.get(REASON, ERROR) for trial in failed)
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def finite(value: float | None) -> float | None:
    """`value`, or None where it is NaN or infinite, which JSON does not know."""
    return value if value is not None and math.isfinite(value) else None


def finite_metrics(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """`metrics` with None in place of NaN and infinity."""
    return {name: finite(value) for name, value in metrics.items()}


def description(name: str, cost: Cost) -> dict[str, Any]:
    """By the contract of `kerastuna describe --json`."""
    return {
        "name": name,
        "params": {"total": cost.params, "trainable": cost.trainable, "non_trainable": cost.non_trainable},
        "macs": cost.macs,
        "peak_activation_bytes": cost.peak_activation_bytes,
        "receptive_field": cost.receptive_field,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "output_shape": list(layer.output_shape),
                "params": layer.params,
                "macs": layer.macs,
                "receptive_field": layer.receptive_field,
            }
            for layer in cost.layers
        ],
    }
