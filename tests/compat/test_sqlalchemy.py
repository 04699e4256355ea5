"""What SQLAlchemy's pools log of a connection that was lost, and of what else happens to one."""

import logging
import sqlite3
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool

from kerastuna.search.compat.sqlalchemy import POOL, quiet_lost_connections


@pytest.mark.parametrize(
    ("error", "logged"), [(sqlite3.OperationalError, 0), (sqlite3.InterfaceError, 0), (sqlite3.ProgrammingError, 1)]
)
def test_a_pool_logs_no_trace_of_a_lost_connection(
    error: type[Exception], logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(connection: object) -> None:
        raise error("no answer")

    engine = create_engine("sqlite://", poolclass=QueuePool)
    dialect: Any = engine.dialect
    quiet_lost_connections()
    quiet_lost_connections()
    assert len(logging.getLogger(POOL).filters) == 1
    connection = engine.connect()
    dialect.do_rollback = fail
    connection.close()
    assert [record.name for record in caplog.records] == [POOL] * logged
    dialect.do_rollback = lambda connection: None
    with engine.connect() as again:
        assert again.exec_driver_sql("SELECT 1").scalar_one() == 1
