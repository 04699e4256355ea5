"""What the arguments of `OptunaTuner.search` tell of a training. They are those of `model.fit`."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

EPOCHS = 3
"""Where the epochs are among the arguments of `model.fit` that are given by position."""


def epochs_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """The epochs of every trial; None where they are not given, so that the hypermodel decides."""
    given = kwargs.get("epochs", args[EPOCHS] if len(args) > EPOCHS else None)
    return int(given) if isinstance(given, numbers.Integral) else None


def validates_every_epoch(kwargs: Mapping[str, Any]) -> bool:
    """Whether every epoch reports the metrics in validation, if any does."""
    return kwargs.get("validation_freq", 1) == 1
