"""The command `kerastuna`: which command runs, and how it ends. Each command is a module of its own."""

import os
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

from ..errors import KerastunaError
from .common import program
from .parser import make_parser

INTERRUPTED = 130
COMMANDS = ("search", "confirm", "export", "trials", "studies", "describe", "ui", "bench")
"""Each is a function of the same name, in the module of that name beside this one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 the search failed, 2 bad input, 130 interrupted."""
    options = make_parser(_functions()).parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)  # as Ctrl-C: keep everything, say how to go on
    try:
        return options.command(options)
    except KerastunaError as error:
        print(f"kerastuna: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        again = shlex.join([program(), *(sys.argv[1:] if arguments is None else arguments)])
        print(f"kerastuna: interrupted; nothing that was finished is lost. To go on: {again}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader closed the pipe, as `| head` does
        return 0


def _functions() -> Mapping[str, Callable[[Namespace], int]]:
    """The commands by name; a command's module is imported when it is called."""
    return {name: lambda options, name=name: _call(name, options) for name in COMMANDS}


def _call(name: str, options: Namespace) -> int:
    return getattr(import_module(f".{name}", __package__), name)(options)


def _terminate(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
