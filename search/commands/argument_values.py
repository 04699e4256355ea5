"""How the values of arguments are read. Each function raises ArgumentTypeError, which argparse tells in one line."""

import argparse
import math
from collections.abc import Callable

from ..messages import shown

MOST_REPEATS = 1_000_000_000
"""Of what is counted one by one, such as the rows of a table."""


def positive(text: str) -> int:
    """Reads a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MOST_REPEATS:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a whole number from 1 to {MOST_REPEATS:,}")
    return value


def amount_of(kilo: int) -> Callable[[str], int]:
    """Reads a number with K, M or G behind it, of which K is `kilo`."""

    def amount(text: str) -> int:
        power = " KMG".find(text[-1:].upper()) if text[-1:].isalpha() else 0
        try:
            value = float(text[:-1] if power else text) * kilo**power
        except ValueError:
            value = math.nan
        if power < 0 or not value >= 1 or value == math.inf or value != int(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0, such as 3000000 or 3M")
        return int(value)

    return amount


def seconds(text: str) -> float:
    """Reads a number of seconds, or of minutes or hours with m or h behind it."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    try:
        return float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, such as 600, 10m or 2h") from None


def names(text: str) -> tuple[str, ...]:
    """Reads names with commas between them."""
    return tuple(part.strip() for part in text.split(","))


def target(text: str) -> dict[str, float]:
    """Reads METRIC=VALUE."""
    metric, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form METRIC=VALUE, such as val_accuracy=0.99")
    return {metric.strip(): number}
