"""Where a study is stored."""

from pathlib import Path

from optuna.storages import BaseStorage

from ..errors import StudyError
from .journal import open_journal


def open_storage(storage: str | Path | BaseStorage) -> BaseStorage:
    """An Optuna storage from a journal file's path, a database URL, or a storage.

    Raises StudyError when it cannot be opened, naming the package that is missing if there is one; a password in a URL
    is not shown.
    """
    if isinstance(storage, BaseStorage):
        return storage
    text = str(storage)
    if "://" in text and not text.startswith("journal://"):
        from .database import open_database  # with SQLAlchemy, which takes a while

        return open_database(text)
    path = Path(text.removeprefix("journal://"))
    try:
        return open_journal(path)
    except OSError as error:
        raise StudyError(
            f"storage {str(path)!r} cannot be opened: {error.strerror}; give a path that can be written"
        ) from error
