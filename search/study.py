"""The Optuna study: where it is stored, what identifies it, what is noted about its trials, and who is alive."""

import json
import logging
import os
import socket
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .errors import StudyError
from .journal import open_journal

IDENTITY = "identity"
REASON = "reason"
HYPERPARAMETERS = "hyperparameters"
NAME = "name"
"""Of a trial that was enqueued by name, a reference network for example."""
RETRY_OF = "retry_of"
WORKER = "worker"
LAST_SEEN = "last_seen"

REJECTIONS = ("over_budget", "infeasible", "duplicate")
STOPPED_EARLY = "stopped_early"
INTERRUPTED = "interrupted"
RETRIED_REASONS = (INTERRUPTED, "timeout")
"""Of failed trials whose hyperparameters are tried again."""
SILENT_SECONDS = 3600.0
"""A worker of another machine that was not seen for so long is taken for dead; one of this machine is looked up."""


def open_storage(storage: str | Path | BaseStorage) -> BaseStorage:
    """An Optuna storage from a journal file's path, a database URL, or a storage.

    Raises StudyError when it cannot be opened, naming the package that is missing if there is one; a password in a URL
    is not shown.
    """
    if isinstance(storage, BaseStorage):
        return storage
    text = str(storage)
    if "://" in text and not text.startswith("journal://"):
        from .database import open_database  # with SQLAlchemy, which takes a while

        return open_database(text)
    path = Path(text.removeprefix("journal://"))
    try:
        return open_journal(path)
    except OSError as error:
        raise StudyError(
            f"storage {str(path)!r} cannot be opened: {error.strerror}; give a path that can be written"
        ) from error


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep to itself what Optuna tells of every study that is made."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def open_study(
    storage: BaseStorage,
    name: str,
    *,
    directions: Sequence[str],
    identity: Mapping[str, Any],
    pruner: BasePruner,
    seed: int,
    names: Sequence[str] | None = None,
) -> optuna.Study:
    """The study `name`, made when it is not there yet; `names` are those of its values, for Optuna's figures.

    Raises StudyError when it is there with another identity, naming what differs, or was made by another program.
    """
    wanted = [StudyDirection[direction.upper()] for direction in directions]
    with quiet_optuna():
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=wanted,
            load_if_exists=True,
            pruner=pruner,
            sampler=RandomSampler(seed=seed),
        )
    identity = json.loads(json.dumps(identity, default=str))
    begun = any(trial.state != TrialState.WAITING for trial in study.get_trials(deepcopy=False))
    known = study.user_attrs.get(IDENTITY)
    if known is None:
        if begun or study.directions != wanted:
            raise StudyError(f"study {name!r} exists and was not made by Kerastuna: give another name")
        study.set_user_attr(IDENTITY, identity)
        if names is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(list(names))
    elif differences := _differences(known, identity):
        raise StudyError(
            f"study {name!r} exists with another identity ({'; '.join(differences)}): give the same arguments to go on "
            "with it, or another name to start afresh"
        )
    return study


def load_study(storage: BaseStorage, name: str) -> optuna.Study:
    """The study `name`; raises StudyError, naming those there are, when there is none."""
    names = optuna.get_all_study_names(storage)
    if name not in names:
        there = ", ".join(sorted(names)) or "none yet"
        raise StudyError(f"study {name!r} does not exist; there is: {there}")
    return optuna.load_study(study_name=name, storage=storage)


def is_rejection(trial: FrozenTrial) -> bool:
    """Whether `trial` is a proposal that was refused before anything was built."""
    return trial.user_attrs.get(REASON) in REJECTIONS


def is_trained(trial: FrozenTrial) -> bool:
    """Whether `trial` ran to its end or was stopped early: what `--trials` counts."""
    return trial.state == TrialState.COMPLETE or (trial.state == TrialState.PRUNED and not is_rejection(trial))


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


def _differences(known: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    return [f"{key}: {_difference(known.get(key), value)}" for key, value in given.items() if known.get(key) != value]


def _difference(known: Any, given: Any) -> str:
    if isinstance(known, dict) and isinstance(given, dict):
        return ", ".join(_differences(dict.fromkeys(given) | known, dict.fromkeys(known) | given))
    if isinstance(known, list) and isinstance(given, list) and all(isinstance(item, dict) for item in known + given):
        one_sided = [item for item in known if item not in given] + [item for item in given if item not in known]
        names = sorted({str(item.get("name")) for item in one_sided})
        return f"other {', '.join(names)}" if names else "in another order"
    return f"{_short(known)}, now {_short(given)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def latest_study(storage: BaseStorage) -> optuna.Study:
    """The study whose trial began last; raises StudyError when there is none."""
    names = optuna.get_all_study_names(storage)
    if not names:
        raise StudyError("there is no study yet: run kerastuna search first")
    studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
    return max(studies, key=lambda study: last_begun(study.get_trials(deepcopy=False)) or datetime.min)


def last_begun(trials: Sequence[FrozenTrial]) -> datetime | None:
    """When the latest of `trials` began; None when none has."""
    return max((trial.datetime_start for trial in trials if trial.datetime_start is not None), default=None)


def delete_study(storage: BaseStorage, name: str) -> None:
    """Delete a study with all its trials; raises StudyError when there is none of that name."""
    load_study(storage, name)
    optuna.delete_study(study_name=name, storage=storage)
