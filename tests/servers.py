"""Real servers on the loopback address, for tests and benchmarks: PostgreSQL, MariaDB, MLflow, Optuna's gRPC proxy."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

HOST = "127.0.0.1"
USER = "kerastuna"
START_SECONDS = 90.0
LOG_SIZE = "--innodb-log-file-size=8M"
"""Of MariaDB, which makes 96 MiB of it at once by default."""

PROXY = """
import sys
from kerastuna.search.study.storage import open_storage
from optuna.storages import get_storage, run_grpc_proxy_server
storage = get_storage(open_storage(sys.argv[1], patience=300))
run_grpc_proxy_server(storage, host=sys.argv[2], port=int(sys.argv[3]))
"""


class CannotServe(Exception):
    """A server cannot run here; the text says why."""


class Server:
    """A database server in a folder, which can be stopped and started again; `url` is that of its database."""

    url: str
    crash: signal.Signals
    """What ends it at once, as a power failure does."""
    _command: Sequence[str | Path]
    _folder: Path
    _port: int
    _as_user: Mapping[str, Any] = MappingProxyType({})
    """How it is begun as another user, if it may not run as this one."""
    _end_by: signal.Signals
    _run: contextlib.AbstractContextManager[subprocess.Popen] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._run = _running(
            *(list(self._command), self._folder / "log", lambda: _listens(self._port), self._end_by),
            **{"cwd": self._folder, **self._as_user},
        )
        self._process = self._run.__enter__()

    def stop(self, by: signal.Signals | None = None) -> None:
        """Stop it, if it runs, by a signal: in its usual way for None, or by its `crash`."""
        if self._run is not None:
            self._process.send_signal(by or self._end_by)
            self._process.wait(30)
            self._run, run = None, self._run
            run.__exit__(None, None, None)

    def processes(self) -> Sequence[int]:
        """The ids of all its processes."""
        import psutil

        return [self._process.pid, *(child.pid for child in psutil.Process(self._process.pid).children())]

    def _make(self, command: Sequence[str | Path]) -> None:
        """Make the files of an empty server, as the user who will run it."""
        try:
            for path in (self._folder, *self._folder.iterdir()) if self._as_user else ():
                shutil.chown(path, self._as_user["user"], self._as_user["group"])
            made = subprocess.run(list(command), cwd=self._folder, capture_output=True, text=True, **self._as_user)
        except (LookupError, PermissionError) as error:
            raise CannotServe(
                f"{type(self).__name__} does not run as root, nor here as the user {self._as_user.get('user')}: {error}"
            ) from error
        if made.returncode:
            raise CannotServe(f"{Path(command[0]).name} fails: {made.stderr.strip()[-300:]}")


class PostgreSQL(Server):
    """A PostgreSQL server in `folder`."""

    crash = signal.SIGQUIT  # as `pg_ctl stop -m immediate`
    _end_by = signal.SIGINT  # by SIGTERM it would wait for its clients to leave

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        initdb, server = _program("postgresql", "initdb"), _program("postgresql", "postgres")
        if os.geteuid() == 0:
            self._as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._folder, data, password = folder, folder / "data", secrets.token_hex(8)
        (folder / "password").write_text(password)
        make = [initdb, "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
        self._make([*make, "-E", "UTF8", "--locale=C"])
        self._port = free_port()
        self.url = f"postgresql+psycopg://{USER}:{password}@{HOST}:{self._port}/postgres"
        settings = ("fsync=off", f"listen_addresses={HOST}", f"port={self._port}", "unix_socket_directories=", *options)
        self._command = [server, "-D", data, *(part for setting in settings for part in ("-c", setting))]


class MariaDB(Server):
    """A MariaDB server in `folder`, with its own settings where `options` name no others."""

    crash = signal.SIGKILL
    _end_by = signal.SIGTERM

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        install, server = (
            _program("mariadb-server-core mariadb-client-core", name) for name in ("mariadb-install-db", "mariadbd")
        )
        allowed = ("--user=root",) if os.geteuid() == 0 else ()
        self._folder, data, password = folder, folder / "data", secrets.token_hex(8)
        account = f"{USER}@'{HOST}'"
        (folder / "begin.sql").write_text(  # one statement a line
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON *.* TO {account};\n"
            "CREATE DATABASE IF NOT EXISTS studies;\n"
        )
        self._make([install, "--no-defaults", f"--datadir={data}", "--skip-test-db", LOG_SIZE, *allowed])
        self._port = free_port()
        self.url = f"mysql+pymysql://{USER}:{password}@{HOST}:{self._port}/studies"
        self._command = [
            *(server, "--no-defaults", f"--datadir={data}", f"--bind-address={HOST}", f"--port={self._port}"),
            *(f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", f"--init-file={folder / 'begin.sql'}"),
            *("--skip-name-resolve", LOG_SIZE, "--innodb-flush-log-at-trx-commit=2", *allowed),
            *(f"--{option}" for option in options),
        ]


@contextlib.contextmanager
def restartable(kind: type[PostgreSQL] | type[MariaDB], *options: str) -> Iterator[Server]:
    """A server of its own, with an empty database, which runs.

    `options` are settings of the server, such as "max_connections=200". Raises CannotServe where its programs are
    missing, or may not run: PostgreSQL refuses to run as root, and then the user `postgres` must be there.
    """
    folder = Path(tempfile.mkdtemp(prefix="kerastuna-server-"))
    try:
        server = kind(folder, options)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def or_skip() -> Iterator[None]:
    """Skip the tests where a server cannot run; in CI, which installs it, they fail."""
    try:
        yield
    except CannotServe as error:
        if "CI" in os.environ:
            raise
        import pytest  # the benchmarks have none

        pytest.skip(str(error))


@contextlib.contextmanager
def postgresql(*options: str) -> Iterator[str]:
    """As `restartable`; gives the URL of the database."""
    with restartable(PostgreSQL, *options) as server:
        yield server.url


def new_database(url: str, name: str) -> str:
    """Make an empty database on the server of the database at `url`; returns its URL."""
    from sqlalchemy import create_engine, text

    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {engine.dialect.identifier_preparer.quote_identifier(name)}"))
    engine.dispose()
    return f"{url.rpartition('/')[0]}/{name}"


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """MLflow's server with its database and its artifacts in `folder`; gives its address."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with _running(command, folder / "mlflow.log", lambda: _listens(port), env=environment | quiet):
        yield f"http://{HOST}:{port}"


@contextlib.contextmanager
def grpc_proxy(url: str, folder: Path, port: int | None = None) -> Iterator[str]:
    """Optuna's proxy of the storage at `url`; its log is in `folder`. Gives the location of the storage.

    It listens on `port`; on a free one for None.
    """
    port = port or free_port()
    command = [sys.executable, "-W", "ignore", "-c", PROXY, url, HOST, str(port)]
    with _running(command, folder / "proxy.log", lambda: _listens(port)):
        yield f"grpc://{HOST}:{port}"


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _program(package: str, name: str) -> str:
    """Where a program of a server is. Debian keeps PostgreSQL's in a folder for each version, others for root alone."""
    of_debian = sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin") or (of_debian[-1] if of_debian else None)
    if found is None:
        raise CannotServe(f"the program {name} is not installed (Debian: apt install {package})")
    return found


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _running(
    command: list, log: Path, is_ready: Callable[[], bool], end_by: signal.Signals = signal.SIGTERM, **options
) -> Iterator[subprocess.Popen]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options)
    try:
        end = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > end:
                raise CannotServe(f"{command[0]} does not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield process
    finally:
        process.send_signal(end_by)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
