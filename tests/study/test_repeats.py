"""Operations that are repeated: each happens once, whether the first try has happened or not.

tests/end_to_end/test_restarts.py does the same with a PostgreSQL server whose connections are cut.
"""

from typing import Any

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from kerastuna.search.compat.optuna_attributes import change_attribute
from kerastuna.search.study.repeats import MARK, calls, marked


@pytest.fixture
def storage() -> BaseStorage:
    """With a study and a running trial."""
    storage = InMemoryStorage()
    storage.create_new_trial(storage.create_new_study([StudyDirection.MAXIMIZE], "s"))
    return storage


def state_calls(storage: BaseStorage, state: TrialState, values: Any = None) -> Any:
    return calls("set_trial_state_values", InMemoryStorage.set_trial_state_values, storage, (0, state, values), {})


def twice(storage: BaseStorage, name: str, *args: Any) -> Any:
    """Do an operation whose first answer is lost, and repeat it."""
    first, again = calls(name, getattr(InMemoryStorage, name), storage, args, {})
    first()
    return again()


def test_what_ends_a_trial_is_repeated_where_it_has_ended_so(storage: BaseStorage) -> None:
    assert twice(storage, "set_trial_state_values", 0, TrialState.COMPLETE, [0.5]) is True
    for state, values in ((TrialState.COMPLETE, [0.6]), (TrialState.FAIL, None)):
        _, again = calls(
            "set_trial_state_values", InMemoryStorage.set_trial_state_values, storage, (0, state, values), {}
        )
        with pytest.raises(UpdateFinishedTrialError):
            again()


def test_the_first_try_of_an_end_tells_that_the_trial_has_ended(storage: BaseStorage) -> None:
    storage.set_trial_state_values(0, TrialState.FAIL)
    first, _ = calls(
        "set_trial_state_values", InMemoryStorage.set_trial_state_values, storage, (0, TrialState.FAIL), {}
    )
    with pytest.raises(UpdateFinishedTrialError):
        first()


def test_a_trial_that_was_put_back_is_not_taken_from_who_took_it(storage: BaseStorage) -> None:
    first, again = state_calls(storage, TrialState.WAITING)
    first()
    storage.set_trial_state_values(0, TrialState.RUNNING)
    storage.set_trial_user_attr(0, "worker", "another")
    assert again() is True
    assert storage.get_trial(0).state == TrialState.RUNNING


def test_a_study_that_is_gone_was_deleted(storage: BaseStorage) -> None:
    assert twice(storage, "delete_study", 0) is None
    assert storage.get_all_studies() == []


def test_what_sets_a_value_sets_it_again(storage: BaseStorage) -> None:
    twice(storage, "set_trial_user_attr", 0, "name", "eip_1")
    twice(storage, "set_trial_intermediate_value", 0, 1, 0.5)
    trial = storage.get_trial(0)
    assert (trial.user_attrs, trial.intermediate_values) == ({"name": "eip_1"}, {1: 0.5})


def test_what_was_added_to_an_attribute_is_not_added_again(storage: BaseStorage) -> None:
    def add(before: Any) -> Any:
        return [*(before or []), ["one", 1]]

    first, again = calls("change_attribute", change_attribute, storage, (0, "openings", add), {})
    first()
    assert again() == [["one", 1]]
    assert storage.get_study_user_attrs(0) == {"openings": [["one", 1]]}


def test_what_was_not_added_to_an_attribute_is_added_at_the_second_try(storage: BaseStorage) -> None:
    first, again = calls("change_attribute", change_attribute, storage, (0, "seconds", lambda old: (old or 0) + 2), {})
    with pytest.raises(ConnectionError):
        first_of_a_storage_that_fails(first, storage)
    storage.set_study_user_attr(0, "seconds", 5)
    assert again() == 7


def first_of_a_storage_that_fails(first: Any, storage: Any) -> None:
    def fail(*arguments: Any) -> None:
        raise ConnectionError

    storage.set_study_user_attr = fail
    try:
        first()
    finally:
        del storage.set_study_user_attr


def test_each_trial_that_is_added_has_a_mark_of_its_own_and_the_template_stays_as_it_is() -> None:
    template = create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"n": 1}})
    one, other, new = marked(template), marked(template), marked(None)
    assert template.system_attrs == {"fixed_params": {"n": 1}}
    assert one.system_attrs["fixed_params"] == {"n": 1}
    assert len({trial.system_attrs[MARK] for trial in (one, other, new)}) == 3
    assert new.state == TrialState.RUNNING
    assert marked(one).system_attrs == one.system_attrs, "the server of a proxy keeps the mark of its client"
