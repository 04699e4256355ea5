"""The errors that a description can raise, and how they are told apart."""

from kerastuna.spaces.errors import InfeasibleArchitecture, InputError, KerastunaError


def test_errors_are_told_apart_by_their_exit_status() -> None:
    assert issubclass(InputError, KerastunaError)
    assert issubclass(InputError, ValueError)
    assert InputError.exit_status == 2
    assert issubclass(InfeasibleArchitecture, KerastunaError)
    assert not issubclass(InfeasibleArchitecture, InputError)
    assert InfeasibleArchitecture.exit_status == 1
