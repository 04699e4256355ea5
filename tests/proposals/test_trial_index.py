"""What is known of a study's trials after each look at it."""

from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from kerastuna.search.proposals.distributions import ParameterSpace
from kerastuna.search.proposals.trial_index import TrialIndex
from kerastuna.search.study.journal import open_journal
from kerastuna.search.study.stored_study import StoredStudy


@pytest.fixture(params=["memory", "journal"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> StoredStudy:
    storage = InMemoryStorage() if request.param == "memory" else open_journal(tmp_path / "journal")
    return StoredStudy(optuna.create_study(storage=storage), storage)


def add(stored: StoredStudy, state: TrialState, width: int, reason: str | None = None, **attributes: Any) -> int:
    own: dict[str, Any] = {"hyperparameters": {"width": width}, **attributes}
    if reason:
        own["reason"] = reason
    values = [0.5] if state == TrialState.COMPLETE else None
    return stored.add(optuna.trial.create_trial(state=state, values=values, user_attrs=own))


def test_it_counts_trained_and_running_trials_and_no_refusals(stored: StoredStudy) -> None:
    index = TrialIndex(stored)
    add(stored, TrialState.COMPLETE, 1)
    add(stored, TrialState.PRUNED, 2, "stopped_early")
    add(stored, TrialState.PRUNED, 3, "over_budget")
    add(stored, TrialState.FAIL, 4, "error")
    running = add(stored, TrialState.RUNNING, 5)
    assert [trial.number for trial in index.update()] == [0, 1, 2, 3, 4]
    assert (len(index), index.trained) == (5, 2)
    assert index.is_full(3)
    assert not index.is_full(4)
    assert not index.is_full(None)
    assert not index.is_full(3, without=running)
    assert not index.is_full(3, before=running)
    stored.study.tell(running, 0.7)
    assert [trial.number for trial in index.update()] == [running]
    assert index.trained == 3


def test_enqueued_trials_go_before_a_proposal(stored: StoredStudy) -> None:
    index = TrialIndex(stored)
    proposal = add(stored, TrialState.RUNNING, 1)
    index.update()
    assert not index.is_full(1, before=proposal)
    add(stored, TrialState.WAITING, 2)  # it was put back
    add(stored, TrialState.RUNNING, 3)  # a later proposal
    index.update()
    assert not index.is_full(1, before=proposal)
    stored.study.enqueue_trial({})
    index.update()
    assert index.is_full(1, before=proposal)
    assert not index.is_full(2, before=proposal)
    stored.take_waiting()
    index.update()
    assert index.is_full(1, before=proposal)


def test_values_are_tried_refused_or_free(stored: StoredStudy) -> None:
    index = TrialIndex(stored)
    add(stored, TrialState.COMPLETE, 1)
    add(stored, TrialState.PRUNED, 2, "over_budget", params=900)
    add(stored, TrialState.PRUNED, 2, "over_budget", params=800)
    add(stored, TrialState.PRUNED, 1, "duplicate")
    interrupted = add(stored, TrialState.RUNNING, 3)
    index.update()
    assert (index.trial_of({"width": 1}), index.trial_of({"width": 3}), index.trial_of({"width": 9})) == (0, 4, None)
    assert index.was_refused({"width": 2})
    assert not index.was_refused({"width": 1})
    assert index.is_settled({"width": 1})
    assert index.is_settled({"width": 2})
    assert index.least_refused() == {"params": 800}
    assert index.any_tried()
    stored.keep(interrupted, reason="interrupted")
    stored.set_state(interrupted, TrialState.FAIL)
    index.update()
    assert index.trial_of({"width": 3}) is None  # an interrupted trial leaves its values free


def test_a_waiting_trial_is_seen_until_it_is_taken(stored: StoredStudy) -> None:
    index = TrialIndex(stored)
    stored.study.enqueue_trial({"width": 1})
    index.update()
    assert index.is_waiting()
    stored.take_waiting()
    index.update()
    assert not index.is_waiting()


def test_the_points_left_of_a_small_space(stored: StoredStudy) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 1, 4)
    space = ParameterSpace(hp.space)
    index = TrialIndex(stored)
    add(stored, TrialState.COMPLETE, 1)
    index.update()
    assert index.points_left(space) == [{"width": 2}, {"width": 3}, {"width": 4}]
    add(stored, TrialState.PRUNED, 2, "over_budget")
    index.update()
    assert index.points_left(space) == [{"width": 3}, {"width": 4}]
    fixed = TrialIndex(stored, {"width": 4})
    fixed.update()
    assert fixed.points_left(space) == [{"width": 4}]
    hp.Float("rate", 0, 1)
    assert index.points_left(ParameterSpace(hp.space)) is None


def test_what_happens_between_two_looks_is_told_once(stored: StoredStudy) -> None:
    index = TrialIndex(stored)
    first, second = add(stored, TrialState.RUNNING, 1), add(stored, TrialState.RUNNING, 2)
    index.update()
    third = add(stored, TrialState.COMPLETE, 3)
    stored.study.tell(second, 0.5)
    assert [(trial.number, trial.state.name) for trial in index.update()] == [
        (first, "RUNNING"),
        (second, "COMPLETE"),
        (third, "COMPLETE"),
    ]
    assert [trial.number for trial in index.update()] == [first]
    assert (len(index), index.trained) == (3, 2)
