"""Optuna's database storage, made to open at once for several processes, and to tell of its errors in one line."""

import math
import os
import random
import time
from collections.abc import Mapping
from functools import partial
from types import FunctionType
from typing import Any, final

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ..compat.optuna import (
    delete_study_in_database,
    marked_trial,
    quiet_database,
    suit_mysql,
    take_trial_in_database,
)
from ..compat.optuna_attributes import Change, change_in_database
from ..compat.optuna_storages import known_as, number_once, numbers_again
from ..compat.sqlalchemy import quiet_lost_connections
from ..errors import StudyError
from ..messages import redact_url
from .attributes import STUDY_ID
from .database_errors import length_of_text, longest_text_in_mysql, lost_because, reason_of, was_rolled_back
from .patient_storage import PatientStorage, deleted, make_patient
from .repeats import MARK
from .waiting import is_joining, longest_call, until_answered
from .watchdog import DRIVERS, limit_answers

ATTEMPTS = 10
"""To make the tables of a new database, which other processes may be making at the same time."""
LONGEST_PAUSE = 0.5
"""Seconds between them."""
DELETE_SECONDS = 60.0
"""How long the deletion of a study is tried that others write to."""
SQLITE_SECONDS = 60.0
"""How long to wait for other processes to write: 16 workers exceed SQLite's own 5 seconds."""
CONNECT_SECONDS = 5
"""How long a server may take to answer a new connection, or whether an old one still stands."""
MYSQL = ("mysql", "mariadb")
"""SQLAlchemy's names of them, with which a URL begins."""
SILENT_HOST = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
"""When PostgreSQL's clients take a host that is gone for gone, in seconds, and in milliseconds for what was sent."""
_DRIVERS = {
    "psycopg": "'psycopg[binary]'",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "pymysql, and begin the URL with mysql+pymysql://",
}
"""What to install for a module that SQLAlchemy wants, where the names differ."""


def open_database(url: str, patience: float = 0.0) -> RDBStorage:
    """A storage in the database at `url`, whose tables are made when they are missing.

    Args:
        url: of the database. Its password is not shown.
        patience: how many seconds each operation waits for a server that restarts or hangs. It is opened without
            waiting, but where this process joins a study.

    Raises StudyError when it cannot be opened, naming the package that is missing if there is one; later on, too, when
    the database fails or refuses, or does not come back.
    """
    if url.startswith(MYSQL):
        url = f"mysql{url.removeprefix('mariadb').removeprefix('mysql')}"  # Optuna knows no other name
        suit_mysql()
    elif url.startswith("sqlite"):
        number_once()
    quiet_database()
    quiet_lost_connections()
    opened = partial(_open, url, patience)
    waits = patience if is_joining() and not url.startswith("sqlite") else 0.0
    return until_answered(opened, partial(opened), lost=partial(lost_because, url=url), patience=waits)


def _open(url: str, patience: float) -> RDBStorage:
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            # Servers drop who is silent for long.
            options = {"pool_pre_ping": True, "connect_args": _connect_arguments(url, patience)}
            return _Database(url, patience, engine_kwargs=options)
        except StudyError:
            raise
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
        engine = create_engine(url, connect_args=_connect_arguments(url))
        if engine.dialect.name != "sqlite":
            engine.connect().close()
        engine.dispose()
    except StudyError:
        raise
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
        f"storage {redact_url(url)!r} cannot be opened ({reason_of(error, url)}): give the URL of a database "
        "that SQLAlchemy can reach, or the path of a journal file"
    )


def _connect_arguments(url: str, patience: float = 0.0) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"timeout": SQLITE_SECONDS}
    known: dict[str, Any] = {}
    address = make_url(url)
    if address.drivername in ("postgresql", "postgresql+psycopg2", "postgresql+psycopg"):
        known = {"connect_timeout": CONNECT_SECONDS, **SILENT_HOST}
    elif address.get_backend_name() in MYSQL and not address.database:
        raise StudyError(
            f"storage {redact_url(url)!r} names no database: give one, such as mysql+pymysql://HOST/studies"
        )
    elif address.get_backend_name() in MYSQL and address.get_driver_name() in DRIVERS:
        silence = math.ceil(_longest_answer(patience))
        known = {"connect_timeout": CONNECT_SECONDS, "read_timeout": silence, "write_timeout": silence}
    return {name: value for name, value in known.items() if name not in address.query}


def _longest_answer(patience: float) -> float:
    """How many seconds a statement may take: half of those that are waited, so that it is asked for twice."""
    return longest_call(patience) / 2


