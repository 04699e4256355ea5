"""The errors of a search: what they derive from, and the exit status that they give the command."""

import pytest

from kerastuna.search import errors
from kerastuna.spaces.errors import InfeasibleArchitecture, InputError, KerastunaError

NOT_ALLOWED = ["DataError", "DeviceError", "SpaceError", "StudyError"]
WENT_WRONG = ["CannotDraw", "Diverged", "OverBudget", "SearchFailed"]


@pytest.mark.parametrize("name", NOT_ALLOWED)
def test_what_was_given_is_not_allowed(name: str) -> None:
    error = getattr(errors, name)("one line")
    assert isinstance(error, InputError)
    assert isinstance(error, ValueError)
    assert (error.exit_status, str(error)) == (2, "one line")


@pytest.mark.parametrize("name", WENT_WRONG)
def test_the_search_went_wrong(name: str) -> None:
    error = getattr(errors, name)("one line")
    assert isinstance(error, KerastunaError)
    assert not isinstance(error, InputError)
    assert error.exit_status == 1


def test_the_errors_of_spaces_are_offered_too() -> None:
    assert errors.KerastunaError is KerastunaError
    assert errors.InputError is InputError
    assert errors.InfeasibleArchitecture is InfeasibleArchitecture
    assert (
        sorted([*NOT_ALLOWED, *WENT_WRONG, "InfeasibleArchitecture", "InputError", "KerastunaError"]) == errors.__all__
    )
