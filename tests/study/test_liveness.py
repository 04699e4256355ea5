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
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from study_support import opened

from kerastuna.search.study.attributes import LAST_SEEN, NAME, WORKER
from kerastuna.search.study.liveness import (
    LONG_AGO_SECONDS,
    SILENT_SECONDS,
    WATCHED_SECONDS,
    Watch,
    _process_start,
    fail_abandoned_trials,
    fail_trial,
    fail_trials_of,
    hosts_at_work,
    is_foreign,
    is_running_worker,
    note_parent,
    runs_here,
    this_worker,
)
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.waiting import Outage, outage


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


def test_the_trial_of_a_killed_worker_is_failed_and_enqueued(location: str | Path) -> None:
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
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL", "WAITING"]
    assert study.trials[2].user_attrs == {"retry_of": 1, "name": "eip_1"}


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


def test_a_process_of_this_machine_is_looked_up() -> None:
    here = this_worker()
    assert here["host"] == socket.gethostname()
    watch = Watch()
    assert not watch.is_abandoned(running(worker=here))
    assert not watch.is_abandoned(running(worker=here, last_seen=0.0))  # however long it is silent
    assert watch.is_abandoned(running(worker=here | {"started": "1"}))  # its number was given to another process
    assert not watch.is_abandoned(running(worker={key: here[key] for key in ("host", "pid", "started")}))  # as once


def test_who_has_just_ended_a_trial_and_still_runs_is_at_work() -> None:
    def hosts(**worker: Any) -> list[Any]:
        study = optuna.create_study(storage=InMemoryStorage())
        study.add_trial(optuna.create_trial(value=1.0, user_attrs={WORKER: this_worker() | worker, LAST_SEEN: 5.0}))
        return hosts_at_work(study)

    with subprocess.Popen(["sleep", "60"]) as process:
        started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        assert hosts(pid=process.pid, started=started) == [(socket.gethostname(), 5.0)]
        process.kill()
    assert hosts(pid=process.pid, started=started) == []
    assert hosts() == []  # this process itself
    study = optuna.create_study(storage=InMemoryStorage())
    study.add_trial(running(**{WORKER: this_worker(), LAST_SEEN: 5.0}))
    assert hosts_at_work(study) == [(socket.gethostname(), 5.0)]


def test_another_machine_is_watched_by_the_clock_of_this_one() -> None:
    elsewhere = this_worker() | {"host": "elsewhere", "boot": "b pid:[1]"}
    watch, ahead = Watch(), time.time() + 1e6  # its own clock is wrong

    def silent(last_seen: float, now: float) -> bool:
        return watch.is_abandoned(running(worker=elsewhere, last_seen=last_seen), now)

    assert not silent(ahead, 0.0)
    assert not silent(ahead, SILENT_SECONDS - 1)
    assert not silent(ahead + 1, SILENT_SECONDS)  # it has reported meanwhile
    assert not silent(ahead + 1, 2 * SILENT_SECONDS - 1)
    assert silent(ahead + 1, 2 * SILENT_SECONDS)
    assert Watch().is_abandoned(running(worker=elsewhere, last_seen=time.time() - LONG_AGO_SECONDS - 1))
    assert not Watch().is_abandoned(running(worker=elsewhere, last_seen=time.time() - LONG_AGO_SECONDS + 60))


# Another name, as a wrong time zone shows it; and the same name, of a copied machine, or of this one before its last
# start.
@pytest.mark.parametrize("other", [{"host": "elsewhere", "boot": "b pid:[1]"}, {"boot": "b pid:[1]"}, {"host": "e"}])
@pytest.mark.parametrize("behind", [SILENT_SECONDS, 3600.0, 14 * 3600.0])
def test_an_old_report_of_another_machine_is_no_death(other: dict[str, str], behind: float) -> None:
    worker: dict[str, Any] = {**this_worker(), "boot": None, **other}

    def last_seen() -> float:
        return time.time() - behind - 1

    watch, first = Watch(), last_seen()
    assert not watch.is_dead(0, worker, first, 0.0)
    assert not watch.is_dead(0, worker, first, WATCHED_SECONDS - 1)
    assert watch.is_dead(0, worker, first, WATCHED_SECONDS)
    watch = Watch()
    assert not watch.is_dead(0, worker, first, 0.0)
    second = last_seen()
    assert not watch.is_dead(0, worker, second, WATCHED_SECONDS - 1)  # it lives, and its clock is behind
    assert not watch.is_dead(0, worker, second, WATCHED_SECONDS - 1 + SILENT_SECONDS - 1)
    assert watch.is_dead(0, worker, second, WATCHED_SECONDS - 1 + SILENT_SECONDS)
    study = optuna.create_study(storage=InMemoryStorage())
    study.add_trial(running(**{WORKER: worker, LAST_SEEN: first}))
    assert hosts_at_work(study) == [(worker["host"], first)]  # this looks once


