"""Opening an MLflow store, errors in one line, and writing within MLflow's limits.

Importing this module is cheap; `open_client` imports MLflow.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import posixpath
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..compat.sqlalchemy import quiet_lost_connections
from ..errors import InputError
from ..messages import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Defaults for MLflow in this process and its children; what the user has set stays. By MLflow's own defaults, calls to
# a dead server take minutes, a server decides how long a client waits, usage is reported over the network,
# and the address of a server is printed with every run, its password included.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # at the end of every run, with the server's password
}
MAX_NAME, MAX_PARAM_VALUE, MAX_TAG_VALUE = 250, 6000, 8000  # characters, MLflow's limits
MAX_METRICS_PER_CALL, MAX_PARAMS_PER_CALL, MAX_TAGS_PER_CALL = 800, 100, 100  # together at most MLflow's 1,000


ATTEMPTS = 5
"""To write what other processes are writing."""
LONGEST_PAUSE = 0.1
"""Seconds between them."""
_WAS_FASTER = "UNIQUE constraint failed|duplicate key value|Duplicate entry"
"""In the words of SQLite, PostgreSQL and MySQL."""
_OTHER_SCHEMES = ("databricks", "databricks-uc", "uc")
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # in the UI: training, not language models


def default_tracking_uri(folder: Path) -> str:
    """The URI of the SQLite database `mlflow.db` in `folder`.

    Raises InputError for a folder whose name no URI can hold: MLflow takes an escaped character for itself, too.
    """
    path = folder.resolve() / "mlflow.db"
    uri = f"sqlite:///{path.as_posix()}"
    if ("?" in uri or "%" in uri) and file_of(uri) != path:
        raise InputError(
            f"the folder {redact(str(folder))!r} cannot hold MLflow's database, for a ? or % in its name or above it: "
            "give another --folder, or a --tracking-uri"
        )
    return uri


def file_of(uri: str) -> Path | None:
    """The file that a SQLite URI names; None for any other URI, and for a database in memory."""
    if uri.partition(":")[0].partition("+")[0] != "sqlite":
        return None
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    return None if name in (None, "", ":memory:") else Path(name)


def configure_environment() -> None:
    """Set `ENVIRONMENT` where the user has set nothing. Call it before MLflow is imported, or it has no effect."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def is_database(uri: str) -> bool:
    """Whether `uri` is a database that MLflow's client opens itself, not a server or a plugin."""
    return uri.partition(":")[0].partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql")


def check_tracking_uri(uri: str) -> None:
    """Raise InputError where it can be known, without MLflow and a connection, that no store is at `uri`."""
    _check_scheme(uri)
    scheme = uri.partition(":")[0].lower()
    with refused(uri):
        if is_database(uri):
            from sqlalchemy import create_engine

            engine = create_engine(uri)  # imports the driver, and connects to nothing
            engine.dispose()
            if scheme.partition("+")[0] == "sqlite":
                _check_sqlite_file(uri)
        elif scheme in ("http", "https"):
            address = urlsplit(uri)
            if not address.hostname or address.port == 0:
                raise ValueError("it names no server")
        elif scheme not in _OTHER_SCHEMES and scheme not in entry_points(group="mlflow.tracking_store").names:
            raise ValueError(f"{scheme!r} is neither a database nor a server that MLflow knows")


