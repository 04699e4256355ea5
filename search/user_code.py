"""Finds, imports and calls code that a user names as `module:attribute`, with errors of one line."""

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
    """Add the working folder to `sys.path`, as `python -m` does, and check that `module` exists without importing it.

    The packages around it are imported. Raises `error` if it does not exist or such a package fails; the message names
    `what`.
    """
    directory = os.getcwd()
    if directory not in sys.path and "" not in sys.path:
        sys.path.insert(0, directory)  # stays there: the code may import other modules later
    exists = module in sys.modules or guarded(
        partial(importlib.util.find_spec, module), f"module {module} of {what} cannot be imported", error
    )
    if not exists:
        raise error(
            f"{what}: there is no module {module} here or among the installed packages; check the name, or change "
            "to the folder that holds it"
        )


def import_attribute(module: str, attribute: str, what: str, error: type[InputError]) -> Any:
    """The attribute of a module; raises `error` if it cannot be imported, with a message that names `what`."""
    imported = guarded(partial(importlib.import_module, module), f"module {module} of {what} cannot be imported", error)
    return guarded(partial(operator.attrgetter(attribute), imported), f"{what} cannot be found", error)


def guarded(function: Callable[[], Any], problem: str, error: type[InputError]) -> Any:
    """Call a function of the user; what it prints goes to standard error.

    If it raises an exception or exits, raises `error` in one line that begins with `problem`. KeyboardInterrupt passes.
    """
    try:
        with redirect_stdout(sys.stderr):
            return function()
    except (Exception, SystemExit) as caught:
        raise error(f"{problem} ({cause(caught)}): correct it") from caught


def is_reference(spec: str) -> bool:
    """Whether `spec` has the form `module:attribute`."""
    module, colon, attribute = spec.partition(":")
    return bool(colon) and all(part.isidentifier() for part in f"{module}.{attribute}".split("."))
