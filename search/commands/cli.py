"""The command `kerastuna`: which command runs, and how it ends. Each command is a module of its own."""

import errno
import io
import os
import select
import shlex
import signal
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn, TextIO

from ..errors import InputError, KerastunaError, SearchFailed
from ..messages import hidden_secrets, one_line, redact, secrets_of
from ..training.interruption import forget, interruptible, second_signal_forces, stop, was_told_to_stop
from .common import program
from .parser import make_parser

INTERRUPTED, UNREAD = 130, 141
"""Exit statuses after Ctrl-C, and of a command whose output nobody reads any more, as shells have them."""
PRINTING = ("trials", "studies", "describe")
"""Commands that are done where their reader has seen enough, as `| head` has."""
BEGINNING_ANEW = ("bench",)
"""Commands of which it is not known whether they go on with what they did before."""
STOPPING = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
"""Signals that end a command as Ctrl-C does: everything is kept. The second one ends it at once."""
OF_THE_DISK = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EEXIST,  # a file where a folder shall be
        errno.EFBIG,
        errno.EIO,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
"""Errors of the system for which the disk is to blame, full, read-only or not the user's to write, or the name."""
COMMANDS = (
    "search",
    "confirm",
    "export",
    "trials",
    "studies",
    "repair",
    "describe",
    "reproduce",
    "ui",
    "dashboard",
    "bench",
)
"""Each is a function of the same name, in the module of that name beside this one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command within a program; returns its exit status.

    It is 0 when the command is done, 1 when it failed, 2 for bad input, 130 when it was interrupted, and 141 when its
    output was not read.
    """
    forget()
    before = _handle_signals(stop)
    try:
        return _status_of(sys.argv[1:] if arguments is None else list(arguments))
    finally:
        forget()
        for number, handler in before.items():
            if handler is not None:  # which was not set by Python
                signal.signal(number, handler)


def run() -> NoReturn:
    """Be the command `kerastuna`: end this process with the exit status that `main` would return.

    From the end of the command on a signal ends the process with the same status. The end of Python may take seconds.
    """
    _handle_signals(stop)
    status = _status_of(sys.argv[1:])
    _handle_signals(lambda number, frame: os._exit(status))
    sys.exit(status)


def _handle_signals(handler: Callable[[int, FrameType | None], Any]) -> dict[int, Any]:
    """Give the signals that end a command this handler; returns those that they had."""
    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]  # it is under nohup
    return {number: signal.signal(number, handler) for number in heeded}


def _status_of(given: Sequence[str]) -> int:
    with hidden_secrets(secrets_of(_urls(given), os.environ)):
        try:
            return _run(given)
        except Exception:  # here, while the secrets are known; Python would print it without this
            print(redact(traceback.format_exc()), end="", file=sys.stderr)
            return SearchFailed.exit_status


def _urls(given: Sequence[str]) -> list[str]:
    """The arguments that may be URLs, each alone: a password is shown in a wrong one too."""
    return [part for argument in given for part in (argument, argument.partition("=")[2]) if "@" in part or "?" in part]


def _run(given: Sequence[str]) -> int:
    options = make_parser(_functions()).parse_args(given)
    again = _how_to_go_on(given)
    try:
        with second_signal_forces(STOPPING, INTERRUPTED, lambda: _tell_of_the_end(again)), _interruptions():
            return interruptible(partial(_done, options))
    except KerastunaError as error:
        print(f"kerastuna: {one_line(str(error))}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"kerastuna: interrupted; {again}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        if not _has_lost_its_reader(sys.stdout):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if given[0] in PRINTING else UNREAD
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        where = (
            f"{one_line(str(error.filename), 200)!r} cannot be used" if error.filename else "a file cannot be written"
        )
        print(f"kerastuna: {where}: {error.strerror}; see to the disk, or give another --folder", file=sys.stderr)
        return InputError.exit_status


def _how_to_go_on(given: Sequence[str]) -> str:
    if given[0] in BEGINNING_ANEW:
        return "what is kept, and how to go on, is up to the benchmark"
    return f"nothing that was finished is lost. To go on: {program()} {shlex.join(map(redact, given))}"


def _done(options: Namespace) -> int:
    status = options.command(options)
    _flush(sys.stdout)  # here, where waiting for a reader can be interrupted
    return status


def _flush(stream: TextIO | None) -> None:
    if stream is not None:  # as it is where it was closed before
        stream.flush()


def _has_lost_its_reader(stream: TextIO) -> bool:
    """Whether this is a pipe that was closed at its other end."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except io.UnsupportedOperation:  # it is no file, as in a notebook
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


@contextmanager
def _interruptions() -> Iterator[None]:
    """What TensorFlow, or somebody who catches everything, made of an interruption is one again."""
    try:
        yield
    except Exception as error:
        if was_told_to_stop():
            raise KeyboardInterrupt from error
        raise


def _tell_of_the_end(again: str) -> None:
    cursor = "\x1b[?25h" if os.isatty(2) else ""  # which the display of a search hides
    os.write(2, f"{cursor}\nkerastuna: ended at once by the second signal; {again}\n".encode(errors="replace"))


def _functions() -> Mapping[str, Callable[[Namespace], int]]:
    """The commands by name; a command's module is imported when it is called."""
    return {name: lambda options, name=name: _call(name, options) for name in COMMANDS}


def _call(name: str, options: Namespace) -> int:
    return getattr(import_module(f".{name}", __package__), name)(options)