def test_what_vanished_a_day_ago_is_not_at_work() -> None:
    study = optuna.create_study(storage=InMemoryStorage())
    worker = this_worker() | {"host": "elsewhere", "boot": "b pid:[1]"}
    study.add_trial(running(**{WORKER: worker, LAST_SEEN: time.time() - 24 * 3600.0}))
    assert hosts_at_work(study) == []


def test_a_container_of_this_machine_has_its_clock() -> None:
    boot = this_worker()["boot"].split()[0]
    container = this_worker() | {"host": "container", "boot": f"{boot} pid:[1]"}
    assert not Watch().is_abandoned(running(worker=container, last_seen=time.time()))
    assert Watch().is_abandoned(running(worker=container, last_seen=time.time() - SILENT_SECONDS - 1))


@pytest.fixture(params=[FileNotFoundError, PermissionError])
def hidden(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A worker under another user, as `/proc` shows it with hidepid=2 and with hidepid=1."""
    worker = this_worker() | {"pid": os.getppid(), "started": "1"}
    read, kill = Path.read_text, os.kill

    def hiding(path: Path, *arguments: Any, **named: Any) -> str:
        if str(path) == f"/proc/{worker['pid']}/stat":
            raise request.param
        return read(path, *arguments, **named)

    def forbidding(pid: int, number: int) -> None:
        if pid == worker["pid"]:
            raise PermissionError
        kill(pid, number)

    monkeypatch.setattr(Path, "read_text", hiding)
    monkeypatch.setattr(os, "kill", forbidding)
    return worker


def test_a_process_that_the_system_hides_is_watched(hidden: dict[str, Any]) -> None:
    assert is_running_worker(hidden) is None
    assert not Watch().is_abandoned(running(worker=hidden, last_seen=time.time()))
    assert Watch().is_abandoned(running(worker=hidden, last_seen=time.time() - SILENT_SECONDS - 1))
    study = optuna.create_study(storage=InMemoryStorage())
    study.add_trial(running(**{WORKER: hidden, LAST_SEEN: (now := time.time())}))
    assert hosts_at_work(study) == [(socket.gethostname(), now)]


def test_a_parent_that_the_system_hides_holds_no_death_against_a_trial(
    hidden: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kerastuna.search.study.liveness._parent", None)
    note_parent()
    assert this_worker()["parent"] == {"pid": hidden["pid"], "started": None}
    study = opened(InMemoryStorage())
    dead = this_worker() | {"started": "1"}
    study.add_trial(running(worker=dead))
    assert fail_abandoned_trials(StoredStudy(study, study._storage)) == [0]
    assert "died" not in study.trials[0].user_attrs


def test_a_process_that_has_ended_is_gone_though_others_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    assert is_running_worker(this_worker() | {"pid": process.pid}) is False


def test_a_name_that_the_system_cuts_within_a_letter() -> None:
    program = """
        from pathlib import Path
        from kerastuna.search.study.liveness import is_running_worker, this_worker
        Path("/proc/self/comm").write_bytes("поискархитектуры.py".encode())
        assert not Path("/proc/self/comm").read_bytes().decode(errors="replace").isascii()
        assert is_running_worker(this_worker())
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_a_stopped_process_is_given_up_after_a_while() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        worker = this_worker() | {"pid": process.pid, "started": _process_start(process.pid)}
        assert not Watch().is_abandoned(running(worker=worker, last_seen=0.0))
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert not Watch().is_abandoned(running(worker=worker, last_seen=time.time()))
        assert Watch().is_abandoned(running(worker=worker, last_seen=time.time() - SILENT_SECONDS - 1))
        process.kill()


def test_a_trial_without_a_name_is_of_another_program_unless_it_was_only_just_taken() -> None:
    study = opened(InMemoryStorage())
    study.ask().suggest_int("n", 5, 5)
    study.ask()
    for _ in range(2):
        study.enqueue_trial({"n": 5})
    study.ask().suggest_int("n", 5, 5)
    study.ask()
    assert [is_foreign(trial) for trial in study.trials] == [True, True, True, False]
    watch = Watch()
    for now in (0.0, SILENT_SECONDS + 1):
        assert not any(watch.is_abandoned(trial, now) for trial in study.trials[:3])
    taken = study.trials[3]
    assert [watch.is_abandoned(taken, now) for now in (0.0, SILENT_SECONDS - 1, SILENT_SECONDS)] == [False, False, True]


def test_a_trial_that_was_killed_before_it_took_up_its_parameters_is_enqueued_with_them(location: str | Path) -> None:
    study = opened(open_storage(location))
    stored = StoredStudy(study, study._storage)
    study.enqueue_trial({"n": 5, "m": 1}, user_attrs={"name": "eip_1"})
    assert stored.take_waiting(worker=this_worker() | {"started": "1"}) == 0
    assert fail_abandoned_trials(stored) == [0]
    assert study.trials[1].system_attrs["fixed_params"] == {"n": 5, "m": 1}


def test_the_trial_of_a_silent_worker_on_another_machine_is_failed() -> None:
    study = opened(InMemoryStorage())
    elsewhere = this_worker() | {"host": "elsewhere"}
    for last_seen in (time.time() - LONG_AGO_SECONDS - 1, time.time()):
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


def test_exactly_the_running_trials_of_a_lost_worker_fail_and_are_enqueued_again(tmp_path: Path) -> None:
    there = {**this_worker(), "host": "elsewhere"}
    study = opened(open_storage(tmp_path / "journal"))
    stored = StoredStudy(study, study._storage)
    given = [
        (TrialState.RUNNING, {WORKER: there, NAME: "eip_1"}),
        (TrialState.RUNNING, {WORKER: there | {"pid": 1}}),
        (TrialState.RUNNING, {WORKER: this_worker()}),
        (TrialState.RUNNING, {}),
        (TrialState.COMPLETE, {WORKER: there}),
    ]
    units = optuna.distributions.IntDistribution(1, 9)
    for number, (state, attributes) in enumerate(given):
        value = 0.5 if state == TrialState.COMPLETE else None
        stored.add(
            optuna.create_trial(
                state=state,
                value=value,
                params={"units": number + 1},
                distributions={"units": units},
                user_attrs=attributes,
            )
        )
    assert fail_trials_of(stored, there) == [0]
    assert [trial.state.name for trial in study.trials] == ["FAIL", *["RUNNING"] * 3, "COMPLETE", "WAITING"]
    assert study.trials[0].user_attrs["reason"] == "interrupted"
    assert study.trials[5].system_attrs["fixed_params"] == {"units": 1}
    assert study.trials[5].user_attrs == {"retry_of": 0, "name": "eip_1"}
    assert fail_trials_of(stored, there) == []
    assert len(study.trials) == 6


def test_nobody_is_taken_for_dead_because_the_storage_did_not_answer() -> None:
    study = optuna.create_study(storage=InMemoryStorage())
    study.ask().set_user_attr(WORKER, {**this_worker(), "host": "elsewhere"})
    watch, [trial] = Watch(), study.trials
    assert not watch.is_abandoned(trial, 0.0)
    outage.heard(False, "down")
    outage.answers()
    assert not watch.is_abandoned(trial, SILENT_SECONDS), "it could not report"
    assert watch.is_abandoned(trial, 2 * SILENT_SECONDS)


def test_a_report_that_is_old_because_of_an_outage_says_nothing() -> None:
    study = optuna.create_study(storage=InMemoryStorage())
    trial = study.ask()
    trial.set_user_attr(WORKER, {**this_worker(), "host": "elsewhere"})
    trial.set_user_attr(LAST_SEEN, time.time() - LONG_AGO_SECONDS)
    outage.heard(False, "down")
    assert not Watch().is_abandoned(study.trials[0])
    vars(outage).update(vars(Outage()))
    assert Watch().is_abandoned(study.trials[0])


WATCHED_WORKER = """
    import optuna, os, sys
    from kerastuna.search.study.attributes import WORKER
    from kerastuna.search.study.liveness import note_parent, this_worker
    from kerastuna.search.study.storage import open_storage
    from kerastuna.search.study.studies import open_study
    note_parent()
    study = optuna.load_study(study_name="s", storage=open_storage(sys.argv[1]))
    trial = study.ask()
    trial.suggest_int("n", 5, 5)
    trial.set_user_attr(WORKER, this_worker())
    os.kill(os.getpid(), 9)
"""


def dies(location: str | Path) -> None:
    """A worker of this process dies of the next trial of the study."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(WATCHED_WORKER), str(location)])
    assert done.returncode == -9


def test_a_point_that_kills_its_worker_three_times_has_failed(location: str | Path) -> None:
    stored = StoredStudy(study := opened(open_storage(location)), study._storage)
    for number in range(3):
        dies(location)
        assert fail_abandoned_trials(stored) == [number]
    told = [(trial.state.name, *map(trial.user_attrs.get, ("reason", "died", "message"))) for trial in study.trials]
    assert told == [
        ("FAIL", "interrupted", True, None),
        ("FAIL", "interrupted", True, None),
        ("FAIL", "process_died", True, "its process died 3 times"),
    ]


def test_the_death_of_a_worker_that_was_ended_or_whose_parent_died_too_is_held_against_nobody(tmp_path: Path) -> None:
    stored = StoredStudy(study := opened(open_storage(location := tmp_path / "journal")), study._storage)
    for number in range(3):
        dies(location)
        assert fail_abandoned_trials(stored, was_ended=True) == [number]
    program = textwrap.dedent(WATCHED_WORKER)
    middle = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}, sys.argv[1]])"
    subprocess.run([sys.executable, "-c", middle, str(location)], check=True)
    assert fail_abandoned_trials(stored) == [3]
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 4 + ["WAITING"]
    assert not any("died" in trial.user_attrs for trial in study.trials)


def test_a_trial_is_failed_once(tmp_path: Path) -> None:
    stored = StoredStudy(study := opened(open_storage(tmp_path / "journal")), study._storage)
    number = study.ask().number
    assert fail_trial(stored, number, "trial_timeout", "too long")
    assert not fail_trial(stored, number, "interrupted")
    assert study.trials[0].user_attrs == {"reason": "trial_timeout", "message": "too long"}
