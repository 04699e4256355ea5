"""Where studies are kept, what identifies them, and which workers are alive."""

import os
import re
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
from optuna.distributions import IntDistribution
from optuna.pruners import NopPruner
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState

from kerastuna.search.errors import StudyError
from kerastuna.search.study.attributes import is_rejection, is_trained
from kerastuna.search.study.goal import BestMetric, Quantity, goal_of
from kerastuna.search.study.liveness import SILENT_SECONDS, fail_abandoned_trials, is_alive, this_worker
from kerastuna.search.study.records import study_rows
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.studies import delete_study, latest_study, load_study, open_study

IDENTITY: dict[str, Any] = {
    "objective": ["val_accuracy", "max"],
    "budget": 15000,
    "seed": 0,
    "data": {"name": "mnist", "input_shape": (28, 28, 1)},
    "hyperparameters": [
        {"name": "blocks", "kind": "Int", "max_value": 3, "conditions": []},
        {"name": "units", "kind": "Int", "conditions": ["a"]},
        {"name": "units", "kind": "Choice", "conditions": ["b"]},
    ],
}


def opened(storage: BaseStorage, name: str = "s", direction: str = "maximize", **changes: Any) -> Any:
    identity = IDENTITY | changes
    return open_study(storage, name, directions=[direction], identity=identity, pruner=NopPruner(), seed=0)


@pytest.fixture(params=["journal", "sqlite"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    return tmp_path / "optuna.journal" if request.param == "journal" else f"sqlite:///{tmp_path}/optuna.db"


# Storage


def test_a_study_is_found_again_wherever_it_is_kept(location: str | Path) -> None:
    study = opened(open_storage(location))
    trial = study.ask()
    trial.suggest_int("n", 0, 9)
    study.tell(trial, 0.5)
    again = opened(open_storage(location))
    assert [trial.values for trial in again.trials] == [[0.5]]
    assert isinstance(again.pruner, NopPruner)
    assert goal_of(again) == BestMetric(Quantity("val_accuracy", "max"))


def test_a_storage_and_a_journal_url_are_taken(tmp_path: Path) -> None:
    storage = InMemoryStorage()
    assert open_storage(storage) is storage
    opened(open_storage(f"journal://{tmp_path}/j"))
    assert load_study(open_storage(tmp_path / "j"), "s").study_name == "s"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@localhost:1/db",
        "postgresql://me:sec/secret@host@localhost/db",
        "postgresql+nodriver://me:secret@localhost/db",
        "mysql://me:secret@[not-an-address/db",
        "nonsense://me:secret@localhost:port/db",
        "postgresql://localhost/db?user=me&password=secret",
    ],
)
def test_a_database_that_cannot_be_opened_is_told_without_its_password(url: str) -> None:
    with pytest.raises(StudyError, match=r"cannot be opened \(\w+.*\): give|needs \w+, .*: pip install ") as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(StudyError, match=r"cannot be opened: .*; give a path that can be written"):
        open_storage(tmp_path / "file" / "journal")
    with pytest.raises(StudyError, match="cannot be opened: Is a directory"):
        open_storage(tmp_path)
    with pytest.raises(StudyError, match="is not a journal of Optuna"):
        open_storage(tmp_path / "file")


# Identity


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": 9999}, "budget: 15000, now 9999"),
        ({"seed": 1, "budget": None}, "budget: 15000, now null; seed: 0, now 1"),
        ({"data": {"name": "cifar", "input_shape": [28, 28, 1]}}, 'data: name: "mnist", now "cifar"'),
        ({"data": {"name": "mnist"}}, "data: input_shape: [28, 28, 1], now null"),
        ({"space": "x" * 100}, f'space: null, now "{"x" * 56}...'),
        ({"hyperparameters": IDENTITY["hyperparameters"][:2]}, "hyperparameters: other units"),
        ({"hyperparameters": [{"name": "depth"}]}, "hyperparameters: other blocks, depth, units"),
        ({"hyperparameters": IDENTITY["hyperparameters"][::-1]}, "hyperparameters: in another order"),
    ],
)
def test_another_identity_is_refused_and_what_differs_is_named(changes: dict[str, Any], message: str) -> None:
    storage = InMemoryStorage()
    opened(storage)
    with pytest.raises(StudyError) as caught:
        opened(storage, **changes)
    assert str(caught.value) == (
        f"study 's' exists with another identity ({message}): give the same arguments to go on with it, or another "
        "name to start afresh"
    )
    assert opened(storage).user_attrs["identity"]["budget"] == 15000
    assert opened(storage, "another", **changes).trials == []


def test_tuples_and_lists_are_the_same_identity() -> None:
    storage = InMemoryStorage()
    opened(storage)
    opened(storage, data={"name": "mnist", "input_shape": [28, 28, 1]})


