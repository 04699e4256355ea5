"""Waiting for a storage: how long, what is told, and who does not wait any more."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from kerastuna.search.study import waiting
from kerastuna.search.study.waiting import Outage, is_joining, joining, longest_call, until_answered


class Down(Exception):
    """The storage does not answer."""


class Storage:
    """Does not answer until it is `up`, or was called so many times."""

    def __init__(self, failures: float = 0) -> None:
        self.failures, self.calls = failures, 0

    def first(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise Down("connection refused")
        return "answer"

    def again(self) -> str:
        return f"{self.first()} again"

    def ask(self, patience: float = 60.0) -> str:
        lost = lambda error: str(error) if isinstance(error, Down) else None  # noqa: E731
        return until_answered(self.first, self.again, lost=lost, patience=patience)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[bool, str]]]:
    """What is told of an outage of a process of its own, with pauses too short to be felt."""
    outage, lines = Outage(), []
    monkeypatch.setattr(waiting, "outage", outage)
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 0.02)
    with outage.told_by(lambda answers, text: lines.append((answers, text)), lambda: False):
        yield lines


def test_one_dropped_connection_is_not_told(told: list[tuple[bool, str]]) -> None:
    assert Storage().ask() == "answer"
    assert Storage(failures=1).ask() == "answer again"
    assert told == []


def test_an_outage_is_told_when_it_begins_and_when_it_is_over(told: list[tuple[bool, str]]) -> None:
    assert Storage(failures=5).ask(patience=300) == "answer again"
    assert told == [
        (False, "the storage of the study does not answer (connection refused): waiting for up to 5 min"),
        (True, "the storage of the study answers again, after 0 s: nothing is lost, going on"),
    ]
    assert waiting.outage.count == 1
    assert waiting.outage.ended_within(60)


def test_the_wait_is_bounded_and_not_repeated_until_there_is_an_answer(told: list[tuple[bool, str]]) -> None:
    storage, began = Storage(failures=10**9), time.monotonic()
    with pytest.raises(Down):
        storage.ask(patience=0.3)
    assert 0.3 <= time.monotonic() - began < 2
    calls = storage.calls
    with pytest.raises(Down):
        storage.ask(patience=0.3)
    assert storage.calls == calls + 1
    assert Storage().ask() == "answer"
    assert Storage(failures=5).ask() == "answer again", "the next outage is waited for"
    assert [answers for answers, _ in told] == [False, True, False, True]


def test_what_is_lost_after_a_long_time_is_told_at_once_and_that_time_counts(
    told: list[tuple[bool, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.2)

    def hang() -> str:
        time.sleep(0.3)
        raise Down("no answer within 0.3 s")

    lost = lambda error: str(error) if isinstance(error, Down) else None  # noqa: E731
    assert until_answered(hang, lambda: "answer", lost=lost, patience=300.0) == "answer"
    assert [answers for answers, _ in told] == [False, True]
    calls: list[str] = []
    with pytest.raises(Down):
        until_answered(hang, lambda: calls.append("again"), lost=lost, patience=0.3)
    assert not calls, "the patience is over"
    assert told[2] == (
        False,
        "the storage of the study does not answer (no answer within 0.3 s): waiting for up to 0.3 s",
    )


def test_a_call_may_take_as_long_as_an_operation_waits_until_that_was_in_vain(told: list[tuple[bool, str]]) -> None:
    assert (longest_call(60.0), longest_call(0.0)) == (60.0, waiting.WAIT_SECONDS)
    waiting.outage.fails("why", 60.0, time.monotonic() - 61)
    assert longest_call(60.0) == waiting.SHORT_SECONDS
    waiting.outage.answers()
    assert longest_call(60.0) == 60.0


def test_other_errors_and_storages_without_patience_are_not_waited_for(told: list[tuple[bool, str]]) -> None:
    storage = Storage(failures=10**9)
    with pytest.raises(Down):
        storage.ask(patience=0)
    with pytest.raises(Down):
        until_answered(storage.first, storage.again, lost=lambda error: None, patience=60)
    assert (storage.calls, told) == (2, [])


def test_who_is_interrupted_while_waiting_does_not_wait_again(
    told: list[tuple[bool, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(failures=10**9)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.ask()
    with pytest.raises(Down):  # as what is put in order does
        storage.ask()
    assert told == []
    storage.failures = 0
    assert storage.ask() == "answer"
    assert told == [], "nothing was told that could be over"


def test_who_was_told_to_stop_does_not_wait(told: list[tuple[bool, str]]) -> None:
    storage = Storage(failures=10**9)
    with waiting.outage.told_by(lambda answers, text: told.append((answers, text)), lambda: True), pytest.raises(Down):
        storage.ask()
    assert (storage.calls, told) == (1, [])


def test_what_several_workers_hear_is_told_once(told: list[tuple[bool, str]]) -> None:
    for answers in (False, False, True, True):
        waiting.outage.heard(answers, "as a worker says")
    assert [answers for answers, _ in told] == [False, True]
    assert told[0][1] == "as a worker says"


def test_threads_wait_together(told: list[tuple[bool, str]]) -> None:
    storages = [Storage(failures=20) for _ in range(4)]
    threads = [threading.Thread(target=storage.ask) for storage in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert all(storage.calls == 21 for storage in storages)
    assert told[0][0] is False
    assert told[-1][0] is True


def test_without_a_listener_it_is_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(waiting, "outage", Outage())
    waiting.outage.fails("why", 30.0)
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "the storage of the study does not answer (why): waiting for up to 30 s")
    ]


def test_joining_ends_with_its_block() -> None:
    with joining():
        assert is_joining()
    assert not is_joining()
