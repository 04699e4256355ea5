"""Which process trains a trial, and whether it is still alive."""

import errno
import functools
import os
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, final

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from .attributes import DIED, LAST_SEEN, MESSAGE, REASON, WORKER, is_enqueued
from .heartbeat import HEARTBEAT_SECONDS
from .reasons import INTERRUPTED, PROCESS_DIED
from .retries import MOST_DEATHS, deaths_before, retry
from .stored_study import StoredStudy
from .waiting import outage

SILENT_SECONDS = 300.0
"""A worker that cannot be looked up counts as dead when nothing was heard of it while it was watched for this long."""
WATCHED_SECONDS = 2 * HEARTBEAT_SECONDS
"""One of another machine whose last report looks old is watched for so long: its clock may be behind this one."""
BETWEEN_TRIALS_SECONDS = 10.0
"""A process that ended a trial so long ago, and still runs, is taken to be about to begin the next one."""
LONG_AGO_SECONDS = 24 * 3600.0
"""One of another machine counts as dead at once when it reported this long ago. No wrong time zone makes so much."""


_parent: dict[str, Any] | None = None


def note_parent() -> None:
    """Take note that the process that started this one looks after it: then it is told if this one dies by itself."""
    global _parent
    pid, started = os.getppid(), None
    with suppress(PermissionError):  # one that cannot be looked up tells nobody of a death
        started = _process_start(pid)
    _parent = {"pid": pid, "started": started}


def this_worker() -> dict[str, Any]:
    """This process: its host, its process id, and when it started, since process ids are used again.

    `boot` tells apart machines and containers that have the same name; None where the system has no such mark.
    `parent`, where it was noted, is the process that looks after this one.
    """
    pid = os.getpid()
    own = {"host": socket.gethostname(), "pid": pid, "started": _process_start(pid), "boot": _boot()}
    return own if _parent is None else {**own, "parent": _parent}


def claim_attributes() -> dict[str, Any]:
    """The user attributes by which a running trial belongs to this process."""
    return {WORKER: this_worker(), LAST_SEEN: time.time()}


def runs_here(trial: FrozenTrial) -> bool:
    """Whether `trial` is running and belongs to this process."""
    return trial.state == TrialState.RUNNING and trial.user_attrs.get(WORKER) == this_worker()


def is_foreign(trial: FrozenTrial) -> bool:
    """Whether another program runs `trial`, which does not say whether it is alive.

    A process of ours that was killed while it took an enqueued trial may have left it without its name: such a trial
    has no parameters yet. Another program gives them when it begins.
    """
    only_taken = is_enqueued(trial) and not trial.params
    return WORKER not in trial.user_attrs and not only_taken


def is_running_worker(worker: dict[str, Any]) -> bool | None:
    """Whether this process is running on this machine; None when only its reports can tell.

    These are processes of other machines and containers, those from before the last start of this machine, those of
    other users where the system hides them, and those that are stopped, which may go on at any time.
    """
    if worker["host"] != socket.gethostname() or worker.get("boot") not in (None, _boot()):
        return None
    try:
        if _process_start(worker["pid"]) != worker["started"] or worker["started"] is None:
            return False
        return None if _process_fields(worker["pid"])[:1] == ["T"] else True
    except PermissionError:
        return None


@final
@dataclass(frozen=True)
class _Heard:
    """The last report of a process, when it was first seen here, and whether it came while the process was watched."""

    last_seen: float | None
    since: float
    is_new: bool


@final
class Watch:
    """Looks after the running trials of a study: whose process is gone?

    On this machine the process is looked up. Where that tells nothing, its reports decide:

    - Since the same start of this machine there is one clock: it is dead when its last report is `SILENT_SECONDS` old.
    - The clock of another machine may be wrong, by hours where a time zone is. It is dead when it did not report while
      it was watched, by the clock of this process, for `SILENT_SECONDS`; or for `WATCHED_SECONDS` if it never did, and
      its last report is `SILENT_SECONDS` old by then. At the first look it is alive, unless that is `LONG_AGO_SECONDS`
      old: so it is for a command that looks once.

    Nobody can report while the storage does not answer: the watch begins anew after that.
    """

    def __init__(self) -> None:
        self._outages = outage.count
        self._heard: dict[Any, _Heard] = {}

    def is_abandoned(self, trial: FrozenTrial, now: float | None = None) -> bool:
        """Whether nobody trains the running `trial` any more; `now` is on the clock of `time.monotonic`."""
        if is_foreign(trial):
            return False
        return self.is_dead(trial.number, trial.user_attrs.get(WORKER), trial.user_attrs.get(LAST_SEEN), now)

    def is_dead(
        self, key: Any, worker: dict[str, Any] | None, last_seen: float | None, now: float | None = None
    ) -> bool:
        """Whether a process is gone.

        Args:
            key: by which it is known again at the next look.
            worker: as `this_worker` described it there; None where it left no name.
            last_seen: when it reported, in seconds since 1970.
            now: on the clock of `time.monotonic`.
        """
        if worker is not None and (running := is_running_worker(worker)) is not None:
            return not running
        if self._outages != outage.count:
            self._outages = outage.count
            self._heard.clear()
        age = 0.0  # of the last report, by the clocks of both
        if last_seen is not None and not outage.ended_within(SILENT_SECONDS):
            age = time.time() - last_seen
        if age >= (SILENT_SECONDS if _has_this_clock(worker) else LONG_AGO_SECONDS):
            return True
        now = time.monotonic() if now is None else now
        heard = self._heard.get(key)
        if heard is None or heard.last_seen != last_seen:
            heard = self._heard[key] = _Heard(last_seen, now, is_new=heard is not None)
        silent = now - heard.since
        return silent >= SILENT_SECONDS or (silent >= WATCHED_SECONDS and age >= SILENT_SECONDS and not heard.is_new)


