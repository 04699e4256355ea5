"""What the errors of databases mean: whether an operation is worth to be repeated, and what a person is told."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from ..messages import redact, shortened

_NOT_ALLOWED = (
    "authentication failed|no password supplied|no pg_hba.conf entry|does not exist|Access denied|Unknown data"
)
"""What no waiting mends, in the words of PostgreSQL and MySQL."""
_LOST_IN_POSTGRESQL = ("08", "57P", "53300")
"""SQLSTATE of lost connections, of a server that stops or starts, and of one with too many connections."""
_LOST_IN_MYSQL = (1040, 1053, 1203, 1927, 2002, 2003, 2005, 2006, 2013, 2014, 2055, 3024, 4031)
_ROLLED_BACK_IN_POSTGRESQL = ("40001", "40P01", "25006")
"""Of transactions that met another one, or a server that may not write for a moment: they have changed nothing."""
_ROLLED_BACK_IN_MYSQL = (1020, 1205, 1213, 1290, 1792, 1836)
"""MariaDB 11 ends a transaction with 1020 where another one has changed a row since it was read."""


def lost_because(error: BaseException | None, url: str) -> str | None:
    """Why an operation is worth to be repeated; None for every error that stays.

    The connection is lost, or none is made because the server restarts or has too many; the transaction was rolled back
    by no fault of its own; or the error follows from such a one.
    """
    return next((reason_of(each, url, 120) for each in _causes(error) if _is_lost(each) or _is_rolled_back(each)), None)


def was_rolled_back(error: BaseException | None) -> bool:
    """Whether a transaction was rolled back because it met another one, or the server may not write for a moment."""
    return any(map(_is_rolled_back, _causes(error)))


def reason_of(error: BaseException, url: str, longest: int = 250) -> str:
    """What a database says, in one short line; only its kind where a part of the password may be taken for the host."""
    kind = type(error).__name__
    if url.count("@") > 1:
        return kind
    told = redact(str(getattr(error, "orig", error)).partition("(Background on this error")[0])
    return shortened(f"{kind}: {' '.join(told.split())}", longest)


def longest_text_in_mysql(engine: Engine) -> int:
    """How many bytes a statement may have. A server closes the connection of one that is longer."""
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one()


def length_of_text(error: BaseException) -> int:
    """The bytes of the longest text that was to be stored as a database failed, as MySQL's drivers write it; or 0."""
    texts = [text for each in _causes(error) for text in _texts(each.params)]
    return max((len(json.dumps(text, ensure_ascii=False).encode(errors="replace")) for text in texts), default=0)


def _texts(given: Any) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping | Sequence):
        for each in given.values() if isinstance(given, Mapping) else given:
            yield from _texts(each)


def _causes(error: BaseException | None) -> Iterator[DBAPIError]:
    while error is not None:
        if isinstance(error, DBAPIError):
            yield error
        error = error.__cause__ or error.__context__


def _is_lost(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    code = _code(error)
    if isinstance(code, int):
        return code in _LOST_IN_MYSQL
    if not isinstance(error, OperationalError | InterfaceError) or re.search(_NOT_ALLOWED, str(error.orig)):
        return False
    return code is None or code.startswith(_LOST_IN_POSTGRESQL)


def _is_rolled_back(error: DBAPIError) -> bool:
    code = _code(error)
    return code in _ROLLED_BACK_IN_MYSQL if isinstance(code, int) else code in _ROLLED_BACK_IN_POSTGRESQL


def _code(error: DBAPIError) -> str | int | None:
    """The number of MySQL, or the SQLSTATE of PostgreSQL; None where there is neither.

    MySQL's drivers tell an SQLSTATE, too, which is the same for many errors.
    """
    orig: Any = error.orig
    if orig is not None and orig.args and isinstance(orig.args[0], int):
        return orig.args[0]
    return getattr(orig, "sqlstate", None) or getattr(orig, "pgcode", None)
