"""Storages on servers: parts of an operation, and a study that was deleted while somebody works on it."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel
from optuna.study import StudyDirection
from optuna.trial import TrialState
from study_support import opened

from kerastuna.search.compat.optuna_attributes import change_attribute
from kerastuna.search.errors import StudyError
from kerastuna.search.study.patient_storage import deleted
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.studies import delete_study
from kerastuna.search.study.waiting import joining


@pytest.fixture(params=["sqlite", "older sqlite", "journal"])
def location(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "older sqlite":
        for name in ("studies", "trials"):
            monkeypatch.setitem(BaseModel.metadata.tables[name].dialect_options["sqlite"], "autoincrement", False)
        RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")
        monkeypatch.undo()
    return f"sqlite:///{tmp_path / 'studies.db'}" if "sqlite" in request.param else str(tmp_path / "studies.journal")


def test_every_operation_tells_that_the_study_was_deleted(location: str) -> None:
    storage = open_storage(location)
    stored = StoredStudy(opened(storage), storage)
    number = stored.add(None)
    trial_id = stored.trial_id(number)
    delete_study(open_storage(location), "s", force=True)
    for operation in (
        lambda: stored.trial(number),
        stored.trials,
        lambda: stored.add(None),
        lambda: stored.keep(number, name="late"),
        lambda: storage.set_trial_intermediate_value(trial_id, 1, 0.5),
        lambda: stored.set_state(number, TrialState.FAIL),
        lambda: stored.study.set_user_attr("seconds", 1.0),
        lambda: stored.study.enqueue_trial({"n": 1}),
    ):
        with pytest.raises(StudyError) as told:
            operation()
        assert str(told.value) == str(deleted("s"))
    assert optuna.get_all_study_names(open_storage(location)) == []


@pytest.mark.parametrize("name", ["other", "s"])
def test_another_study_in_its_place_is_not_taken_for_it(location: str, name: str) -> None:
    storage = open_storage(location)
    stored = StoredStudy(opened(storage), storage)
    number = stored.add(None)
    trial_id = stored.trial_id(number)
    delete_study(open_storage(location), "s", force=True)
    # An older file of SQLite gives it, and its trial, the same numbers.
    later = StoredStudy(opened(other := open_storage(location), name), other)
    later.add(None)
    for operation in (
        lambda: stored.keep(number, name="late"),
        lambda: storage.set_trial_intermediate_value(trial_id, 1, 0.5),
        lambda: stored.set_state(number, TrialState.COMPLETE),
        lambda: stored.add(None),
        lambda: change_attribute(storage, stored._id, "seconds", lambda before: 1.0),
        lambda: stored.study.set_user_attr("seconds", 1.0),
        lambda: stored.trial(number),
        stored.trials,
    ):
        with pytest.raises(StudyError, match="the study 's' was deleted while"):
            operation()
    assert "seconds" not in later.study.user_attrs
    [trial] = later.trials()
    assert (trial.state, trial.user_attrs, trial.intermediate_values) == (TrialState.RUNNING, {}, {})
    later.keep(0, name="in time")


def test_trials_of_another_study_are_not_taken_for_its_own(location: str) -> None:
    storage = open_storage(location)
    opened(storage, "other")
    stored = StoredStudy(opened(storage), storage)
    trial_id = stored.trial_id(stored.add(None))
    delete_study(open_storage(location), "s", force=True)
    later = StoredStudy(opened(other := open_storage(location), "other"), other)
    later.add(None)
    with pytest.raises(StudyError, match="the study 's' was deleted while"):
        storage.set_trial_user_attr(trial_id, "name", "late")
    assert [trial.user_attrs for trial in later.trials()] == [{}]


@pytest.mark.parametrize("location", ["sqlite", "older sqlite"], indirect=True)
def test_who_deletes_its_own_study_goes_on(location: str) -> None:
    storage = open_storage(location)
    StoredStudy(opened(storage), storage)
    delete_study(storage, "s", force=True)
    stored = StoredStudy(opened(storage), storage)
    assert stored.add(None) == 0


def test_who_joins_a_study_does_not_make_it(location: str) -> None:
    storage = open_storage(location)
    with joining(), pytest.raises(StudyError, match="the study 's' was deleted while this search worked on it"):
        opened(storage)
    assert optuna.get_all_study_names(storage) == []
    opened(storage)
    with joining():
        assert opened(storage).study_name == "s"


def test_what_is_not_there_stays_an_error_of_optuna_while_the_study_is(location: str) -> None:
    storage = open_storage(location)
    StoredStudy(opened(storage), storage)
    with pytest.raises(KeyError):
        storage.get_study_id_from_name("nowhere")
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        storage.create_new_study([StudyDirection.MAXIMIZE], "s")
