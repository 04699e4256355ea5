"""What Optuna's storages on databases and proxies give no public way to set.

tests/compat/test_optuna_storages.py fails when an upgrade changes the private names that are used here.
"""

import json
from collections.abc import Callable
from typing import Any

from optuna.storages import GrpcStorageProxy, RDBStorage

_NUMBERED = ("studies", "trials")


def number_once() -> None:
    """Let the tables that Optuna makes in SQLite never give a number to a second study or trial.

    Optuna leaves it to the database, and SQLite gives the numbers of the last rows again once these are deleted.
    """
    from optuna.storages._rdb.models import BaseModel

    for name in _NUMBERED:
        BaseModel.metadata.tables[name].dialect_options["sqlite"]["autoincrement"] = True


def numbers_again(storage: RDBStorage) -> bool:
    """Whether a file of SQLite was made without `number_once`."""
    from sqlalchemy import text

    with storage.engine.connect() as connection:
        tables = {row.name: row.sql for row in connection.execute(text("SELECT name, sql FROM sqlite_master"))}
    return not all("AUTOINCREMENT" in tables[name].upper() for name in _NUMBERED)


def known_as(connection: Any, study_id: int, key: str) -> tuple[str, Any] | None:
    """The name of a study in SQLite and its user attribute `key`; None where there is no study of this number.

    It is asked for in the open transaction of a connection of SQLAlchemy, for which there is no public way.
    """
    found = connection.connection.cursor().execute(
        "SELECT study_name, value_json FROM studies LEFT JOIN study_user_attributes AS attributes "
        "ON attributes.study_id = studies.study_id AND attributes.key = ? WHERE studies.study_id = ?",
        (key, study_id),
    )
    row = found.fetchone()
    return None if row is None else (row[0], None if row[1] is None else json.loads(row[1]))


def limit_calls(proxy: GrpcStorageProxy, seconds: Callable[[], float]) -> None:
    """Let each call of a proxy's client end with DEADLINE_EXCEEDED after so many seconds. Optuna sets no limit.

    `seconds` must not hold the proxy.
    """
    stub: Any = proxy._stub
    for name, call in list(vars(stub).items()):
        setattr(stub, name, _limited(call, seconds))


def _limited(call: Callable[..., Any], seconds: Callable[[], float]) -> Callable[[Any], Any]:
    return lambda request: call(request, timeout=seconds())
