"""`kerastuna bench`: the benchmarks of a source checkout."""

import argparse
import ast
import subprocess
import sys
from pathlib import Path

from ..errors import InputError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
"""Of the checkout; not part of an installed package."""


def bench(options: argparse.Namespace) -> int:
    """Run a benchmark and return its exit status, or list those there are."""
    return run_benchmark(BENCHMARKS, options.name, options.arguments)


def run_benchmark(folder: Path, name: str | None, arguments: list[str]) -> int:
    """Run the script `name` of `folder` in a process of its own and return its exit status; without a name, list them.

    Raises InputError where there is no such folder or script.
    """
    scripts = {path.stem: path for path in sorted(folder.glob("*.py"))}
    if not scripts:
        raise InputError(f"there are no benchmarks in {folder}: run this in a source checkout of Kerastuna")
    if name is None:
        width = max(map(len, scripts))
        for stem, path in scripts.items():
            print(f"{stem:{width}}  {first_line(path)}")
        return 0
    if name not in scripts:
        raise InputError(f"there is no benchmark {name!r}: choose one of {', '.join(scripts)}")
    with subprocess.Popen([sys.executable, str(scripts[name]), *arguments]) as child:
        try:
            status = child.wait()
        except KeyboardInterrupt:
            child.terminate()  # Ctrl-C has reached it already, SIGTERM has not
            child.wait()
            raise
    return status if status >= 0 else 128 - status  # as a shell tells of a signal


def first_line(path: Path) -> str:
    """The first line of a script's docstring; empty where it has none."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
