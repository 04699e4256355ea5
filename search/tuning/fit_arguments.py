"""What the arguments of `OptunaTuner.search` tell of a training. They are those of `model.fit`."""

import inspect
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import keras


def by_name(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments by the names that they have in `model.fit`."""
    _, *names = inspect.signature(keras.Model.fit).parameters
    return {**dict(zip(names, args, strict=False)), **kwargs}


def epochs_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """The epochs of every trial; None where they are not given, so that the hypermodel decides."""
    given = by_name(args, kwargs).get("epochs")
    return int(given) if isinstance(given, numbers.Integral) else None


def validates_every_epoch(kwargs: Mapping[str, Any]) -> bool:
    """Whether every epoch reports the metrics in validation, if any does."""
    return kwargs.get("validation_freq", 1) == 1
