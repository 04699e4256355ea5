"""Which process trains a trial, and whether it is still alive."""

import os
import socket
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from .attributes import LAST_SEEN, NAME, REASON, RETRY_OF, WORKER
from .reasons import INTERRUPTED
from .stored_study import StoredStudy

SILENT_SECONDS = 3600.0
"""A worker on another machine counts as dead when it has not reported for this long."""


def this_worker() -> dict[str, Any]:
    """This process: its host, its process id, and when it started, since process ids are used again."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _process_start(os.getpid())}


def claim_attributes() -> dict[str, Any]:
    """The user attributes by which a running trial belongs to this process."""
    return {WORKER: this_worker(), LAST_SEEN: time.time()}


def runs_here(trial: FrozenTrial) -> bool:
    """Whether `trial` is running and belongs to this process."""
    return trial.state == TrialState.RUNNING and trial.user_attrs.get(WORKER) == this_worker()


def is_alive(trial: FrozenTrial, now: float | None = None) -> bool:
    """Whether the process that trains `trial` is still alive.

    On this machine the process is looked up. On another one it must have reported within `SILENT_SECONDS` before `now`.
    """
    worker = trial.user_attrs.get(WORKER)
    if worker is None:  # another program runs this trial
        return True
    if worker["host"] == socket.gethostname():
        return _process_start(worker["pid"]) == worker["started"] is not None
    return (time.time() if now is None else now) - trial.user_attrs.get(LAST_SEEN, 0.0) < SILENT_SECONDS


def fail_abandoned_trials(stored: StoredStudy) -> list[int]:
    """Fail the running trials whose process is gone, and enqueue each of them again, once. Returns their numbers."""
    failed: list[int] = []
    for trial in stored.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if is_alive(trial):
            continue
        try:
            stored.keep(trial.number, **{REASON: INTERRUPTED})
            stored.set_state(trial.number, TrialState.FAIL)
        except UpdateFinishedTrialError:
            continue  # another process did it first
        retry(stored.study, trial)
        failed.append(trial.number)
    return failed


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
        # The second field is a name in brackets, which may hold spaces. The rest begins with the state.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]  # a zombie process has ended
    try:  # no /proc: macOS
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it runs, under another user
    return "unknown"
