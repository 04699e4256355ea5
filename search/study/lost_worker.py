"""The trials of a worker that is known to be dead: on another machine, its process cannot be looked up."""

from collections.abc import Mapping
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from .attributes import REASON, WORKER
from .reasons import INTERRUPTED
from .retries import retry
from .stored_study import StoredStudy


def fail_trials_of(stored: StoredStudy, worker: Mapping[str, Any]) -> list[int]:
    """Fail the running trials of `worker`, and enqueue each of them again. Returns their numbers.

    Args:
        stored: the study.
        worker: the process that died, as `liveness.this_worker` described it there.
    """
    failed: list[int] = []
    for trial in stored.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(WORKER) != worker:
            continue
        try:
            stored.keep(trial.number, **{REASON: INTERRUPTED})
            stored.set_state(trial.number, TrialState.FAIL)
        except UpdateFinishedTrialError:
            continue  # it has ended, or another process did it first
        retry(stored.study, trial)
        failed.append(trial.number)
    return failed
