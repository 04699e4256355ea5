"""Optuna's journal file, made to survive a torn last line."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, final

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from ..errors import StudyError
from .sharing import check_lock

_BEGINNING = b'{"op_code":'


def open_journal(path: Path) -> JournalStorage:
    """A storage in the file `path`, which is made with its folder when it is missing.

    Raises OSError where that cannot be, and StudyError for a damaged journal or another file, which is left as it is,
    and where the file system cannot lock it.
    """
    path = Path(os.path.abspath(path))  # the working folder may change, and the lock must not depend on it
    path.parent.mkdir(parents=True, exist_ok=True)
    check_lock(path)
    if path.exists() and not _begins_as_journal(path):
        raise StudyError(f"storage {str(path)!r} is not a journal of Optuna: give another path")
    try:
        return JournalStorage(_Journal(path))
    except (
        ValueError,
        TypeError,
        LookupError,
        AssertionError,
    ) as error:  # what its reader meets in lines that make no sense
        raise StudyError(
            f"storage {str(path)!r} is a damaged journal ({type(error).__name__}): restore it, or give another path"
        ) from error


@final
class _Journal(JournalFileBackend):
    """Cuts a torn last line away before anything is read or appended.

    A full disk or a loss of power can leave half a line. Optuna 5 would append the next one to it, and from then on
    refuse the whole file. Nothing that was ever acknowledged is lost: a line counts once its newline is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._repairing_lock = _RepairingLock(path)
        super().__init__(str(path), self._repairing_lock)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        if _is_torn(self._path):
            # Torn, or just being written by another process: only the holder of the lock can tell.
            self._repairing_lock.acquire()
            self._repairing_lock.release()
        yield from super().read_logs(log_number_from)


@final
class _RepairingLock(JournalFileSymlinkLock):
    """Optuna's lock. A process that is killed may leave it behind; the others break it after 30 seconds.

    Args:
        path: absolute. Optuna looks at the age of the link's target; one that is relative it never finds, nor breaks.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def acquire(self) -> bool:
        acquired = super().acquire()
        try:
            if _is_torn(self._path):
                _cut_to_last_newline(self._path)
        except OSError:
            self.release()
            raise
        return acquired


def _begins_as_journal(path: Path) -> bool:
    with open(path, "rb") as file:
        return _BEGINNING.startswith(file.read(len(_BEGINNING)))  # also when it is empty, or torn this early


def _is_torn(path: Path) -> bool:
    with open(path, "rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _cut_to_last_newline(path: Path, chunk: int = 65536) -> None:
    with open(path, "rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - chunk)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            end = start
        file.truncate(0)
