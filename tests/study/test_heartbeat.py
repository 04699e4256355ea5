"""A running trial reports from time to time."""

import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState
from study_support import opened

from kerastuna.search.study.heartbeat import Heartbeat
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy


class Owner:
    """Whatever trains the trial."""


@pytest.fixture
def stored(location: str | Path) -> StoredStudy:
    storage = open_storage(location)
    stored = StoredStudy(opened(storage), storage)
    stored.study.ask()
    return stored


def eventually(happens: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while not happens() and time.monotonic() < until:
        time.sleep(0.01)
    return happens()


def beats(heartbeat: Heartbeat) -> bool:
    return heartbeat._thread.is_alive()


def last_seen(stored: StoredStudy) -> float:
    return stored.trial(0).user_attrs.get("last_seen", 0.0)


def test_a_trial_reports_until_its_heartbeat_is_stopped(stored: StoredStudy) -> None:
    owner = Owner()
    heartbeat = Heartbeat(stored, 0, owner, seconds=0.02)
    assert eventually(lambda: last_seen(stored) > 0)
    first = last_seen(stored)
    assert eventually(lambda: last_seen(stored) > first)
    heartbeat.stop()
    assert eventually(lambda: not beats(heartbeat))


def test_it_says_nothing_while_something_else_reports(stored: StoredStudy) -> None:
    owner = Owner()
    heartbeat = Heartbeat(stored, 0, owner, seconds=0.5)
    for _ in range(20):
        heartbeat.has_reported()
        time.sleep(0.05)
    assert last_seen(stored) == 0.0
    heartbeat.stop()


def test_it_ends_with_its_owner_and_with_its_trial(stored: StoredStudy) -> None:
    owner = Owner()
    owned = Heartbeat(stored, 0, owner, seconds=1000)
    assert beats(owned)
    del owner
    gc.collect()
    assert eventually(lambda: not beats(owned))
    keeps = Owner()
    ended = Heartbeat(stored, 0, keeps, seconds=0.02)
    stored.set_state(0, TrialState.FAIL)
    assert eventually(lambda: not beats(ended))


def test_it_outlives_a_storage_that_is_down(stored: StoredStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[int] = []

    def down(*args: object, **kwargs: object) -> None:
        failures.append(1)
        raise OSError("down")

    with monkeypatch.context() as patch:
        patch.setattr(stored.storage, "set_trial_user_attr", down)
        owner = Owner()
        heartbeat = Heartbeat(stored, 0, owner, seconds=0.02)
        assert eventually(lambda: len(failures) > 2)
    assert eventually(lambda: last_seen(stored) > 0)
    heartbeat.stop()
