"""Studies: what identifies them, and what there is in a storage."""

import re
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from study_support import IDENTITY, opened

from kerastuna.search.errors import StudyError
from kerastuna.search.study.records import study_rows
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.studies import delete_study, latest_study, load_study

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
    same = "put the space back as it was" if "hyperparameters" in changes else "give the same arguments"
    told = f"study 's' exists with another identity ({message}): {same} to go on with it, or give another name to "
    assert str(caught.value) == f"{told}start afresh"
    assert opened(storage).user_attrs["identity"]["budget"] == 15000
    assert opened(storage, "another", **changes).trials == []


FIXED = [*IDENTITY["hyperparameters"][:2], {"name": "units", "kind": "Fixed", "value": 8}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hyperparameters": FIXED}, "hyperparameters: other units"),
        ({"hyperparameters": IDENTITY["hyperparameters"][:2], "budget": 9}, "budget: 15000, now 9; hyperparameters: "),
        ({"hyperparameters": FIXED, "seed": 1}, "seed: 0, now 1; hyperparameters: other units"),
    ],
)
@pytest.mark.parametrize("is_later", [True, False])
def test_the_space_alone_is_not_blamed_for_what_arguments_may_have_changed(
    changes: dict[str, Any], message: str, is_later: bool
) -> None:
    storage = InMemoryStorage()
    opened(storage, **({} if is_later else changes))
    with pytest.raises(StudyError) as caught:
        opened(storage, **(changes if is_later else {}))
    if is_later:
        assert f"study 's' exists with another identity ({message}" in str(caught.value)
    told = (
        "): give the same --fix (in Python: fixed=) and other arguments, or put the space back as it was, to go on "
        "with it, or give another name to start afresh"
    )
    assert str(caught.value).endswith(told)


def test_another_fixed_value_is_told_as_one() -> None:
    storage = InMemoryStorage()
    opened(storage, hyperparameters=FIXED)
    with pytest.raises(StudyError, match=r"\(hyperparameters: other units\): give the same --fix "):
        opened(storage, hyperparameters=[*FIXED[:2], {**FIXED[2], "value": 4}])


def test_a_program_may_tell_the_space_in_a_way_of_its_own() -> None:
    storage = InMemoryStorage()
    opened(storage, hyperparameters="three")
    with pytest.raises(StudyError, match=r'\(hyperparameters: "three", now 3\): put the space back as it was to go on'):
        opened(storage, hyperparameters=3)


def test_a_value_that_the_space_fixes_by_itself_is_not_asked_for() -> None:
    storage = InMemoryStorage()
    opened(storage, hyperparameters=FIXED)
    with pytest.raises(StudyError, match=r"\(hyperparameters: other blocks\): put the space back as it was to go on"):
        opened(storage, hyperparameters=[{**FIXED[0], "max_value": 4}, *FIXED[1:]])


def test_a_study_keeps_its_seed_where_none_is_given() -> None:
    storage = InMemoryStorage()
    opened(storage)
    assert opened(storage, seed=None).user_attrs["identity"]["seed"] == 0


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
