"""Arguments of the commands, and how a command ends that was given bad ones."""

import argparse
import sys
from collections.abc import Callable

from kerastuna.search.messages import one_line

BAD_INPUT = 2


def at_least(least: int) -> Callable[[str], int]:
    """Reads a whole number that is not below `least`, for argparse."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return value

    return number


def refused(error: Exception) -> int:
    """Tell of bad input in one line; returns the exit status."""
    print(one_line(str(error)), file=sys.stderr)
    return BAD_INPUT
