"""The searches of this process, and what an earlier one left running."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from study_support import opened

from kerastuna.search.study import liveness
from kerastuna.search.study.attributes import DIED, WORKER
from kerastuna.search.study.liveness import claim_attributes, this_worker
from kerastuna.search.study.searches import searched_here
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy


def claimed(stored: StoredStudy) -> int:
    return stored.add(optuna.create_trial(state=TrialState.RUNNING, user_attrs=claim_attributes()))


def states(stored: StoredStudy) -> list[str]:
    return [trial.state.name for trial in stored.trials()]


@pytest.fixture
def stored(tmp_path: Path) -> StoredStudy:
    storage = open_storage(tmp_path / "journal")
    return StoredStudy(opened(storage), storage)


def test_what_an_earlier_search_left_running_is_tried_again_by_the_next(stored: StoredStudy) -> None:
    claimed(stored)
    held = claimed(stored)
    with searched_here(stored, [held]):
        assert states(stored) == ["FAIL", "RUNNING", "WAITING"]
    assert stored.trial(0).user_attrs["reason"] == "interrupted"
    with searched_here(stored) as fail_what_is_left:
        assert states(stored) == ["FAIL", "FAIL", "WAITING", "WAITING"]
        claimed(stored)
        fail_what_is_left()
        assert states(stored)[4:] == ["FAIL", "WAITING"]


def test_the_trials_of_a_search_that_is_under_way_are_left_to_it(stored: StoredStudy) -> None:
    with searched_here(stored):
        number = claimed(stored)
        other = StoredStudy(stored.study, stored.storage)
        with searched_here(other) as fail_what_is_left:
            fail_what_is_left()
            assert states(stored) == ["RUNNING"]
        with searched_here(other):
            assert states(stored) == ["RUNNING"]
    with pytest.raises(KeyError, match="over"), searched_here(stored, [number]):
        raise KeyError("over")
    with searched_here(stored):
        assert states(stored) == ["FAIL", "WAITING"]


def test_those_of_other_processes_run_on_and_no_death_is_held_against_those_of_this_one(
    stored: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "_parent", None)
    liveness.note_parent()  # as in a worker
    claimed(stored)
    stored.keep(claimed(stored), **{WORKER: {**this_worker(), "pid": 1}})
    with searched_here(stored):
        assert states(stored) == ["FAIL", "RUNNING", "WAITING"]
    assert DIED not in stored.trial(0).user_attrs