def test_a_study_of_another_program_is_left_alone() -> None:
    storage = InMemoryStorage()
    theirs = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    theirs.tell(theirs.ask(), 1.0)
    optuna.create_study(storage=storage, study_name="empty", direction="minimize")
    for name in ("s", "empty"):
        with pytest.raises(StudyError, match=f"study '{name}' exists and was not made by Kerastuna: give another name"):
            opened(storage, name)
    assert theirs.user_attrs == {}


def test_a_study_that_was_only_prepared_is_taken_over() -> None:
    storage = InMemoryStorage()
    optuna.create_study(storage=storage, study_name="s", direction="maximize").enqueue_trial({"n": 1})
    assert len(opened(storage).trials) == 1


# The living and the dead


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


# What there is


def add(study: optuna.Study, state: TrialState, began: int, **arguments: Any) -> None:
    trial = optuna.create_trial(state=state, **arguments)
    trial.datetime_start = trial.datetime_start and trial.datetime_start.replace(year=2000 + began)
    study.add_trial(trial)


def test_rows_of_studies(location: str | Path) -> None:
    storage = open_storage(location)
    small = opened(storage, "small", direction="minimize", objective=["val_loss", "min"])
    large = opened(storage, "large")
    opened(storage, "empty")
    optuna.create_study(storage=storage, study_name="two objectives", directions=["maximize", "maximize"]).add_trial(
        optuna.create_trial(values=[1.0, 2.0])
    )
    for study in (small, large):
        add(study, TrialState.COMPLETE, 1, value=0.5)
        add(study, TrialState.COMPLETE, 3, value=0.7)
        add(study, TrialState.PRUNED, 2, user_attrs={"reason": "stopped_early"})
        add(study, TrialState.PRUNED, 2, user_attrs={"reason": "over_budget"})
        add(study, TrialState.FAIL, 2)
        study.enqueue_trial({})
    rows = {row["name"]: row for row in study_rows(storage)}
    assert list(rows) == ["empty", "large", "small", "two objectives"]
    assert rows["empty"] == {
        "name": "empty",
        "trained": 0,
        "refused": 0,
        "failed": 0,
        "best": None,
        "last_trial": None,
    }
    assert (rows["large"]["trained"], rows["large"]["refused"], rows["large"]["failed"]) == (3, 1, 1)
    assert (rows["large"]["best"], rows["small"]["best"]) == (0.7, 0.5)
    assert re.match(r"2003-\d\d-\d\d \d\d:\d\d:\d\d$", rows["large"]["last_trial"])
    assert (rows["two objectives"]["trained"], rows["two objectives"]["best"]) == (1, None)


def test_the_latest_study_is_the_one_that_was_worked_on_last(location: str | Path) -> None:
    storage = open_storage(location)
    with pytest.raises(StudyError, match="there is no study yet: run kerastuna search first"):
        latest_study(storage)
    older, newer = opened(storage, "older"), opened(storage, "newer")
    opened(storage, "never begun")
    add(older, TrialState.COMPLETE, 1, value=0.0)
    add(newer, TrialState.COMPLETE, 2, value=0.0)
    assert latest_study(storage).study_name == "newer"
    add(older, TrialState.COMPLETE, 3, value=0.0)  # gone on with
    assert latest_study(storage).study_name == "older"


def test_a_study_is_deleted_with_its_trials(location: str | Path) -> None:
    storage = open_storage(location)
    for name in ("kept", "gone"):
        add(opened(storage, name), TrialState.COMPLETE, 1, value=0.5)
    delete_study(storage, "gone")
    again = open_storage(location)
    assert [row["name"] for row in study_rows(again)] == ["kept"]
    with pytest.raises(StudyError, match="study 'gone' does not exist; there is: kept"):
        delete_study(again, "gone")
    assert opened(again, "gone", budget=1).trials == []


def test_a_missing_study_is_told_with_those_there_are() -> None:
    with pytest.raises(StudyError, match="study 's' does not exist; there is: none yet"):
        load_study(InMemoryStorage(), "s")


@pytest.mark.parametrize(
    ("state", "reason", "rejection", "trained"),
    [
        (TrialState.COMPLETE, None, False, True),
        (TrialState.PRUNED, "stopped_early", False, True),
        (TrialState.PRUNED, "over_budget", True, False),
        (TrialState.PRUNED, "infeasible", True, False),
        (TrialState.PRUNED, "duplicate", True, False),
        (TrialState.FAIL, "error", False, False),
        (TrialState.RUNNING, None, False, False),
        (TrialState.WAITING, None, False, False),
    ],
)
def test_what_counts_as_trained(state: TrialState, reason: str | None, rejection: bool, trained: bool) -> None:
    value = 1.0 if state == TrialState.COMPLETE else None
    trial = optuna.create_trial(
        state=state,
        value=value,
        params={"n": 1},
        distributions={"n": IntDistribution(0, 1)},
        user_attrs={} if reason is None else {"reason": reason},
    )
    assert (is_rejection(trial), is_trained(trial)) == (rejection, trained)
