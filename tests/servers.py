"""Real servers on the loopback address, for tests and benchmarks: PostgreSQL, MLflow, and Optuna's gRPC proxy."""

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

HOST = "127.0.0.1"
USER = "kerastuna"
START_SECONDS = 90.0

PROXY = """
import sys
from kerastuna.search.study.storage import open_storage
from optuna.storages import get_storage, run_grpc_proxy_server
storage = get_storage(open_storage(sys.argv[1], patience=300))
run_grpc_proxy_server(storage, host=sys.argv[2], port=int(sys.argv[3]))
"""


class CannotServe(Exception):
    """A server cannot run here; the text says why."""


class PostgreSQL:
    """A PostgreSQL server in `folder`, which can be stopped and started again; `url` is that of its database."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        initdb, server = _program("initdb"), _program("postgres")
        self._as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self._folder, data, password = folder, folder / "data", secrets.token_hex(8)
        (folder / "password").write_text(password)
        make = [initdb, "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
        try:
            for path in (folder, folder / "password") if self._as_user else ():
                shutil.chown(path, "postgres", "postgres")
            made = subprocess.run(
                [*make, "-E", "UTF8", "--locale=C"], cwd=folder, capture_output=True, text=True, **self._as_user
            )
        except (LookupError, PermissionError) as error:
            raise CannotServe(f"PostgreSQL does not run as root, nor here as the user postgres: {error}") from error
        if made.returncode:
            raise CannotServe(f"initdb fails: {made.stderr.strip()[-300:]}")
        self._port = free_port()
        self.url = f"postgresql+psycopg://{USER}:{password}@{HOST}:{self._port}/postgres"
        settings = ("fsync=off", f"listen_addresses={HOST}", f"port={self._port}", "unix_socket_directories=", *options)
        self._command = [server, "-D", data, *(part for setting in settings for part in ("-c", setting))]
        self._run: contextlib.AbstractContextManager[subprocess.Popen] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        # By SIGTERM it would wait for its clients to leave.
        self._run = _running(
            *(self._command, self._folder / "log", lambda: _listens(self._port), signal.SIGINT),
            **{"cwd": self._folder, **self._as_user},
        )
        self._process = self._run.__enter__()

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        """Stop it, if it runs; by SIGQUIT as `pg_ctl stop -m immediate` does, which is a crash."""
        if self._run is not None:
            self._process.send_signal(by)
            self._process.wait(30)
            self._run, run = None, self._run
            run.__exit__(None, None, None)


@contextlib.contextmanager
def restartable_postgresql(*options: str) -> Iterator[PostgreSQL]:
    """A PostgreSQL server of its own, with an empty database, which runs.

    `options` are settings of the server, such as "max_connections=200". Raises CannotServe where its programs are
    missing, or may not run: it refuses to run as root, and then the user `postgres` must be there.
    """
    folder = Path(tempfile.mkdtemp(prefix="kerastuna-postgresql-"))
    try:
        server = PostgreSQL(folder, options)
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
    """As `restartable_postgresql`; gives the URL of the database."""
    with restartable_postgresql(*options) as server:
        yield server.url


def new_database(url: str, name: str) -> str:
    """Make an empty database on the server of the database at `url`; returns its URL."""
    from sqlalchemy import create_engine, text

    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
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


def _program(name: str) -> str:
    """Where a program of PostgreSQL is; Debian keeps them in a folder for each version."""
    of_debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(of_debian[-1]) if of_debian else None)
    if found is None:
        raise CannotServe(f"PostgreSQL's program {name} is not installed (Debian: apt install postgresql)")
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
