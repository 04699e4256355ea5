"""The base of all errors, and the errors that a description of a network can raise.

    KerastunaError
    ├── InputError                  an argument is not allowed (exit status 2); also a ValueError
    └── InfeasibleArchitecture      the layers do not fit the input, for example a map below one pixel

`kerastuna.search.errors` adds the errors that a search can raise.
"""


class KerastunaError(Exception):
    """Base of all errors that Kerastuna raises on purpose. The message is one line for the user."""

    exit_status = 1


class InputError(KerastunaError, ValueError):
    """An argument is not allowed; the message says what was given, what is allowed and what to do."""

    exit_status = 2


class InfeasibleArchitecture(KerastunaError):
    """A layer of an architecture does not fit its input; the message names the layer and the shapes."""
