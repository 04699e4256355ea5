"""Optuna's database storage, made to open at once for several processes, and to tell of its errors in one line."""

import functools
import os
import random
import time
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, final

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from ..compat.optuna import take_trial_in_database, widen_text_columns
from ..compat.optuna_attributes import Change, change_in_database
from ..errors import StudyError
from ..messages import redact, redact_url

ATTEMPTS = 10
"""To make the tables of a new database, which other processes may be making at the same time."""
LONGEST_PAUSE = 0.5
"""Seconds between them."""
SQLITE_SECONDS = 60.0
"""How long to wait for other processes to write: 16 workers exceed SQLite's own 5 seconds."""
_DRIVERS = {
    "psycopg": "'psycopg[binary]'",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "pymysql, and begin the URL with mysql+pymysql://",
}
"""What to install for a module that SQLAlchemy wants, where the names differ."""


def open_database(url: str) -> RDBStorage:
    """A storage in the database at `url`, whose tables are made when they are missing.

    Raises StudyError when it cannot be opened, naming the package that is missing if there is one; later on, too, when
    the database fails or refuses. A password in the URL is not shown.
    """
    if url.startswith(("mysql", "mariadb")):
        widen_text_columns()
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            # Servers drop who is silent for long.
            return _Database(url, engine_kwargs={"pool_pre_ping": True, "connect_args": _connect_arguments(url)})
        except Exception as error:
            if attempts_left and _was_faster(error):
                time.sleep(random.Random().uniform(0, LONGEST_PAUSE))
                continue
            raise _refusal(error, url) from error
    raise AssertionError("the last attempt returns or raises")


def check_database(url: str) -> None:
    """Raise StudyError where `open_database` would, or where the database is kept in memory alone; makes nothing.

    A server is connected to.
    """
    try:
        engine = create_engine(url)
        if engine.dialect.name != "sqlite":
            engine.connect().close()
        engine.dispose()
    except Exception as error:
        raise _refusal(error, url) from error
    if engine.dialect.name != "sqlite":
        return
    file = engine.url.database or ":memory:"
    if file == ":memory:":
        raise StudyError(f"storage {redact_url(url)!r} names no file: give one, such as sqlite:////folder/optuna.db")
    if not file.startswith("file:") and not os.path.isdir(os.path.dirname(file) or "."):
        raise StudyError(f"storage {redact_url(url)!r} cannot be opened: there is no folder {os.path.dirname(file)!r}")


def _refusal(error: Exception, url: str) -> StudyError:
    module = getattr(error.__cause__ or error, "name", None)
    if isinstance(error, ImportError):
        return StudyError(
            f"storage {redact_url(url)!r} needs {module or 'a driver for that database'}, which is not installed: "
            f"pip install {_DRIVERS.get(str(module), module)}"
        )
    return StudyError(
        f"storage {redact_url(url)!r} cannot be opened ({_reason(error, url)}): give the URL of a database "
        "that SQLAlchemy can reach, or the path of a journal file"
    )


def _telling(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: RDBStorage, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except (StorageInternalError, SQLAlchemyError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
            raise StudyError(
                f"storage {redact_url(self.url)!r} failed ({_reason(cause, self.url)}): what was stored is kept; see "
                "to the database, and start again to go on"
            ) from error

    return call


def _connect_arguments(url: str) -> dict[str, Any]:
    return {"timeout": SQLITE_SECONDS} if url.startswith("sqlite") else {}


@final
class _Database(RDBStorage):
    """Raises StudyError in place of what a database raises in the middle of a search."""

    @_telling
    def take_trial(self, trial_id: int, user_attrs: Mapping[str, Any]) -> bool:
        """Set a waiting trial to RUNNING with these user attributes, in one transaction; False when it is not waiting.

        Optuna does each by itself, and in sqlite it gives one trial to several processes at the same moment.
        """
        return take_trial_in_database(self, trial_id, user_attrs)

    @_telling
    def change_attribute(self, study_id: int, key: str, change: Change) -> Any:
        """Change a user attribute of a study in one step; see `compat.optuna_attributes`."""
        return change_in_database(self, study_id, key, change)


for _name, _member in vars(RDBStorage).items():  # those with an underscore too: Optuna's cache calls them
    if isinstance(_member, FunctionType) and not _name.startswith("__"):
        setattr(_Database, _name, _telling(_member))


def _was_faster(error: Exception) -> bool:
    """Whether another process has made a table, or its first row, at the same time."""
    return type(error).__name__ == "IntegrityError" or "already exists" in str(error)


def _reason(error: BaseException, url: str) -> str:
    """What a database says, in one short line; only its kind where a part of the password may be taken for the host."""
    kind = type(error).__name__
    if url.count("@") > 1:
        return kind
    told = redact(str(getattr(error, "orig", error)).partition("(Background on this error")[0])
    return f"{kind}: {' '.join(told.split())}"[:250]
