"""The thread that ends calls without an answer; tests/end_to_end/test_hanging_servers.py has it before PostgreSQL."""

import os
import socket
import time
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from kerastuna.search.study.watchdog import Watchdog, limit_answers


def test_a_call_that_takes_too_long_is_cut() -> None:
    one, other = socket.socketpair()
    with one, other:
        began = time.monotonic()
        with Watchdog().watch(one, 0.3) as call:
            assert one.recv(1) == b""
        assert call.is_cut
        assert 0.3 <= time.monotonic() - began < 5


def test_a_call_in_time_is_not_cut_and_its_connection_is_left_alone() -> None:
    watchdog = Watchdog()
    one, other = socket.socketpair()
    with one, other:
        with watchdog.watch(one, 0.3) as call:
            pass
        with watchdog.watch(other, 30):  # it keeps looking
            time.sleep(1)
        assert not call.is_cut
        other.sendall(b"a")
        assert one.recv(1) == b"a"


def test_a_connection_is_not_held_afterwards() -> None:
    watchdog = Watchdog()
    one, other = socket.socketpair()
    with other:
        with watchdog.watch(one, 30):
            time.sleep(1)
        known = weakref.ref(one)
        one.close()
        del one
        assert known() is None


def test_one_that_is_closed_meanwhile_ends_nothing() -> None:
    watchdog = Watchdog()
    one, other = socket.socketpair()
    with other:
        one.close()
        with watchdog.watch(one, 0.1):
            time.sleep(1)
        with watchdog.watch(other, 0.1):
            assert other.recv(1) == b""


@pytest.mark.filterwarnings("ignore:.*fork")
def test_it_is_there_in_a_forked_process() -> None:
    watchdog = Watchdog()
    one, other = socket.socketpair()
    with one, other:
        with watchdog.watch(one, 30):
            pass
        child = os.fork()
        if child == 0:
            with watchdog.watch(one, 0.3):
                one.settimeout(60)
                os._exit(7 if one.recv(1) == b"" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


class NoAnswer(Exception):
    """What the driver of this test raises."""


class Dialect:
    """As SQLAlchemy's, with a server behind a socket."""

    name, driver = "postgresql", "psycopg"
    loaded_dbapi = SimpleNamespace(OperationalError=NoAnswer)

    def do_execute(self, cursor: Any, statement: str) -> str:
        self.do_commit(cursor.connection)
        return statement

    def do_commit(self, connection: socket.socket) -> None:
        if not connection.recv(1):
            raise ConnectionError("the server closed the connection")

    do_executemany = do_execute_no_params = do_execute
    do_begin = do_rollback = do_ping = do_commit


def test_the_error_is_that_of_the_driver() -> None:
    dialect, long = Dialect(), 0.3
    engine: Any = SimpleNamespace(dialect=dialect)
    limit_answers(engine, lambda: long, 0.1)
    one, other = socket.socketpair()
    with one, other:
        other.sendall(b"a")
        assert dialect.do_execute(SimpleNamespace(connection=one), "select") == "select"
        with pytest.raises(NoAnswer, match=r"^no answer within 0.3 s$"):
            dialect.do_execute(SimpleNamespace(connection=one), "select")
    one, other = socket.socketpair()
    with one, other, pytest.raises(NoAnswer, match=r"^no answer within 0.1 s$"):
        dialect.do_ping(one)
    one, other = socket.socketpair()
    other.close()
    with one, pytest.raises(ConnectionError, match="closed"):
        dialect.do_commit(one)


def test_a_server_of_mysql_that_says_nothing_is_not_waited_for_longer_than_for_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mysql+pymysql://127.0.0.1:{silent.getsockname()[1]}/studies"
        engine = create_engine(url, connect_args={"read_timeout": 60})
        limit_answers(engine, lambda: 60.0, 0.3)
        began = time.monotonic()
        with pytest.raises(OperationalError, match="Lost connection"):
            engine.connect()
        assert 0.3 <= time.monotonic() - began < 10
