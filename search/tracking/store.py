"""Opens an MLflow store, with one line for the user when it cannot be used, and writes to it within its limits.

Importing this module is cheap; `open_client` imports MLflow.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import posixpath
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..messages import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

STUDY_TAG, KIND_TAG = "kerastuna.study", "kerastuna.kind"


@dataclass(frozen=True)
class StudyRun:
    """Where a study is recorded: what a worker needs to record its trials under the parent run."""

    experiment_id: str
    run_id: str
    study: str


# Defaults for MLflow in this process and its children; what the user has set stays. Its own would cost minutes for each
# call to a server that is down, wait as long as a server asks for, and report usage to its makers.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
MAX_NAME, MAX_PARAM_VALUE, MAX_TAG_VALUE = 250, 6000, 8000  # characters, MLflow's limits
MAX_METRICS_PER_CALL, MAX_PARAMS_PER_CALL, MAX_TAGS_PER_CALL = 800, 100, 100  # together at most MLflow's 1,000


def default_tracking_uri(folder: Path) -> str:
    """The URI of the sqlite database `mlflow.db` in `folder`."""
    return f"sqlite:///{(folder.resolve() / 'mlflow.db').as_posix()}"


def configure_environment() -> None:
    """Sets `ENVIRONMENT` where the user has set nothing. Takes effect when done before MLflow is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def is_database(uri: str) -> bool:
    """Whether `uri` is a database that MLflow's client opens itself; else a server answers, or a plugin."""
    return uri.partition(":")[0].partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql")


def open_client(uri: str) -> MlflowClient:
    """A client of the store at `uri`; the database of a sqlite URI is made when it is new.

    Raises InputError for a URI that cannot be meant, and whatever MLflow raises for a store that does not work.
    """
    _check_scheme(uri)
    configure_environment()
    from mlflow import MlflowClient

    # What these print, failures with their traces, is raised to us as well.
    for name in ("mlflow.store.db.utils", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if uri.startswith("sqlite"):
        _prepare_sqlite(uri)
    elif is_database(uri):
        _check_database(uri)
    return MlflowClient(uri, uri)


def log_batch(
    client: MlflowClient,
    run_id: str,
    *,
    metrics: Sequence[tuple[int, Mapping[str, float | None]]] = (),
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Everything in one call, or in as few as MLflow's limits allow; `metrics` are (step, values)."""
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
        client.log_batch(run_id, points[:MAX_METRICS_PER_CALL], pairs[:MAX_PARAMS_PER_CALL], labels[:MAX_TAGS_PER_CALL])
        del points[:MAX_METRICS_PER_CALL], pairs[:MAX_PARAMS_PER_CALL], labels[:MAX_TAGS_PER_CALL]


def as_params(params: Mapping[str, Any]) -> dict[str, str]:
    return {safe_name(key): as_value(value, MAX_PARAM_VALUE) for key, value in params.items()}


def as_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    return {safe_name(key): as_value(value) for key, value in tags.items()}


def as_value(value: Any, limit: int = MAX_TAG_VALUE) -> str:
    text = redact(str(value))
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def safe_name(name: str) -> str:
    """A name MLflow takes: as given where possible, else made safe and told apart from all others by a digest."""
    safe = re.sub(r"[^\w./\- ]", "_", name)[:MAX_NAME]
    if safe in ("", ".") or safe.startswith(("/", "..")) or posixpath.normpath(safe) != safe:
        safe = re.sub(r"[./]", "_", safe) or "_"
    if safe == name:
        return safe
    return f"{safe[: MAX_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@contextmanager
def refused(uri: str) -> Iterator[None]:
    """Turns whatever a store raises into an InputError of one line. The cause is dropped: it may hold a password."""
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
    """One line for an error, free of passwords: the innermost of the system's or sqlite's errors, else MLflow's own."""
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
    """One connection: MLflow itself would try for 100 seconds."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    engine.connect().close()
    engine.dispose()


def _prepare_sqlite(uri: str) -> None:
    """Makes the database of a sqlite URI when it is new, and checks that it is MLflow's and can be written.

    Processes that make one database at the same time leave it broken for good, and so does one that is killed while it
    does: so it is made under a lock, beside its final name, and renamed when it is whole. The lock is sqlite's own: it
    holds wherever the database itself works, and it ends with its process.
    """
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    if name in (None, "", ":memory:"):
        raise InputError(f"the tracking URI {uri} names no file; give one, such as sqlite:////folder/mlflow.db")
    path = Path(name).resolve()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(f"{path}.lock", timeout=120, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")  # the file stays: removing it would fail those who wait for it
            if not path.exists():
                _make_sqlite(path)
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "experiments" not in tables:
        raise InputError(f"the tracking URI {uri} is the database of another program; give a file of its own")


def _make_sqlite(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    new = path.with_name(f"{path.name}.new")
    for leftover in path.parent.glob(f"{new.name}*"):
        leftover.unlink()
    store = SqlAlchemyStore(f"sqlite:///{new.as_posix()}", (path.parent / "artifacts").as_uri())
    store.engine.dispose()
    with closing(sqlite3.connect(new)) as database:
        database.execute("PRAGMA journal_mode=WAL")  # kept in the file; the UI that reads does not hold up the search
    new.replace(path)
