"""A trial that this process has claimed: entered by hand, complete, stopped early or failed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import optuna
from optuna.trial import TrialState

from ..study.attributes import HYPERPARAMETERS, LAST_SEEN, REASON, RETRIED_REASONS, SCORE, STOPPED_EARLY, WORKER
from ..study.budget import Size
from ..study.liveness import retry, this_worker
from .distributions import Values


@final
@dataclass(frozen=True)
class Claim:
    """A trial of the study that this process has taken on, RUNNING in the storage.

    Attributes:
        number: Optuna's number of the trial.
        values: of the active hyperparameters.
        size: what was counted; None where there is no budget and no closed form.
    """

    number: int
    storage_id: int
    values: Values
    size: Size | None


LONGEST_MESSAGE = 4000
"""Letters of a failure's message, its end, that are kept."""


def enter(study: optuna.Study, values: Values, size: Size | None) -> Claim:
    """A running trial with values that no sampler has proposed."""
    attributes: dict[str, Any] = {HYPERPARAMETERS: dict(values), WORKER: this_worker(), LAST_SEEN: time.time()}
    if size is not None:
        attributes |= vars(size)
    trial = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=attributes)
    storage_id = study._storage.create_new_trial(study._study_id, template_trial=trial)
    return Claim(study._storage.get_trial_number_from_id(storage_id), storage_id, values, size)


def complete(
    study: optuna.Study, claim: Claim, score: float, values: Sequence[float], constraints: Mapping[str, float]
) -> None:
    """The trial ran to its end with this score; `values` are those of the study."""
    _constrain(study, claim, constraints)
    study._storage.set_trial_user_attr(claim.storage_id, SCORE, score)
    study.tell(claim.number, values)


def stop_early(study: optuna.Study, claim: Claim, constraints: Mapping[str, float]) -> None:
    """The pruner stopped the trial."""
    _constrain(study, claim, constraints)
    study._storage.set_trial_user_attr(claim.storage_id, REASON, STOPPED_EARLY)
    study.tell(claim.number, state=TrialState.PRUNED)


def fail(study: optuna.Study, claim: Claim, reason: str, message: str | None = None) -> None:
    """The trial failed. One that was interrupted or ran out of time is tried again, once."""
    study._storage.set_trial_user_attr(claim.storage_id, REASON, reason)
    if message:
        study._storage.set_trial_user_attr(claim.storage_id, "message", message[-LONGEST_MESSAGE:])
    failed = study.tell(claim.number, state=TrialState.FAIL)
    if reason in RETRIED_REASONS:
        retry(study, failed)


def _constrain(study: optuna.Study, claim: Claim, constraints: Mapping[str, float]) -> None:
    if constraints:
        trial = optuna.Trial(study, claim.storage_id)
        for name, violation in constraints.items():
            trial.set_constraint(name, violation)
