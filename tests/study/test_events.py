"""Observers are told of a search's begin, of its steps, and of its end, however it ends."""

from collections.abc import Mapping
from typing import Any

import optuna
import pytest

from kerastuna.search.errors import InputError
from kerastuna.search.study.events import Announcer, SearchObserver, SearchStatus, observed

STUDY = optuna.create_study(study_name="s")


class Listener(SearchObserver):
    def __init__(self, name: str, heard: list[Any], kept: Mapping[str, Any] | None = None) -> None:
        self._name, self._heard, self._kept = name, heard, kept

    def search_started(self, study: optuna.Study, settings: Mapping[str, Any]) -> None:
        self._heard.append((self._name, "started", study.study_name, dict(settings)))

    def trial_started(self, record: Mapping[str, Any]) -> Mapping[str, Any] | None:
        self._heard.append((self._name, "trial", record["number"]))
        return self._kept

    def search_ended(self, status: SearchStatus) -> None:
        self._heard.append((self._name, status))


class Refusing(SearchObserver):
    def search_started(self, study: optuna.Study, settings: Mapping[str, Any]) -> None:
        raise InputError("the store cannot be used")


def test_an_observer_may_leave_every_method_out() -> None:
    announcer = Announcer([SearchObserver()])
    with announcer.search(STUDY, {}):
        announcer.refused({"number": 0})
        assert announcer.started({"number": 1}) == {}
        announcer.epoch_ended(1, 1, {})
        announcer.batches_done(1, 2, 10, None)
        announcer.ended({"number": 1})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(), "KILLED"),
        (InputError("wrong"), "FAILED"),
        (RuntimeError("broken"), "FAILED"),
    ],
)
def test_the_end_is_told_with_how_it_came(error: BaseException | None, status: str) -> None:
    heard: list[Any] = []

    def search() -> None:
        with observed([Listener("a", heard), Listener("b", heard)], STUDY, {"epochs": 3}):
            if error is not None:
                raise error

    if error is None:
        search()
    else:
        with pytest.raises(type(error)):
            search()
    assert heard[:2] == [("a", "started", "s", {"epochs": 3}), ("b", "started", "s", {"epochs": 3})]
    assert sorted(heard[2:]) == [("a", status), ("b", status)]


def test_who_was_told_of_the_begin_is_told_of_an_end_before_the_first_trial() -> None:
    heard: list[Any] = []
    with pytest.raises(InputError), observed([Listener("a", heard), Refusing()], STUDY, {}):
        raise AssertionError("the block is not reached")
    assert heard[1:] == [("a", "FAILED")]


def test_what_observers_keep_with_a_trial_is_put_together() -> None:
    heard: list[Any] = []
    announcer = Announcer([Listener("a", heard, {"run": 1})])
    with announcer.search(STUDY, {}, [Listener("b", heard, {"page": 2}), Listener("c", heard)]):
        assert announcer.started({"number": 7}) == {"run": 1, "page": 2}
    assert len(announcer.observers) == 1  # those of one search are gone with it
    assert [event for event in heard if event[1] == "trial"] == [(name, "trial", 7) for name in "abc"]