@final
class _Database(PatientStorage, RDBStorage):
    """Waits for a server that restarts or hangs, and raises StudyError in place of what a database raises."""

    def __init__(self, url: str, patience: float, **options: Any) -> None:
        self.patience = 0.0 if url.startswith("sqlite") else patience  # a file does not come back by itself
        self._begun: set[str] = set()  # the marks of the trials that are being added
        self._ids: dict[int, tuple[str, Any]] = {}  # of the studies that this process works on
        super().__init__(url, **options)
        if self.engine.driver in DRIVERS:
            limit_answers(self.engine, lambda: _longest_answer(patience), CONNECT_SECONDS)
        self._longest_text = longest_text_in_mysql(self.engine) if self.engine.dialect.name in MYSQL else math.inf
        self._numbers_again = self.engine.dialect.name == "sqlite" and numbers_again(self)
        if self._numbers_again:
            event.listen(self.engine, "commit", partial(_check_studies, self._ids))

    def get_study_id_from_name(self, study_name: str) -> int:
        study_id = super().get_study_id_from_name(study_name)
        if self.engine.dialect.name in MYSQL and (found := self.get_study_name_from_id(study_id)) != study_name:
            raise StudyError(
                f"the tables in storage {redact_url(self.url)!r} take {study_name!r} for {found!r}, which is another "
                "study: give another name, or an empty database, whose tables Kerastuna makes itself"
            )
        return study_id

    def works_on(self, study_id: int, name: str) -> None:
        if self._numbers_again:
            self._ids[study_id] = name, self.get_study_user_attrs(study_id).get(STUDY_ID)
        super().works_on(study_id, name)

    def take_trial(self, trial_id: int, user_attrs: Mapping[str, Any]) -> bool:
        """Set a waiting trial to RUNNING with these user attributes, in one transaction; False when it is not waiting.

        Optuna does each by itself, and in sqlite it gives one trial to several processes at the same moment.
        """
        return take_trial_in_database(self, trial_id, user_attrs)

    def change_attribute(self, study_id: int, key: str, change: Change) -> Any:
        """Change a user attribute of a study in one step; see `compat.optuna_attributes`."""
        return change_in_database(self, study_id, key, change)

    def delete_study(self, study_id: int) -> None:
        """Delete a study, while others write to it, too; raises StudyError where they leave no moment for it."""
        self._ids.pop(study_id, None)
        end = time.monotonic() + DELETE_SECONDS
        while True:
            try:
                delete_study_in_database(self, study_id)
            except (StorageInternalError, SQLAlchemyError) as error:  # it met another transaction, and was ended
                is_lost = self.lost(error) is not None and not was_rolled_back(error)
                if is_lost or time.monotonic() >= end:
                    raise
            try:
                name = self.get_study_name_from_id(study_id)
            except KeyError:
                return
            if time.monotonic() >= end:
                raise StudyError(
                    f"study {name!r} cannot be deleted while it is written to at every moment: stop the searches of it"
                )
            time.sleep(random.Random().uniform(0, 0.1))

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        added = super()._create_new_trial(study_id, template_trial)
        self._begun.discard(added.system_attrs.get(MARK, ""))
        return added

    def _get_prepared_new_trial(self, study_id: int, template_trial: FrozenTrial | None, session: Any) -> Any:
        """Optuna tries five times to add a trial, without looking whether it has done so."""
        mark = "" if template_trial is None else template_trial.system_attrs.get(MARK, "")
        if mark in self._begun and (found := marked_trial(session, study_id, MARK, mark)) is not None:
            return found
        self._begun.add(mark)
        return super()._get_prepared_new_trial(study_id, template_trial, session)

    def lost(self, error: Exception) -> str | None:
        if length_of_text(error) > self._longest_text:
            return None  # the server has closed the connection, and does so again
        return lost_because(error, self.url) if isinstance(error, StorageInternalError | SQLAlchemyError) else None

    def told(self, error: Exception) -> StudyError | None:
        if not isinstance(error, StorageInternalError | SQLAlchemyError):
            return None
        cause = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
        if isinstance(cause, IntegrityError) and (gone := self._gone()) is not None:
            return deleted(gone)  # what it was about to be added to is not there any more
        if (length := length_of_text(error)) > self._longest_text:
            return StudyError(
                f"storage {redact_url(self.url)!r} cannot keep a text of {length:,} bytes: let the server's variable "
                f"max_allowed_packet, which is {self._longest_text:,.0f}, be larger"
            )
        return StudyError(
            f"storage {redact_url(self.url)!r} failed ({reason_of(cause, self.url)}): what was stored is kept; see "
            "to the database, and start again to go on"
        )


make_patient(
    _Database,
    {"take_trial": _Database.take_trial, "change_attribute": _Database.change_attribute}
    | {
        name: member  # those with an underscore too: Optuna's cache calls them
        for name, member in vars(RDBStorage).items()
        if isinstance(member, FunctionType) and not name.startswith("__")
    },
)


def _check_studies(ids: Mapping[int, tuple[str, Any]], connection: Connection) -> None:
    """In a transaction of SQLite, in which nobody else can write: the numbers may be of another study meanwhile."""
    for study_id, (name, own) in tuple(ids.items()):
        found = known_as(connection, study_id, STUDY_ID)
        if found is None or found[0] != name or (own is not None and found[1] != own):
            raise deleted(name)


def _was_faster(error: Exception) -> bool:
    """Whether another process has made a table, or its first row, at the same time."""
    return type(error).__name__ == "IntegrityError" or "already exists" in str(error)
