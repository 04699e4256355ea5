"""What the errors of databases mean; tests/study/test_database.py and test_restarts.py have them in use."""

from typing import Any

import pytest
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from kerastuna.search.study.database_errors import length_of_text, lost_because, reason_of, was_rolled_back


class OfDriver(Exception):
    """Its arguments, and an SQLSTATE."""

    def __init__(self, *args: object, sqlstate: str | None = None) -> None:
        super().__init__(*args)
        self.sqlstate = sqlstate


def told(kind: type[DBAPIError], *args: object, sqlstate: str | None = None, params: Any = None) -> DBAPIError:
    return kind("UPDATE trials", params, OfDriver(*args, sqlstate=sqlstate))


@pytest.mark.parametrize(
    "error",
    [
        told(OperationalError, "the server closed the connection", sqlstate="57P01"),
        told(OperationalError, "connection refused"),
        told(OperationalError, 2003, "Can't connect to MySQL server"),
        told(OperationalError, 1053, "Server shutdown in progress", sqlstate="08S01"),
        told(InterfaceError, 2013, "Lost connection to MySQL server"),
        told(DatabaseError, 1205, "Lock wait timeout exceeded", sqlstate="HY000"),
        told(OperationalError, 1290, "running with the --read-only option", sqlstate="HY000"),
    ],
    ids=str,
)
def test_what_passes_is_worth_a_repetition(error: DBAPIError) -> None:
    assert lost_because(error, "mysql://host/studies") == reason_of(error, "mysql://host/studies")
    wrapped = RuntimeError("in the storage")
    wrapped.__cause__ = error
    assert lost_because(wrapped, "mysql://host/studies") is not None


@pytest.mark.parametrize(
    "error",
    [
        told(OperationalError, 'password authentication failed for user "me"'),
        told(OperationalError, "no such column", sqlstate="42703"),
        told(OperationalError, 1045, "Access denied for user 'me'", sqlstate="28000"),
        told(OperationalError, 1049, "Unknown database", sqlstate="42000"),
        told(DatabaseError, 1366, "Incorrect string value", sqlstate="22007"),
    ],
    ids=str,
)
def test_what_stays_is_not(error: DBAPIError) -> None:
    assert lost_because(error, "mysql://host/studies") is None


def test_a_transaction_that_was_rolled_back_is_told_from_a_lost_connection() -> None:
    assert was_rolled_back(told(OperationalError, 1213, "Deadlock found", sqlstate="40001"))
    assert was_rolled_back(told(OperationalError, "deadlock detected", sqlstate="40P01"))
    assert not was_rolled_back(told(OperationalError, 2013, "Lost connection"))


def test_the_longest_text_is_measured_as_it_is_sent() -> None:
    assert length_of_text(told(OperationalError, 2013, params=[{"key": "a", "value": 'é"'}, {"value": 7}])) == 6
    assert length_of_text(told(OperationalError, 2013, params=(None, b"bytes"))) == 0
    assert length_of_text(ValueError("of no database")) == 0


def test_the_reason_is_one_short_line_without_what_may_be_a_password() -> None:
    error = told(OperationalError, 2003, f"Can't connect\nto the server {'x' * 300}")
    reason = reason_of(error, "mysql://me@host/studies")
    assert reason.startswith("OperationalError: (2003, ")
    assert "\n" not in reason
    assert len(reason) <= 250
    assert reason_of(error, "mysql://me:p@ss@host/studies") == "OperationalError"
