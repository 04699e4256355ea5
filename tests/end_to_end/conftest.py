"""Servers for the tests of whole searches: each is started once, by the first test that wants it."""

import time
from collections.abc import Iterator

import pytest
import servers


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a database of a PostgreSQL server; skips where none can run."""
    with servers.or_skip(), servers.postgresql() as url:
        yield url


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """The URL of an empty database."""
    return servers.new_database(postgresql_server, f"test{time.time_ns()}")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[str]:
    """The URL of a database of a MariaDB server; skips where none can run."""
    with servers.or_skip(), servers.restartable(servers.MariaDB) as server:
        yield server.url


@pytest.fixture
def mariadb(mariadb_server: str) -> str:
    """The URL of an empty database."""
    return servers.new_database(mariadb_server, f"test{time.time_ns()}")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server."""
    with servers.mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address
