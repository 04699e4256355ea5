"""What the commands of the benchmarks share: their arguments, how they end for bad input, and files written whole."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, final

from kerastuna.search.errors import InputError
from kerastuna.search.messages import one_line


@final
class Parser(argparse.ArgumentParser):
    """Tells of a wrong argument in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(InputError.exit_status, f"{self.prog}: {message}; see --help\n")


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
    return InputError.exit_status


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file that then takes the place of `path`, which is never half written."""
    new = path.with_stem(f"{path.stem}.new")
    try:
        write(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def interrupted_once() -> Iterator[None]:
    """In the block, SIGINT or SIGTERM raises KeyboardInterrupt; those that follow do not disturb the end.

    `kerastuna bench` sends SIGTERM to a benchmark shortly after Ctrl-C. The handlers are given back after the block.
    """
    numbers = signal.SIGINT, signal.SIGTERM

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
