"""Opening the storage of a study: a journal file, a database, or a proxy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.storages import BaseStorage

from ..errors import StudyError
from .journal import check_journal, open_journal


def open_storage(storage: str | Path | BaseStorage, patience: float = 0.0) -> BaseStorage:
    """An Optuna storage from the path of a journal file, a database URL, or a proxy's address ("grpc://HOST:PORT").

    A storage is returned as it is. Each operation on a server waits for `patience` seconds while the server restarts.

    Raises StudyError when it cannot be opened. The message names a package that is missing, and hides the password of a
    URL.
    """
    if isinstance(storage, BaseStorage):
        return storage
    text = str(storage)
    if text.startswith("grpc:"):
        from .proxy import open_proxy  # imports gRPC

        return open_proxy(text, patience)
    if "://" in text and not text.startswith("journal://"):
        from .database import open_database  # imports SQLAlchemy, which takes a while

        return open_database(text, patience)
    path = Path(text.removeprefix("journal://"))
    with _told(path):
        return open_journal(path)


def check_storage(storage: str | Path) -> None:
    """Raise StudyError where it can be known, without making anything, that `open_storage` would."""
    text = str(storage)
    if text.startswith("grpc:"):
        open_storage(text)  # connects, and makes nothing
    elif text.startswith("journal://") or "://" not in text:
        path = Path(text.removeprefix("journal://"))
        if path.exists():
            with _told(path):
                check_journal(Path(os.path.abspath(path)))  # to read all of it takes seconds in a large study
        elif not os.access(_existing_part(path), os.W_OK | os.X_OK):
            raise StudyError(f"storage {str(path)!r} cannot be made there: give a path that can be written")
    else:
        from .database import check_database

        check_database(text)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StudyError(
            f"storage {str(path)!r} cannot be opened: {error.strerror}; give a path that can be written"
        ) from error


def _existing_part(path: Path) -> Path:
    """The innermost folder around `path` that exists, or the file in its place."""
    return next(folder for folder in Path(os.path.abspath(path)).parents if folder.exists())
