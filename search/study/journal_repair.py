"""A damaged journal: which line it is, and what can be saved."""

import json
import os
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

BEGINNING = b'{"op_code":'
"""Of every line of a journal."""
UNREADABLE = (ValueError, TypeError, LookupError, AssertionError)
"""What Optuna's reader meets in lines that make no sense."""
_NEITHER_MAKES_NOR_DELETES = frozenset({2, 3, 5, 6, 7, 8, 9})
"""Operations that may be left out: the numbers of studies and trials, by which later lines name them, do not change."""


@final
@dataclass(frozen=True)
class Damage:
    """A line of a journal that cannot be read: its number, from 1, and what its reader says."""

    line: int
    told: str


@final
@dataclass(frozen=True)
class Repair:
    """What was saved of a journal.

    Attributes:
        path: of the new file; None where nothing was damaged.
        lines, kept: of the journal, and those of them in the new file.
        damages: every line that was found damaged, by number.
        studies: the names of the studies in the new file, with their numbers of trials.
    """

    path: Path | None
    lines: int
    kept: int
    damages: tuple[Damage, ...]
    studies: dict[str, int]


def find_damage(path: Path) -> Damage | None:
    """The first line of the journal `path` that cannot be read; None when all can. A torn last line is no damage."""
    return _read(_lines_of(path))[1]


def repair_journal(path: Path) -> Repair:
    """Write what can be read of the journal `path` to a new file beside it; it is left as it is itself.

    Everything before a damaged line is kept. What comes after it is kept where that is safe: when the line can be seen
    to neither make nor delete a trial or a study, or when it is a torn line to which a whole one was appended.

    Raises OSError where it cannot be read, or nothing can be written.
    """
    lines = _lines_of(path)
    count, numbers, damages = len(lines), list(range(1, len(lines) + 1)), list[Damage]()
    while (damage := _read(lines)[1]) is not None:
        index = damage.line - 1
        damages.append(Damage(numbers[index], damage.told))
        if (whole := _appended_to_torn(lines[index])) is not None:
            lines[index] = whole
        elif _operation(lines[index]) in _NEITHER_MAKES_NOR_DELETES:
            del lines[index], numbers[index]
        else:
            del lines[index:], numbers[index:]
    storage = _read(lines)[0]
    assert storage is not None
    names = [study.study_name for study in storage.get_all_studies()]
    studies = {name: len(storage.get_all_trials(storage.get_study_id_from_name(name))) for name in names}
    return Repair(_write(path, lines) if damages else None, count, len(lines), tuple(damages), studies)


@final
class _Lines(BaseJournalBackend):
    """Lines of a journal, to be read once; `line` is the number of the last one that was."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines
        self.line = 0

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        for number, line in enumerate(self._lines[log_number_from:], log_number_from + 1):
            self.line = number
            yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise NotImplementedError("these lines are only read")


def _read(lines: Sequence[bytes]) -> tuple[JournalStorage | None, Damage | None]:
    backend = _Lines(lines)
    try:
        return JournalStorage(backend), None
    except UNREADABLE as error:
        return None, Damage(backend.line, type(error).__name__)


def _lines_of(path: Path) -> list[bytes]:
    with open(path, "rb") as file:
        return [line for line in file if line.endswith(b"\n")]


def _appended_to_torn(line: bytes) -> bytes | None:
    """The whole line that was appended to one that was torn, which nobody has ever read; None where there is none."""
    start = line.rfind(BEGINNING)
    try:
        json.loads(line[start:])
    except ValueError:
        return None
    return line[start:] if start > 0 and line.startswith(BEGINNING) else None


def _operation(line: bytes) -> int | None:
    found = re.match(rb'\{"op_code":(\d+),', line)
    return None if found is None else int(found[1])


def _write(path: Path, lines: Sequence[bytes]) -> Path:
    number = 1
    while (new := path.with_name(f"{path.name}.repaired{'' if number == 1 else f'-{number}'}")).exists():
        number += 1
    partial = new.with_name(f"{new.name}.partial")
    try:
        with open(partial, "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(new)
    finally:
        partial.unlink(missing_ok=True)
    return new
