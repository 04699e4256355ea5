"""Architecture search under a hard budget: `kerastuna.spaces` says what is searched, `kerastuna.search` how.

Installed as the package `kerastuna` itself, above the two.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "__version__":  # the command needs it for --version alone
        from importlib.metadata import version

        return version("kerastuna")
    if name in ("search", "spaces"):
        return import_module(f"kerastuna.{name}")
    raise AttributeError(f"module 'kerastuna' has no attribute {name!r}")
