"""The exceptions of a search, one hierarchy.

KerastunaError                  exit status 1
├── InputError                  2, what was given is not allowed
│   ├── DataError               a data set that is missing, damaged or of the wrong form
│   ├── SpaceError              a search space that cannot be imported, built or counted
│   ├── StudyError              an unknown study, or a known one with another identity
│   └── DeviceError             an accelerator that was asked for and is not usable
├── InfeasibleArchitecture      (of kerastuna.spaces) the layers do not fit the input
├── OverBudget                  a network that was built although it is larger than allowed: a bug or a lying space
├── CannotDraw                  a figure has too little to show; it is left out, with the reason
└── SearchFailed                the search ran, but found nothing feasible or only failures
    └── Diverged                a training of a confirmation, or of a known network, whose loss is not finite
"""

from ..spaces.errors import InfeasibleArchitecture, InputError, KerastunaError

__all__ = [
    "CannotDraw",
    "DataError",
    "DeviceError",
    "Diverged",
    "InfeasibleArchitecture",
    "InputError",
    "KerastunaError",
    "OverBudget",
    "SearchFailed",
    "SpaceError",
    "StudyError",
]


class DataError(InputError):
    """A data set is missing, damaged or not of the form a search needs."""


class SpaceError(InputError):
    """A search space cannot be imported, built or counted."""


class StudyError(InputError):
    """A study does not exist, or exists with another identity than the one asked for."""


class DeviceError(InputError):
    """An accelerator that was asked for is absent or does not work."""


class OverBudget(KerastunaError):
    """A network was built although it is larger than its budget allows."""


class CannotDraw(KerastunaError):
    """There is too little data for a figure; the message says what is missing."""


class SearchFailed(KerastunaError):
    """The search ran, but found nothing feasible, or nothing but failures."""


class Diverged(SearchFailed):
    """A training of one network ended because its loss was not finite."""
