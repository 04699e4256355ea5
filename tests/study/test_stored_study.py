"""A study with its storage: single trials are read and changed by their numbers."""

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from study_support import opened

from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy


@pytest.fixture
def stored(location: str) -> StoredStudy:
    storage = open_storage(location)
    return StoredStudy(opened(storage), storage)


def test_trials_are_added_read_and_changed_by_number(stored: StoredStudy) -> None:
    other = opened(stored.storage, "another study")
    other.enqueue_trial({"x": 1})  # ids in the storage and numbers in the study differ from here on
    numbers = [stored.add(optuna.trial.create_trial(state=TrialState.RUNNING)) for _ in range(2)]
    assert numbers == [0, 1]
    stored.keep(1, name="eip_3", params=14652)
    assert stored.trial(1).user_attrs == {"name": "eip_3", "params": 14652}
    assert stored.trial(0).user_attrs == {}
    assert [trial.number for trial in stored.trials()] == [0, 1]
    stored.live(1).set_constraint("params", -1.0)
    assert stored.trial(1).constraints == {"params": -1.0}
    assert stored.set_state(1, TrialState.FAIL)
    assert [trial.state for trial in stored.trials()] == [TrialState.RUNNING, TrialState.FAIL]
    with pytest.raises(UpdateFinishedTrialError):
        stored.keep(1, name="late")


def test_a_waiting_trial_is_taken_once_and_in_order(stored: StoredStudy) -> None:
    again = StoredStudy(optuna.load_study(study_name="s", storage=stored.storage), stored.storage)
    for x in (1, 2, 3):
        stored.study.enqueue_trial({"x": x})
    assert [stored.take_waiting(), again.take_waiting(), stored.take_waiting()] == [0, 1, 2]
    assert stored.take_waiting() is None
    assert {trial.state for trial in stored.trials()} == {TrialState.RUNNING}
    assert not stored.set_state(0, TrialState.RUNNING)  # it runs already


def test_what_was_enqueued_is_taken_before_what_was_put_back(stored: StoredStudy) -> None:
    stored.add(optuna.trial.create_trial(state=TrialState.WAITING))
    stored.study.enqueue_trial({"x": 1})
    assert [stored.take_waiting(), stored.take_waiting(worker="w")] == [1, 0]
    assert [trial.user_attrs for trial in stored.trials()] == [{"worker": "w"}, {}]
