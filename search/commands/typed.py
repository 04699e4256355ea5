"""The commands that can be typed after a search, in the form in which the search was typed: kerastuna, or make."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .common import program
from .options import RUNS_FOLDER, SearchOptions

if TYPE_CHECKING:
    from ..display.summary import Commands

VARIABLES = (
    *("SPACE", "DATA", "TASK", "TARGET", "OBJECTIVE", "IMAGES", "BUDGET", "MAX_MACS", "MAX_RAM", "MAX_FLASH"),
    *("BOARD", "PARETO", "MINIMIZE", "REACH", "PROFILE", "TRIALS", "EPOCHS", "TIMEOUT", "TRIAL_TIMEOUT", "DEVICE"),
    *("WORKERS", "RAY", "SEED", "FIX", "STUDY", "BEGIN_WITH"),
)
"""What `make search` takes; other options are passed on by ARGS."""


def is_typed_as_make() -> bool:
    """Whether `make` started this process, with the Makefile of this project in the working folder."""
    makefile = Path(__file__).resolve().parents[2] / "Makefile"
    return "MAKELEVEL" in os.environ and makefile.is_file() and makefile.parent == Path.cwd().resolve()


def command_on(options: SearchOptions, name: str, study: str) -> str:
    """The command `name` on a study that was opened with `options`, as it can be pasted; with no password."""
    tracking = options.tracking_arguments if name == "confirm" else ""
    return f"{program()} {name} --study {shlex.quote(study)}{options.location_arguments}{tracking}"


def commands_after(options: SearchOptions, study: str | None) -> "Commands":
    """What can be typed after the search of `options`, as it was typed; `study` is its study where that has results."""
    from ..display.summary import Commands

    ui = _ui_location(options)
    given = options.arguments("profile", "images", "trials", "epochs", "timeout", "study")
    given |= {"profile": "full", **({} if study is None else {"begin_with": study})}
    if not is_typed_as_make():
        full = shlex.join(part for name, value in given.items() for part in _argument(name, value))
        return Commands(
            program=program(),
            location=options.location_arguments,
            tracking=options.tracking_arguments,
            ui=" ".join(filter(None, [program(), "ui", ui])),
            export=None,
            full=f"{program()} search {full}",
        )
    rest = [part for name in given if name.upper() not in VARIABLES for part in _argument(name, given[name])]
    variables = {name.upper(): value for name, value in given.items() if name.upper() in VARIABLES}
    return Commands(
        program=program(),
        location=options.location_arguments,
        tracking=options.tracking_arguments,
        ui=_make("ui", {"ARGS": ui}),
        export=_make("export", {"STUDY": options.study, "ARGS": options.location_arguments.strip()}),
        full=_make("search", {**variables, "ARGS": shlex.join(rest)}),
    )


def _argument(name: str, value: str) -> list[str]:
    if name == "warm_start":
        return ["--no-warm-start"]
    return [f"--{name.replace('_', '-')}", value]


def _make(target: str, variables: Mapping[str, str | None]) -> str:
    given = [f"{name}={shlex.quote(value.replace('$', '$$'))}" for name, value in variables.items() if value]
    return " ".join(["make", target, *given])


def _ui_location(options: SearchOptions) -> str:
    """The options that lead `kerastuna ui` to the records of the search."""
    if options.tracking_uri is not None:
        return options.tracking_arguments.strip()
    return f"--folder {shlex.quote(str(options.folder))}" if options.folder != RUNS_FOLDER else ""
