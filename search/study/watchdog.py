"""An end to each call of a database's driver. A server that hangs keeps its connections, and its kernel acknowledges.

Drivers wait for an answer without end, or for a time that is fixed when they connect. A thread shuts down the
connection of a call that takes too long: the driver then finds it lost, which is an error like that of a server that is
gone.
"""

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any, final

from sqlalchemy import event
from sqlalchemy.engine import Engine

from ..compat.pymysql import file_number

DRIVERS = ("psycopg", "psycopg2", "pymysql", "mysqldb")
"""Those whose connections tell their socket."""
LOST = 2013
"""The number of MySQL's clients for a lost connection."""
LOOK_SECONDS = 0.25
"""How often the thread looks, while a call is under way."""
_OF_CURSORS = ("do_execute", "do_executemany", "do_execute_no_params")
_OF_CONNECTIONS = ("do_begin", "do_commit", "do_rollback")


@final
class _Call:
    """A call of a driver under way."""

    def __init__(self, connection: Any, seconds: float) -> None:
        self.connection, self.end, self.is_cut = connection, time.monotonic() + seconds, False


@final
class Watchdog:
    """The thread, and what it watches. All storages of a process share one."""

    def __init__(self) -> None:
        self._begin()
        if hasattr(os, "register_at_fork"):  # a forked process has no such thread, and may find the lock taken
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._calls: set[_Call] = set()
        self._is_busy = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, connection: Any, seconds: float) -> Iterator[_Call]:
        """In the block, `connection` is used; it is shut down after so many seconds."""
        call = _Call(connection, seconds)
        with self._lock:
            self._calls.add(call)
            self._is_busy.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="kerastuna-watchdog", daemon=True)
                self._thread.start()
        try:
            yield call
        finally:
            with self._lock:  # not while it is shut down: its number may be another file's afterwards
                self._calls.discard(call)

    def _look(self) -> None:
        while True:
            self._is_busy.wait()
            self._cut()
            time.sleep(LOOK_SECONDS)

    def _cut(self) -> None:
        with self._lock:
            for call in self._calls:
                if not call.is_cut and time.monotonic() >= call.end:
                    call.is_cut = True
                    _shut_down(call.connection)
            if not self._calls:
                self._is_busy.clear()


_watchdog = Watchdog()


def limit_answers(engine: Engine, seconds: Callable[[], float], ping_seconds: float) -> None:
    """Let each call of the driver of `engine` end with its OperationalError when there is no answer in time.

    Args:
        engine: with one of `DRIVERS`.
        seconds: how long a call may take from now on. It must not hold the engine.
        ping_seconds: how long the question whether a connection still stands may take, and PyMySQL's first words with
            a server, for which the other drivers have a limit.
    """
    dialect: Any = engine.dialect
    for name in _OF_CURSORS:
        setattr(dialect, name, _limited(dialect, name, seconds, lambda cursor: cursor.connection))
    for name in _OF_CONNECTIONS:
        setattr(dialect, name, _limited(dialect, name, seconds, lambda connection: connection))
    dialect.do_ping = _limited(dialect, "do_ping", lambda: min(seconds(), ping_seconds), lambda connection: connection)
    if dialect.driver == "pymysql":
        event.listen(engine, "do_connect", partial(_connect, ping_seconds))


def _connect(seconds: float, dialect: Any, record: Any, args: Any, options: Any) -> Any:
    connection = dialect.loaded_dbapi.connect(*args, **options, defer_connect=True)
    with _watchdog.watch(connection, seconds):
        connection.connect()
    return connection


def _limited(
    dialect: Any, name: str, seconds: Callable[[], float], connection_of: Callable[[Any], Any]
) -> Callable[..., Any]:
    method = getattr(type(dialect), name)
    known = weakref.ref(dialect)  # or an engine that nobody holds any more would keep its connections for a while

    def call(given: Any, *args: Any, **options: Any) -> Any:
        dialect: Any = known()
        limit = seconds()
        with _watchdog.watch(connection_of(given), limit) as watched:
            try:
                return method(dialect, given, *args, **options)
            except Exception as error:
                if not watched.is_cut:
                    raise
                number = (LOST,) if dialect.name in ("mysql", "mariadb") else ()
                raise dialect.loaded_dbapi.OperationalError(*number, f"no answer within {limit:g} s") from error

    return call


def _shut_down(connection: Any) -> None:
    with suppress(Exception), closing(socket.socket(fileno=os.dup(_file_number(connection)))) as own:
        own.shutdown(socket.SHUT_RDWR)


def _file_number(connection: Any) -> int:
    return connection.fileno() if hasattr(connection, "fileno") else file_number(connection)
