"""How a claimed trial stands in the study: entered by hand, complete, stopped early or failed."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import TrialState

from .budget import Size
from .distributions import Values
from .goal import SCORE
from .proposals import Claim
from .study import HYPERPARAMETERS, LAST_SEEN, REASON, RETRIED_REASONS, STOPPED_EARLY, WORKER, retry, this_worker

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
