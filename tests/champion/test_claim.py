"""One process confirms a study at a time; a dead one's claim is taken over."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from killed_search import Copy

from kerastuna.search.champion import claim as module
from kerastuna.search.champion.claim import confirming
from kerastuna.search.errors import StudyError
from kerastuna.search.study import liveness
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy

COMMAND = "bin/kerastuna confirm --study s --folder 'my runs'"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)


@pytest.fixture(params=["journal", "sqlite"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    location = tmp_path / "journal" if request.param == "journal" else f"sqlite:///{tmp_path}/optuna.db"
    optuna.create_study(storage=open_storage(location), study_name="s")
    return location


def stored(location: str | Path) -> StoredStudy:
    storage = open_storage(location)
    return StoredStudy(optuna.load_study(study_name="s", storage=storage), storage)


def held(location: str | Path) -> Any:
    return stored(location).study.user_attrs.get("confirming")


def fail(line: str) -> None:
    pytest.fail(f"nobody is to be waited for: {line}")


def hold_for_good(location: str | Path) -> None:
    with confirming(stored(location), fail, COMMAND):
        time.sleep(600)


def test_of_two_that_begin_at_once_one_waits_for_the_other(location: str | Path) -> None:
    inside, told, waited = [0], [], []
    start = threading.Barrier(2)

    def work() -> None:
        own = stored(location)
        start.wait()
        with confirming(own, told.append, COMMAND) as claim:
            inside[0] += 1
            assert inside[0] == 1
            time.sleep(0.3)
            claim.check()
            waited.append(claim.waited)
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waited == [False, True]
    (line,) = told
    assert line.startswith(f"process {os.getpid()} on ")
    assert held(location) is None
    with confirming(stored(location), fail, COMMAND) as claim:
        assert not claim.waited


def test_no_thread_takes_a_claim_from_another_just_as_it_is_written(
    location: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_attribute = module.change_attribute

    def slow(*arguments: Any) -> Any:
        try:
            return change_attribute(*arguments)
        finally:
            time.sleep(0.2)  # the other thread looks meanwhile

    monkeypatch.setattr(module, "change_attribute", slow)
    test_of_two_that_begin_at_once_one_waits_for_the_other(location)


def test_a_killed_process_is_followed_at_once(location: str | Path) -> None:
    other = Copy(lambda: hold_for_good(location))
    while held(location) is None:
        time.sleep(0.02)
    told: list[str] = []
    waiting = threading.Thread(target=lambda: enter(location, told))
    waiting.start()
    while not told:
        time.sleep(0.02)
    assert waiting.is_alive()
    other.send(signal.SIGKILL)
    other.wait()
    waiting.join(10)
    assert not waiting.is_alive()
    with confirming(stored(location), fail, COMMAND):
        pass


def enter(location: str | Path, told: list[str]) -> None:
    with confirming(stored(location), told.append, COMMAND):
        pass


def test_a_process_elsewhere_is_followed_when_it_reports_no_more(
    location: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claimed(last_seen: float) -> StoredStudy:
        own = stored(location)
        worker = {"host": "elsewhere", "pid": 1, "started": "1", "boot": "b"}
        own.study.set_user_attr("confirming", {"worker": worker, "token": "t", "last_seen": last_seen})
        return own

    with confirming(claimed(time.time() - liveness.LONG_AGO_SECONDS), fail, COMMAND):
        pass
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 0.5)
    for last_seen in (time.time(), time.time() - 3601):  # its clock may be behind
        told: list[str] = []
        began = time.monotonic()
        with confirming(claimed(last_seen), told.append, COMMAND) as claim:
            assert claim.waited
        assert time.monotonic() - began >= 0.5
        assert told == ["process 1 on elsewhere confirms study 's' at present: waiting for its champion"]


def test_a_process_reports_and_learns_that_it_was_taken_for_dead(
    location: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.05)
    own = stored(location)
    with confirming(own, fail, COMMAND) as claim:
        first = held(location)["last_seen"]
        while held(location)["last_seen"] == first:
            time.sleep(0.02)
        claim.check()
        other = {**held(location), "token": "another"}
        own.study.set_user_attr("confirming", other)
        time.sleep(0.2)
        assert held(location) == other
        with pytest.raises(StudyError, match="took over the confirmation of study 's'") as caught:
            claim.check()
        assert f": run {COMMAND} to see" in str(caught.value)
    assert held(location) == other  # it is not given back by this one
