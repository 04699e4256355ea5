"""Databases: what is told in one line when they cannot be opened, or fail later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DatabaseError, InternalError, OperationalError

from kerastuna.search.errors import StudyError
from kerastuna.search.study import database
from kerastuna.search.study.database import open_database


def test_the_tables_are_made_and_found_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    optuna.create_study(storage=open_database(url), study_name="s")
    assert optuna.get_all_study_names(open_database(url)) == ["s"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosql://user:secret@host/studies", r"storage 'nosql://user:\*\*\*@host/studies' cannot be opened"),
        ("sqlite:////no/such/folder/studies.db", "cannot be opened .*unable to open database file"),
    ],
)
def test_one_that_cannot_be_opened_is_told_in_one_line(url: str, message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        open_database(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_that_fails_later_is_told_in_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = optuna.create_study(storage=open_database(url), study_name="s")
    with create_engine(url).begin() as connection:
        connection.execute(text("DROP TABLE trials"))
    with pytest.raises(StudyError, match=r"failed .*no such table: trials.*what was stored is kept"):
        study.ask()


def test_a_study_that_is_never_free_is_not_said_to_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_database(f"sqlite:///{tmp_path / 'studies.db'}")
    optuna.create_study(storage=storage, study_name="busy")
    monkeypatch.setattr(RDBStorage, "delete_study", lambda self, study_id: None)
    monkeypatch.setattr(database, "DELETE_SECONDS", 0.2)
    with pytest.raises(StudyError, match="study 'busy' cannot be deleted while it is written to at every moment"):
        optuna.delete_study(study_name="busy", storage=storage)


class OfPostgreSQL(Exception):
    """An error of its drivers, with an SQLSTATE."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("the transaction is rolled back")
        self.sqlstate = sqlstate


class OfMySQL(Exception):
    """An error of PyMySQL, with its number and text, and an SQLSTATE that many errors share."""

    sqlstate = "HY000"


def fails_once(storage: RDBStorage, statement: str, error: Callable[..., Exception], reason: Exception) -> list[str]:
    """Let a statement that begins so fail once, as a database tells it; returns those that failed."""
    failed: list[str] = []

    def fail(connection: object, cursor: object, executed: str, *rest: Any) -> None:
        if executed.startswith(statement) and not failed:
            failed.append(executed)
            raise error(executed, {}, reason)

    event.listen(storage.engine, "before_cursor_execute", fail)
    return failed


ROLLED_BACK = (
    (OperationalError, OfMySQL(1213, "Deadlock found when trying to get lock; try restarting transaction")),
    (OperationalError, OfMySQL(1205, "Lock wait timeout exceeded; try restarting transaction")),
    (OperationalError, OfMySQL(1020, "Record has changed since last read in table 'trials'")),
    (DatabaseError, OfMySQL(1205, "Lock wait timeout exceeded")),  # as mysql-connector-python tells it
    (OperationalError, OfPostgreSQL("40P01")),
    (OperationalError, OfPostgreSQL("40001")),
    (InternalError, OfPostgreSQL("25006")),
)


@pytest.mark.parametrize(("error", "reason"), ROLLED_BACK, ids=str)
def test_a_transaction_that_was_rolled_back_is_repeated(
    error: Callable[..., Exception], reason: Exception, tmp_path: Path
) -> None:
    storage = open_database(f"sqlite:///{tmp_path / 'studies.db'}")
    storage.patience = 60.0  # type: ignore[attr-defined]  as on a server
    trial_id = optuna.create_study(storage=storage).ask()._trial_id
    failed = fails_once(storage, "INSERT INTO trial_user_attributes", error, reason)
    storage.set_trial_user_attr(trial_id, "name", "eip_1")
    assert len(failed) == 1
    assert storage.get_trial(trial_id).user_attrs == {"name": "eip_1"}


@pytest.mark.parametrize("sqlstate", ["42501", "25P02", "23505"])
def test_other_errors_of_a_database_are_told_at_once(sqlstate: str, tmp_path: Path) -> None:
    storage = open_database(f"sqlite:///{tmp_path / 'studies.db'}")
    storage.patience = 60.0  # type: ignore[attr-defined]
    trial_id = optuna.create_study(storage=storage).ask()._trial_id
    fails_once(storage, "INSERT INTO trial_user_attributes", OperationalError, OfPostgreSQL(sqlstate))
    with pytest.raises(StudyError, match=r"failed .*what was stored is kept"):
        storage.set_trial_user_attr(trial_id, "name", "eip_1")


def test_a_deletion_that_meets_another_transaction_is_tried_again_without_patience(tmp_path: Path) -> None:
    storage = open_database(f"sqlite:///{tmp_path / 'studies.db'}")
    optuna.create_study(storage=storage, study_name="s")
    failed = fails_once(storage, "DELETE FROM studies", OperationalError, OfPostgreSQL("40P01"))
    optuna.delete_study(study_name="s", storage=storage)
    assert len(failed) == 1
    assert optuna.get_all_study_names(storage) == []


@pytest.mark.parametrize("driver", ["mysql", "mysql+mysqldb", "mysql+pymysql", "mariadb", "mariadb+pymysql"])
def test_drivers_of_mysql_are_told_how_long_an_answer_may_take(driver: str) -> None:
    known = database._connect_arguments(f"{driver}://me@host/studies?read_timeout=7", 300.0)
    assert known == {"connect_timeout": database.CONNECT_SECONDS, "write_timeout": 150}


@pytest.mark.parametrize("refuse", [open_database, database.check_database])
def test_a_server_of_mysql_without_a_database_is_told(refuse: Callable[[str], Any]) -> None:
    with pytest.raises(StudyError, match=r"^storage 'mysql\+pymysql://me:\*\*\*@host/' names no database: give one, "):
        refuse("mysql+pymysql://me:secret@host/")