def open_client(uri: str) -> MlflowClient:
    """A client of the store at `uri`. A SQLite database is created when it does not exist.

    Raises InputError for a URI that names neither a database nor a server, and whatever MLflow raises for a store that
    does not work.
    """
    _check_scheme(uri)
    configure_environment()
    from mlflow import MlflowClient

    # They log failures with their traces; the same failures are raised, too.
    for name in ("mlflow.store.db.utils", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if uri.startswith("sqlite"):
        _prepare_sqlite(uri)
    elif is_database(uri):
        quiet_lost_connections()
        _check_database(uri)
    return MlflowClient(uri, uri)


def open_experiment(client: MlflowClient, name: str, artifact_location: str | None, warn: Callable[[str], None]) -> str:
    """The id of the experiment `name`, which is created if it does not exist, and restored if it was deleted.

    Args:
        artifact_location: URI of the folder for artifacts of a new experiment; None where the server decides.
        warn: receives one line when the experiment is restored.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=artifact_location, tags=_EXPERIMENT_TAGS)
        except Exception:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
        warn(f"the MLflow experiment {name!r} had been deleted: it is restored, with its runs")
    return found.experiment_id


def log_batch(
    client: MlflowClient,
    run_id: str,
    *,
    metrics: Sequence[tuple[int, Mapping[str, float | None]]] = (),
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Log everything in as few calls as MLflow's limits allow.

    Args:
        metrics: pairs of (step, values by name). None is left out; NaN and infinity are logged as NaN.
    """
    from mlflow.entities import Metric, Param, RunTag

    now = round(1000 * time.time())
    points = [
        Metric(safe_name(key), float(value) if math.isfinite(value) else math.nan, now, step)
        for step, values in metrics
        for key, value in values.items()
        if value is not None
    ]
    pairs = [Param(key, value) for key, value in as_params(params or {}).items()]
    labels = [RunTag(key, value) for key, value in as_tags(tags or {}).items()]
    while points or pairs or labels:
        batch = points[:MAX_METRICS_PER_CALL], pairs[:MAX_PARAMS_PER_CALL], labels[:MAX_TAGS_PER_CALL]
        shared(partial(client.log_batch, run_id, *batch))
        del points[:MAX_METRICS_PER_CALL], pairs[:MAX_PARAMS_PER_CALL], labels[:MAX_TAGS_PER_CALL]


def shared(write: Callable[[], object]) -> None:
    """Call `write`, again where another process has written the same new name at the same time.

    MLflow first looks whether a tag is there, and then inserts it: one of two processes fails.
    """
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            write()
            return
        except Exception as error:  # MLflow raises many types, and a server tells the database's words
            if not attempts_left or not re.search(_WAS_FASTER, str(error)):
                raise
            time.sleep(random.Random().uniform(0, LONGEST_PAUSE))


def as_params(params: Mapping[str, Any]) -> dict[str, str]:
    """`params` with names and values that MLflow accepts."""
    return {safe_name(key): as_value(value, MAX_PARAM_VALUE) for key, value in params.items()}


def as_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """`tags` with names and values that MLflow accepts."""
    return {safe_name(key): as_value(value) for key, value in tags.items()}


def as_value(value: Any, limit: int = MAX_TAG_VALUE) -> str:
    """`value` as text of at most `limit` characters, without passwords."""
    text = redact(str(value))
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def safe_name(name: str) -> str:
    """A name that MLflow accepts: `name` itself if possible, else a similar one with a digest that makes it unique."""
    safe = re.sub(r"[^\w./\- ]", "_", name)[:MAX_NAME]
    if safe in ("", ".") or safe.startswith(("/", "..")) or posixpath.normpath(safe) != safe:
        safe = re.sub(r"[./]", "_", safe) or "_"
    if safe == name:
        return safe
    return f"{safe[: MAX_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@contextmanager
def refused(uri: str) -> Iterator[None]:
    """Turn whatever a store raises into an InputError of one line. The cause is left out: it may hold a password."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"the tracking URI {redact(uri)} cannot be used: {explain(error)}; give a database that can be written, "
            "such as sqlite:////folder/mlflow.db, or the address of a running MLflow server"
        ) from None


def explain(error: BaseException) -> str:
    """`error` in one line, without passwords: the innermost error of the system or of SQLite, else MLflow's own."""
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(inner)
    told = next((each for each in reversed(chain) if isinstance(each, OSError | sqlite3.Error)), error)
    text = redact(str(told) or type(told).__name__).partition("(Background on this error")[0]
    return " ".join(text.split())[:300]


def _check_scheme(uri: str) -> None:
    scheme, separator, _ = uri.partition("://")
    if uri != "databricks" and (not separator or scheme.lower() == "file"):
        shown = redact(f"uri://{uri}").removeprefix("uri://")
        raise InputError(
            f"the tracking URI {shown!r} names no database and no server (MLflow no longer writes to plain folders); "
            "give a database, such as sqlite:////folder/mlflow.db, or the address of a running MLflow server"
        )


def _check_database(uri: str) -> None:
    """Raise if the database does not answer the first connection; MLflow itself would try for 100 seconds."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    engine.connect().close()
    engine.dispose()


def _prepare_sqlite(uri: str) -> None:
    """Create the database of a SQLite URI if it does not exist, and check that it is MLflow's and can be written.

    A database that two processes create at the same time is broken for good, and so is one whose process is killed
    while it creates it. So it is created under a lock, with another name, and renamed when it is complete. The lock is
    one of SQLite: it works wherever the database itself works, and it ends with its process.
    """
    path = _check_sqlite_file(uri)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(f"{path}.lock", timeout=120, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")  # the file stays: processes that wait for the lock would fail without it
            if not path.exists():
                _create_sqlite(path)
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "experiments" not in tables:
        raise InputError(f"the tracking URI {uri} is the database of another program; give a file of its own")


def _check_sqlite_file(uri: str) -> Path:
    """The absolute path of the file that a SQLite URI names; raises InputError where it cannot be one."""
    name = file_of(uri)
    if name is None:
        raise InputError(f"the tracking URI {redact(uri)} names no file; give one, such as sqlite:////folder/mlflow.db")
    path = name.resolve()
    around = next(each for each in path.parents if each.exists())
    if path.is_dir() or not around.is_dir() or (not path.exists() and not os.access(around, os.W_OK | os.X_OK)):
        raise InputError(
            f"the tracking URI {redact(uri)} names a file that cannot be written; give another, such as "
            "sqlite:////folder/mlflow.db"
        )
    return path


def _create_sqlite(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    new = path.with_name(f"{path.name}.new")
    for leftover in path.parent.glob(f"{new.name}*"):
        leftover.unlink()
    store = SqlAlchemyStore(f"sqlite:///{new.as_posix()}", (path.parent / "artifacts").as_uri())
    store.engine.dispose()
    with closing(sqlite3.connect(new)) as database:
        database.execute("PRAGMA journal_mode=WAL")  # stored in the file; a UI that reads does not block the search
    new.replace(path)
