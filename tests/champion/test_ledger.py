"""The ledger of the test set: every opening is numbered, and a second one has to be asked for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest

from kerastuna.search.champion.ledger import open_test_set, openings, read_test_set, refuse_second_opening
from kerastuna.search.errors import DataError, InputError
from kerastuna.search.study.storage import open_storage


def test_the_ledger_numbers_every_opening() -> None:
    study = optuna.create_study(study_name="digits")
    refuse_second_opening(study, 1, again=False)
    first = open_test_set(study, 1, "the winner")
    assert first.opening == 1
    assert openings(study) == [first]
    refuse_second_opening(study, 2, again=False)  # another winner is another opening, not a second look
    with pytest.raises(InputError, match=r"opened for trial 1 of study 'digits' before.*--again"):
        refuse_second_opening(study, 1, again=False)
    refuse_second_opening(study, 1, again=True)
    assert open_test_set(study, 1, "again").opening == 2
    assert [opening.purpose for opening in openings(study)] == ["the winner", "again"]


def test_an_opening_that_showed_nothing_is_withdrawn() -> None:
    study = optuna.create_study(study_name="digits")
    first, seen = read_test_set(study, 1, "the winner", lambda: len(openings(study)))
    assert (first.opening, seen) == (1, 1)  # it is written down before anything is read

    def unreadable() -> None:
        assert len(openings(study)) == 2
        raise DataError("an unknown class")

    with pytest.raises(DataError, match="an unknown class"):
        read_test_set(study, 2, "another winner", unreadable)
    assert openings(study) == [first]
    refuse_second_opening(study, 2, again=False)


def test_of_openings_at_the_same_moment_each_is_kept_with_its_number(tmp_path: Path) -> None:
    optuna.create_study(storage=open_storage(tmp_path / "journal"), study_name="digits")
    start = threading.Barrier(4)

    def look(trial: int) -> None:
        study = optuna.load_study(study_name="digits", storage=open_storage(tmp_path / "journal"))
        start.wait()
        for _ in range(3):
            open_test_set(study, trial, "a look")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(look, range(4)))
    kept = openings(optuna.load_study(study_name="digits", storage=open_storage(tmp_path / "journal")))
    assert [opening.opening for opening in kept] == list(range(1, 13))
    assert sorted(opening.trial for opening in kept) == sorted(list(range(4)) * 3)
