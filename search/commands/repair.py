"""`kerastuna repair`: save what can be read of a damaged journal."""

import argparse
import shlex
from pathlib import Path

from ..errors import InputError, StudyError
from ..messages import counted
from ..study.names import JOURNAL_NAME
from .common import say


def repair(options: argparse.Namespace) -> int:
    """Write what can be read of a journal to a new file, and say what that is. The old one is left as it is."""
    location = str(options.storage or options.folder / JOURNAL_NAME).removeprefix("journal://")
    if "://" in location:
        raise InputError("repair is for journal files, and --storage names a database: use the tools of that database")
    path = Path(location)
    if not path.exists():
        raise InputError(f"there is no journal {location!r}: give the path of the one to repair")
    from ..study.journal_repair import repair_journal

    try:
        done = repair_journal(path)
    except OSError as error:
        raise StudyError(
            f"journal {location!r} cannot be repaired: {error.strerror}; the new file is written beside it"
        ) from error
    if done.path is None:
        say(f"{location} is whole: {done.lines:,} lines, nothing to repair")
        return 0
    for damage in done.damages:
        say(f"line {damage.line:,} is damaged ({damage.told})")
    studies = ", ".join(f"study {name} with {counted(trials, 'trial')}" for name, trials in done.studies.items())
    say(f"wrote {done.path}: {done.kept:,} of {done.lines:,} lines, {studies or 'no study'}; {location} is as it was")
    old, new, away = (shlex.quote(str(name)) for name in (path, done.path, f"{path}.damaged"))
    # a search that has the old one open would go on in the middle of a line of the new one
    say(f"To go on with it, stop every search on it first, then: mv {old} {away} && mv {new} {old}")
    return 0