def hosts_at_work(study: optuna.Study) -> list[tuple[str, float | None]]:
    """For each process that may work on `study` just now: its host, and when it reported, in seconds since 1970.

    It trains a trial, or has ended one a moment ago and still runs. The host is "another program" where that did not
    leave its name, and the time is None where it is not known. A search that confirms is not seen. This looks once: one
    of another machine is at work until its last report is `LONG_AGO_SECONDS` old, see `Watch`.
    """
    watch = Watch()
    trials = study.get_trials(deepcopy=False)
    at_work = [trial for trial in trials if trial.state == TrialState.RUNNING and not watch.is_abandoned(trial)]
    known = [trial.user_attrs.get(WORKER) for trial in at_work]
    since = datetime.now() - timedelta(seconds=BETWEEN_TRIALS_SECONDS)
    for trial in trials:
        worker: Any = trial.user_attrs.get(WORKER)
        has_just_ended = trial.datetime_complete is not None and trial.datetime_complete >= since
        is_other = worker not in (None, *known, this_worker())
        if has_just_ended and is_other and is_running_worker(worker):
            at_work.append(trial)
            known.append(worker)
    return [
        (trial.user_attrs.get(WORKER, {}).get("host", "another program"), trial.user_attrs.get(LAST_SEEN))
        for trial in at_work
    ]


def fail_abandoned_trials(
    stored: StoredStudy,
    watch: Watch | None = None,
    running: Iterable[FrozenTrial] | None = None,
    *,
    was_ended: bool = False,
) -> list[int]:
    """Fail the running trials whose process is gone, and enqueue each of them again. Returns their numbers.

    Args:
        stored: the study.
        watch: what is known of them from earlier looks.
        running: the running trials; None to read them.
        was_ended: whether this process has ended its workers itself: no death of theirs is held against a trial.
    """
    watch = watch or Watch()
    abandoned = filter(watch.is_abandoned, _running(stored) if running is None else running)
    return _fail(stored, abandoned, may_blame=not was_ended)


def fail_trials_of(
    stored: StoredStudy, worker: Mapping[str, Any], *, but: Collection[int] = (), was_ended: bool = False
) -> list[int]:
    """Fail the running trials that a `worker` trains no more, wherever it was; else as above.

    Args:
        stored: the study.
        worker: the process, as `this_worker` described it there.
        but: numbers of trials that it still trains.
        was_ended: whether it did not die by itself: no trial is to blame.
    """
    left = [trial for trial in _running(stored) if trial.user_attrs.get(WORKER) == worker and trial.number not in but]
    return _fail(stored, left, may_blame=not was_ended)


def _running(stored: StoredStudy) -> list[FrozenTrial]:
    return stored.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def fail_trial(stored: StoredStudy, number: int, reason: str, message: str = "", *, died: bool = False) -> bool:
    """Fail a running trial of any process; returns False where it has ended before."""
    told = {REASON: reason, **({MESSAGE: message} if message else {}), **({DIED: True} if died else {})}
    try:
        stored.keep(number, **told)
        stored.set_state(number, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
    return True


def _fail(stored: StoredStudy, trials: Iterable[FrozenTrial], *, may_blame: bool = True) -> list[int]:
    failed: list[int] = []
    for trial in trials:
        died = may_blame and _died_by_itself(trial)
        if died and deaths_before(stored.study, trial) + 1 >= MOST_DEATHS:
            if fail_trial(stored, trial.number, PROCESS_DIED, f"its process died {MOST_DEATHS} times", died=True):
                failed.append(trial.number)
        elif fail_trial(stored, trial.number, INTERRUPTED, died=died):
            retry(stored.study, stored.trial(trial.number))
            failed.append(trial.number)
    return failed


def _died_by_itself(trial: FrozenTrial) -> bool:
    """Whether the process of `trial`, which is gone, was looked after by one that still runs on this machine."""
    worker = trial.user_attrs.get(WORKER) or {}
    parent = worker.get("parent")
    return parent is not None and is_running_worker({**worker, **parent}) is True


def _has_this_clock(worker: Mapping[str, Any] | None) -> bool:
    """Whether a worker is of this machine, since its last start. A name tells nothing: copied machines share theirs."""
    boot, own = (worker or {}).get("boot"), _boot()
    return boot is not None and own is not None and boot.split()[0] == own.split()[0]


@functools.cache
def _boot() -> str | None:
    """This start of this machine, and the namespace of its process ids, which a container has of its own."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no /proc: macOS
        return None


def _process_fields(pid: int) -> list[str]:
    """What Linux tells of process `pid`, from its state on; empty when it is not running, or this is not Linux.

    Raises PermissionError when it runs and the system hides it, as processes of other users where `/proc` is mounted
    with `hidepid`.
    """
    try:  # Linux cuts the name of a process after 15 bytes, which may be within a letter
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except ProcessLookupError:
        return []
    except FileNotFoundError:
        if _is_linux() and _exists(pid):
            raise PermissionError(errno.EPERM, "process is hidden", str(pid)) from None
        return []
    # The second field is a name in brackets, which may hold spaces.
    return stat.rpartition(")")[2].split()


def _process_start(pid: int) -> str | None:
    """When process `pid` started, in the system's own terms; None when it is not running.

    Raises PermissionError when it runs and cannot be looked up.
    """
    if fields := _process_fields(pid):
        return None if fields[0] in "ZX" else fields[19]  # a zombie process has ended
    return None if _is_linux() or not _exists(pid) else "unknown"


def _is_linux() -> bool:
    """Whether the system tells of processes by `/proc`, at least of this one; macOS has none."""
    return Path("/proc/self/stat").exists()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, under another user
    return True
