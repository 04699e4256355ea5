"""Which process trains a trial, and what becomes of the trials of a dead one."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from study_support import opened

from kerastuna.search.study.liveness import SILENT_SECONDS, fail_abandoned_trials, is_alive, runs_here, this_worker
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy


@contextmanager
def worker(location: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has claimed a trial of the study and is at work on it."""
    program = """
        import sys
        import optuna
        from kerastuna.search.study.attributes import WORKER
        from kerastuna.search.study.liveness import this_worker
        from kerastuna.search.study.storage import open_storage
        study = optuna.load_study(study_name="s", storage=open_storage(sys.argv[1]))
        trial = study.ask()
        trial.suggest_int("n", 5, 5)
        trial.set_user_attr("name", "eip_1")
        trial.set_user_attr(WORKER, this_worker())
        print("at work", flush=True)
        sys.stdin.readline()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(location)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_trial_of_a_killed_worker_is_failed_and_enqueued_once(location: str | Path) -> None:
    study = opened(open_storage(location))
    with worker(location) as process:
        assert fail_abandoned_trials(StoredStudy(study, study._storage)) == []
        assert study.trials[0].state == TrialState.RUNNING
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{process.pid}").exists()  # a zombie, whose parent has not asked how it ended
        assert fail_abandoned_trials(StoredStudy(study, study._storage)) == [0]
    assert fail_abandoned_trials(StoredStudy(study, study._storage)) == []
    dead, again = study.trials
    assert (dead.state, dead.user_attrs["reason"]) == (TrialState.FAIL, "interrupted")
    assert again.state == TrialState.WAITING
    assert again.system_attrs["fixed_params"] == {"n": 5}
    assert again.user_attrs == {"retry_of": 0, "name": "eip_1"}

    with worker(location) as process:  # takes the trial that waits, and dies of it too
        process.kill()
        process.wait()
        assert fail_abandoned_trials(StoredStudy(study, study._storage)) == [1]
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL"]


def test_two_processes_that_find_the_same_dead_enqueue_it_once(location: str | Path) -> None:
    study = opened(open_storage(location))
    with worker(location) as process:
        process.kill()
        process.wait()
    other = opened(open_storage(location))
    stale = other.get_trials(deepcopy=False)
    assert fail_abandoned_trials(StoredStudy(study, study._storage)) == [0]
    other.get_trials = lambda **_: stale  # what it saw just before
    assert fail_abandoned_trials(StoredStudy(other, other._storage)) == []
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING"]


def running(**attributes: Any) -> Any:
    return optuna.create_trial(state=TrialState.RUNNING, user_attrs=attributes)


def test_who_is_alive() -> None:
    here = this_worker()
    assert here["host"] == socket.gethostname()
    assert is_alive(running(worker=here))
    assert not is_alive(running(worker=here | {"started": "1"}))  # its number was given to another process
    assert is_alive(running())  # of a program that does not say

    now = time.time()
    silent = running(worker=here | {"host": "elsewhere", "pid": 1}, last_seen=now - SILENT_SECONDS - 1)
    heard = running(worker=here | {"host": "elsewhere", "pid": 1}, last_seen=now - SILENT_SECONDS + 60)
    assert [is_alive(silent), is_alive(heard)] == [False, True]
    assert not is_alive(heard, now + 61)


def test_the_trial_of_a_silent_worker_on_another_machine_is_failed() -> None:
    study = opened(InMemoryStorage())
    elsewhere = this_worker() | {"host": "elsewhere"}
    for last_seen in (time.time() - SILENT_SECONDS - 1, time.time()):
        study.add_trial(running(worker=elsewhere, last_seen=last_seen))
    assert fail_abandoned_trials(StoredStudy(study, study._storage)) == [0]


def test_a_trial_runs_here_while_it_runs_in_this_process() -> None:
    def trial(state: TrialState, worker: dict[str, Any] | None) -> optuna.trial.FrozenTrial:
        value = 1.0 if state == TrialState.COMPLETE else None
        return optuna.trial.create_trial(state=state, value=value, user_attrs={"worker": worker} if worker else {})

    here = this_worker()
    assert runs_here(trial(TrialState.RUNNING, here))
    assert not runs_here(trial(TrialState.COMPLETE, here))
    assert not runs_here(trial(TrialState.RUNNING, here | {"pid": 1}))
    assert not runs_here(trial(TrialState.RUNNING, None))
