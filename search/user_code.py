"""Code that a user names on the command line as `module:attribute`: found, imported and called with one-line errors."""

import importlib.util
import operator
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from typing import Any

from .errors import InputError
from .messages import cause


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
