"""Who works on a study, and which workers are gone."""

import os
import socket
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from .attributes import INTERRUPTED, LAST_SEEN, NAME, REASON, RETRY_OF, WORKER

SILENT_SECONDS = 3600.0
"""A worker of another machine that was not seen for so long is taken for dead; one of this machine is looked up."""


def this_worker() -> dict[str, Any]:
    """Who this process is: host, process id, and when it started (process ids are used again)."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _process_start(os.getpid())}


def is_alive(trial: FrozenTrial, now: float | None = None) -> bool:
    """Whether the worker of a running trial is still at it."""
    worker = trial.user_attrs.get(WORKER)
    if worker is None:  # asked for by another program: leave it alone
        return True
    if worker["host"] == socket.gethostname():
        return _process_start(worker["pid"]) == worker["started"] is not None
    return (time.time() if now is None else now) - trial.user_attrs.get(LAST_SEEN, 0.0) < SILENT_SECONDS


def bury_the_dead(study: optuna.Study) -> list[int]:
    """Fail the running trials whose worker is gone, and enqueue each again, once. Returns their numbers."""
    storage = study._storage
    buried: list[int] = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if is_alive(trial):
            continue
        try:
            storage.set_trial_user_attr(trial._trial_id, REASON, INTERRUPTED)
            storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        except UpdateFinishedTrialError:
            continue  # another process was faster
        retry(study, trial)
        buried.append(trial.number)
    return buried


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Enqueue the hyperparameters of an interrupted trial again, unless it was itself a second try."""
    if RETRY_OF not in trial.user_attrs:
        named = {NAME: trial.user_attrs[NAME]} if NAME in trial.user_attrs else {}
        study.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number, **named})


def _process_start(pid: int) -> str | None:
    """When process `pid` started, in the system's own terms; None when it is not running."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    else:
        fields = stat.rpartition(")")[2].split()  # from the third on: the second, a name, may hold anything
        return None if fields[0] in "ZX" else fields[19]  # a zombie has ended, and waits to be asked how
    try:  # no /proc: macOS
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "unknown"
