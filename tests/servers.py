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
from collections.abc import Callable, Iterator
from pathlib import Path

HOST = "127.0.0.1"
USER = "kerastuna"
START_SECONDS = 90.0

PROXY = """
import sys
from optuna.storages import get_storage, run_grpc_proxy_server
run_grpc_proxy_server(get_storage(sys.argv[1]), host=sys.argv[2], port=int(sys.argv[3]))
"""


class CannotServe(Exception):
    """A server cannot run here; the text says why."""


@contextlib.contextmanager
def postgresql(*options: str) -> Iterator[str]:
    """A PostgreSQL server of its own, with an empty database; gives the URL of the database.

    `options` are settings of the server, such as "max_connections=200". Raises CannotServe where its programs are
    missing, or may not run: it refuses to run as root, and then the user `postgres` must be there.
    """
    initdb, server = _program("initdb"), _program("postgres")
    as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="kerastuna-postgresql-"))
    data, password = folder / "data", secrets.token_hex(8)
    try:
        (folder / "password").write_text(password)
        make = [initdb, "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
        try:
            for path in (folder, folder / "password") if as_user else ():
                shutil.chown(path, "postgres", "postgres")
            made = subprocess.run(
                [*make, "-E", "UTF8", "--locale=C"], cwd=folder, capture_output=True, text=True, **as_user
            )
        except (LookupError, PermissionError) as error:
            raise CannotServe(f"PostgreSQL does not run as root, nor here as the user postgres: {error}") from error
        if made.returncode:
            raise CannotServe(f"initdb fails: {made.stderr.strip()[-300:]}")
        port = free_port()
        settings = ("fsync=off", f"listen_addresses={HOST}", f"port={port}", "unix_socket_directories=", *options)
        command = [server, "-D", data, *(part for setting in settings for part in ("-c", setting))]
        # By SIGTERM it would wait for its clients to leave.
        with _running(command, folder / "log", lambda: _listens(port), signal.SIGINT, cwd=folder, **as_user):
            yield f"postgresql+psycopg://{USER}:{password}@{HOST}:{port}/postgres"
    finally:
        shutil.rmtree(folder)


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
def grpc_proxy(url: str, folder: Path) -> Iterator[str]:
    """Optuna's proxy of the storage at `url`; its log is in `folder`. Gives the location of the storage."""
    port = free_port()
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
) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options)
    try:
        end = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > end:
                raise CannotServe(f"{command[0]} does not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(end_by)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
