"""Code that a user names on the command line as `module:attribute`: found, imported and called with one-line errors."""

import importlib
import importlib.util
import operator
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from typing import Any

from .errors import InputError
from .redaction import redact
from .text import shortened


def find_module(module: str, what: str, error: type[InputError]) -> None:
    """Make the working folder importable, as `python -m` does, and see that `module` is there, without importing it.

    Packages around it are imported. Raises `error`, whose message begins with `what`.
    """
    directory = os.getcwd()
    if directory not in sys.path and "" not in sys.path:
        sys.path.insert(0, directory)  # for good: the code may import its neighbours later
    there = module in sys.modules or guarded(
        partial(importlib.util.find_spec, module), f"module {module} of {what} cannot be imported", error
    )
    if not there:
        raise error(
            f"{what}: there is no module {module} here or among the installed packages; check the name, or change "
            "to the folder that holds it"
        )


def import_attribute(module: str, attribute: str, what: str, error: type[InputError]) -> Any:
    """The attribute of a module; raises `error`, whose message begins with `what`."""
    imported = guarded(partial(importlib.import_module, module), f"module {module} of {what} cannot be imported", error)
    return guarded(partial(operator.attrgetter(attribute), imported), f"{what} cannot be found", error)


def guarded(function: Callable[[], Any], problem: str, error: type[InputError]) -> Any:
    """Call what the user wrote: a failure becomes one line, and what it prints goes to standard error."""
    try:
        with redirect_stdout(sys.stderr):
            return function()
    except (Exception, SystemExit) as caught:
        raise error(f"{problem} ({cause(caught)}): correct it") from caught


def is_reference(spec: str) -> bool:
    """Whether `spec` has the form `module:attribute`."""
    module, colon, attribute = spec.partition(":")
    return bool(colon) and all(part.isidentifier() for part in f"{module}.{attribute}".split("."))


def shown(text: str) -> str:
    """`text` in quotes, without the password of a URL in it."""
    return repr(redact(text))


def cause(error: BaseException) -> str:
    """An error in one short line, without the password of a URL in it."""
    return _line(": ".join(filter(None, [type(error).__name__, str(error)])))


def cause_in(trace: str) -> str:
    """The error at the end of a trace as Python prints it, in one short line like `cause`.

    The trace may have lost its beginning.
    """
    _, heading, end = trace.rpartition("Traceback (most recent call last):\n")
    if not heading:
        *_, end = trace.rpartition('\n  File "')
    lines = end.splitlines()
    frames = 0 if heading else 1
    first = next((number for number, line in enumerate(lines) if number >= frames and not line.startswith("  ")), 0)
    return _line(" ".join(lines[first:]))


def _line(text: str) -> str:
    return shortened(redact(text), 300)
