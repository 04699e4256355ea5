"""The root of the exception hierarchy, and the errors a description of a network can raise.

    KerastunaError
    ├── InputError                  what was given is not allowed (exit status 2); also a ValueError
    └── InfeasibleArchitecture      the layers do not fit the input, for example a map below one pixel

`kerastuna.search.errors` adds what a search can raise.
"""


class KerastunaError(Exception):
    """Base of every error that Kerastuna raises on purpose. Its message is one line for the user."""

    exit_status = 1


class InputError(KerastunaError, ValueError):
    """Something the user gave is not allowed; the message says what was given, what is allowed and what to do."""

    exit_status = 2


class InfeasibleArchitecture(KerastunaError):
    """The layers of an architecture do not fit its input; the message names the layer and the shapes."""
