"""Optuna's journal file, made to survive a torn last line, and to tell of its errors in one line."""

import errno
import os
import shlex
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ..compat.optuna import has_study, share_distributions
from ..errors import StudyError
from .journal_lock import JournalLock
from .journal_repair import BEGINNING, UNREADABLE, find_damage
from .patient_storage import deleted
from .sharing import check_lockable

_BYTES_OF_IDENTITY = 1024


def open_journal(path: Path) -> JournalStorage:
    """A storage in the file `path`, which is made with its folder when it is missing.

    Raises what `check_journal` raises, OSError where the file cannot be made, and StudyError for a damaged journal,
    which is left as it is; later on, too, when the file cannot be read or written any more.
    """
    path = Path(os.path.abspath(path))  # the working folder may change, and the lock must not depend on it
    check_journal(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    share_distributions()
    try:
        return _WatchedJournal(_Journal(path))
    except StudyError:  # a ValueError too
        raise
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def check_journal(path: Path) -> None:
    """Check, without reading more than its beginning, that a journal may be at `path`, where there may be none yet.

    Raises OSError for a folder, and StudyError for another file, and on a file system that cannot lock it.
    """
    check_lockable(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not (path.is_file() and _begins_as_journal(path)):
        raise StudyError(f"storage {str(path)!r} is not a journal of Optuna: give another path")


@final
class _WatchedJournal(JournalStorage):
    """Tells when the study that is worked on was deleted: Optuna would go on to change its trials."""

    def __init__(self, backend: JournalFileBackend) -> None:
        self._worked_on: dict[int, str] = {}
        super().__init__(backend)

    def works_on(self, study_id: int, name: str) -> None:
        """From now on, every operation tells when this study is not there any more."""
        self._worked_on[study_id] = name

    def _sync_with_backend(self) -> None:  # at the end of every operation
        try:
            super()._sync_with_backend()
        except KeyError:  # of an operation that the study is missing for
            self._check_studies()
            raise
        self._check_studies()

    def _check_studies(self) -> None:
        for study_id, name in self._worked_on.items():
            if not has_study(self, study_id):
                raise deleted(name)


@final
class _Journal(JournalFileBackend):
    """Cuts a torn last line away before anything is read or appended.

    A full disk or a loss of power can leave half a line. Optuna 5 would append the next one to it, and from then on
    refuse the whole file. Nothing that was ever acknowledged is lost: a line counts once its newline is written.
    """

    lock_is_reentrant = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._repairing_lock = _RepairingLock(path)
        super().__init__(str(path), self._repairing_lock)
        self._file = _Identity(path)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        with _told(self._path, "read"):
            self._file.check()
            if _is_torn(self._path) and os.access(self._path, os.W_OK):  # else what is whole is read all the same
                # Torn, or just being written by another process: only the holder of the lock can tell.
                self._repairing_lock.acquire()
                self._repairing_lock.release()
            try:
                yield from super().read_logs(log_number_from)
            except ValueError as error:
                raise _damaged(self._path, error) from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with _told(self._path, "written"):
            self._file.check()
            super().append_logs(logs)
            self._file.check()  # what is appended now must be there at the next look


@final
class _Identity:
    """What tells a journal from another one that was put in its place, which may be a repaired or an older copy.

    It is what stood before the end of the last whole line at the last look: lines are appended, and never changed. The
    number of the file tells less: a copy over the journal keeps it, and some file systems of a network change it.

    Args:
        path: of the journal, which is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = (0, b"")  # a place in the file, and the bytes from there to the end of a line
        self.check()

    def check(self) -> None:
        """Raise StudyError when another journal is there; FileNotFoundError when none is."""
        start, known = self._known
        with open(self._path, "rb") as file:
            file.seek(start)
            found = file.read(len(known))
            start = file.seek(max(0, file.seek(0, os.SEEK_END) - _BYTES_OF_IDENTITY))
            last = file.read(_BYTES_OF_IDENTITY)
        if found != known:
            raise StudyError(
                f"the journal {str(self._path)!r} was deleted while this search worked on it, and another one is in "
                "its place: nothing more is stored; start again to go on with that one"
            )
        if whole := last[: last.rfind(b"\n") + 1]:
            self._known = (start, whole)


@final
class _RepairingLock(JournalLock):
    def acquire(self) -> bool:
        with _told(self._path, "locked"):
            acquired = super().acquire()
            try:
                if _is_torn(self._path):
                    _cut_to_last_newline(self._path)
            except OSError:
                self.release()
                raise
            return acquired


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.exists():
            raise StudyError(
                f"the journal {str(path)!r} was deleted or moved while this search worked on it: nothing more is stored"
            ) from error
        raise StudyError(
            f"storage {str(path)!r} cannot be {done}: {error.strerror}; what was stored is kept; see to the disk, and "
            "start again to go on"
        ) from error


def _damaged(path: Path, error: Exception) -> StudyError:
    found = find_damage(path)
    where = type(error).__name__ if found is None else f"line {found.line}: {found.told}"
    return StudyError(
        f"storage {str(path)!r} is a damaged journal ({where}): kerastuna repair --storage {shlex.quote(str(path))} "
        "writes all that can be read to a new file"
    )


def _begins_as_journal(path: Path) -> bool:
    with open(path, "rb") as file:
        return BEGINNING.startswith(file.read(len(BEGINNING)))  # also when it is empty, or torn this early


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
