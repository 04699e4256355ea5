"""Failures of single trials: one that takes too long, and a network that cannot be built."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import keras_tuner

from ..messages import shortened

_BUILDING = "while the network was built, at "


@final
class TrialTimeout(keras_tuner.errors.FailedTrialError):
    """A trial took longer than a single one may take."""


@final
@dataclass(frozen=True)
class TrialLimit:
    """How long a trial may take.

    Attributes:
        seconds: from its beginning.
        end: when they are over, on the clock of `time.monotonic`.
    """

    seconds: float
    end: float

    @classmethod
    def from_now(cls, seconds: float | None) -> "TrialLimit | None":
        """The limit of a trial that begins now; None for no limit."""
        return None if seconds is None else cls(seconds, time.monotonic() + seconds)

    def failure(self) -> TrialTimeout | None:
        """What is to be raised when the time is over; None before."""
        return TrialTimeout(too_long(self.seconds)) if time.monotonic() >= self.end else None


def too_long(seconds: float) -> str:
    """What is told of a trial that took longer than so many seconds."""
    return f"the trial took longer than {seconds:g} s, its limit"


@contextmanager
def building(values: Mapping[str, Any]) -> Iterator[None]:
    """Note with an error that the block raises that a network with these hyperparameters was being built."""
    try:
        yield
    except Exception as error:
        error.add_note(_BUILDING + (shortened(", ".join(f"{key}={value!r}" for key, value in values.items()), 300)))
        raise


def is_of_a_build(error: BaseException) -> bool:
    """Whether the error was raised while a network was built."""
    return any(note.startswith(_BUILDING) for note in getattr(error, "__notes__", ()))
