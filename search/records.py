"""Trials of a study as plain values: for the table, for JSON and for whoever watches."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from .study import HYPERPARAMETERS, REASON, is_rejection, is_trained

HISTORY = "history"
"""User attribute of a trial: its metrics, epoch by epoch."""
SECONDS = "seconds"


def trial_record(trial: FrozenTrial) -> dict[str, Any]:
    """One trial by the contract of `kerastuna trials --json`.

    `value` is the objective at the last epoch, `epochs` those trained, `seconds` of training; None where not known.
    """
    attributes = trial.user_attrs
    value = trial.value if trial.state == TrialState.COMPLETE else None
    if value is None and trial.intermediate_values and not is_rejection(trial):
        value = trial.intermediate_values[max(trial.intermediate_values)]
    return {
        "number": trial.number,
        "state": trial.state.name,
        "reason": attributes.get(REASON),
        "value": finite(value),
        "params": attributes.get("params"),
        "macs": attributes.get("macs"),
        "epochs": len(attributes.get(HISTORY, ())) or len(trial.intermediate_values),
        "seconds": attributes.get(SECONDS),
        "hyperparameters": attributes.get(HYPERPARAMETERS, trial.params),
    }


def full_record(trial: FrozenTrial) -> dict[str, Any]:
    """`trial_record`, and what trackers and displays want besides: `summary`, `history`, `message`, `seed`, `name`."""
    attributes = trial.user_attrs
    return trial_record(trial) | {
        "summary": attributes.get("summary", ""),
        "history": attributes.get(HISTORY, []),
        "message": attributes.get("message"),
        "seed": attributes.get("seed"),
        "name": attributes.get("name"),
    }


def trial_records(trials: Iterable[FrozenTrial], *, trained: bool = False) -> list[dict[str, Any]]:
    """Every trial by number; with `trained` without those that were refused."""
    return [trial_record(trial) for trial in trials if not (trained and is_rejection(trial))]


def leaderboard(trials: Iterable[FrozenTrial], *, maximize: bool) -> list[FrozenTrial]:
    """The complete trials, best first; of equals the one with fewer parameters, then the earlier one."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and finite(trial.value) is not None]
    sign = -1 if maximize else 1
    return sorted(complete, key=lambda t: (sign * (t.value or 0.0), t.user_attrs.get("params") or math.inf, t.number))


def counts(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    """How many trials ended how, by the contract of `kerastuna search --json`."""
    reasons = Counter(trial.user_attrs.get(REASON) for trial in trials)
    return {
        "complete": sum(trial.state == TrialState.COMPLETE for trial in trials),
        "pruned": sum(trial.state == TrialState.PRUNED and is_trained(trial) for trial in trials),
        "failed": sum(trial.state == TrialState.FAIL for trial in trials),
        "over_budget": reasons["over_budget"],
        "infeasible": reasons["infeasible"],
        "duplicate": reasons["duplicate"],
    }


def finite(value: float | None) -> float | None:
    """`value`, or None where it is NaN or infinite, which JSON does not know."""
    return value if value is not None and math.isfinite(value) else None


def finite_metrics(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """`metrics` with None in place of NaN and infinity."""
    return {name: finite(value) for name, value in metrics.items()}
