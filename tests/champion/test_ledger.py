"""The ledger of the test set: every opening is numbered, and a second one has to be asked for."""

import optuna
import pytest

from kerastuna.search.champion.ledger import open_test_set, openings, read_test_set, refuse_second_opening
from kerastuna.search.errors import DataError, InputError


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
