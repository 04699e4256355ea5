"""The ledger of the test set: every opening is numbered, and a second one has to be asked for."""

import optuna
import pytest

from kerastuna.search.champion.ledger import open_test_set, openings, refuse_second_opening, withdraw_opening
from kerastuna.search.errors import InputError


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
    first, second = open_test_set(study, 1, "the winner"), open_test_set(study, 2, "another winner")
    withdraw_opening(study, second)
    assert openings(study) == [first]
    refuse_second_opening(study, 2, again=False)
