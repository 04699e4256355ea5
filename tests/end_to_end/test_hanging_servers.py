"""PostgreSQL, MariaDB and the gRPC proxy, stopped, though their kernel acknowledges: the wait is bounded, and told."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import psutil
import psycopg
import pytest
import servers
from optuna.trial import TrialState
from sqlalchemy import Connection, create_engine, event, text
from study_support import opened
from support import TESTS, begin_kerastuna, write_slice

from kerastuna.search.errors import StudyError
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.studies import load_study

KINDS = {"PostgreSQL": (servers.PostgreSQL, "deadlock_timeout=100ms"), "MariaDB": (servers.MariaDB,)}


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[servers.Server]:
    kind, *options = KINDS[request.param]
    with servers.or_skip(), servers.restartable(kind, *options) as server:
        yield server


on_postgresql = pytest.mark.parametrize("server", ["PostgreSQL"], indirect=True)


@pytest.fixture
def url(server: servers.Server) -> str:
    return servers.new_database(server.url, f"test{time.time_ns()}")


def proxy_processes(location: str) -> Sequence[int]:
    port = location.rpartition(":")[2]
    return [child.pid for child in psutil.Process().children() if port in child.cmdline()]


@contextlib.contextmanager
def hanging(processes: Sequence[int]) -> Iterator[None]:
    assert processes
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


def beginnings(caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    return [record.message.partition(" (")[0].partition(",")[0] for record in caplog.records]


def test_a_database_that_hangs_is_told_in_one_line(
    server: servers.Server, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = open_storage(url, 4.0)
    stored = StoredStudy(opened(storage), storage)
    number = stored.add(None)
    with hanging(server.processes()):
        began = time.monotonic()
        with pytest.raises(StudyError, match=r"failed \(OperationalError: .*what was stored is kept; see to") as told:
            stored.trial(number)
        assert 4 <= time.monotonic() - began < 20
        assert "\n" not in str(told.value)
        assert beginnings(caplog) == ["the storage of the study does not answer"]
        began = time.monotonic()
        with pytest.raises(StudyError, match="failed"):
            stored.keep(number, name="late")
        assert time.monotonic() - began < 15
    stored.keep(number, name="in time")
    assert stored.trial(number).user_attrs["name"] == "in time"
    assert beginnings(caplog)[1:] == ["the storage of the study answers again"]


@on_postgresql
def test_a_commit_that_hangs_happens_once(server: servers.Server, url: str) -> None:
    storage = open_storage(url, 20.0)
    stored = StoredStudy(opened(storage), storage)
    processes: list[int] = []

    def stop(connection: object) -> None:
        if not processes:
            processes.extend(server.processes())
            for pid in processes:
                os.kill(pid, signal.SIGSTOP)
            threading.Timer(12, go_on).start()  # 10 seconds are half of the patience

    def go_on() -> None:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)

    event.listen(storage.engine, "commit", stop)  # type: ignore[attr-defined]
    began = time.monotonic()
    assert stored.add(None) == 0
    assert time.monotonic() - began >= 11
    assert [trial.number for trial in load_study(open_storage(url), "s").trials] == [0]


def test_a_statement_that_waits_for_a_lock_goes_on_when_it_is_free(url: str) -> None:
    storage = open_storage(url, 8.0)
    stored = StoredStudy(opened(storage), storage)
    trial_id = stored.trial_id(stored.add(None))
    with create_engine(url).connect() as holder:
        holder.execute(text("SELECT * FROM trials FOR UPDATE"))
        free = threading.Timer(5.5, holder.rollback)  # 4 seconds are half of the patience
        free.start()
        began = time.monotonic()
        assert storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
        assert time.monotonic() - began >= 5
        free.join()
    assert [trial.values for trial in stored.trials()] == [[0.5]]


@on_postgresql
def test_a_database_that_may_not_write_for_a_moment_is_waited_for(server: servers.Server, url: str) -> None:
    storage = open_storage(url, 60.0)
    stored = StoredStudy(opened(storage), storage)
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as administrator:

        def allow(writing: bool) -> None:
            administrator.execute("SET default_transaction_read_only = off")
            administrator.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'off' if writing else 'on'}")
            administrator.execute("SELECT pg_reload_conf()")
            time.sleep(0.5)

        try:
            allow(False)
            later = threading.Timer(2, allow, (True,))
            later.start()
            assert stored.add(None) == 0
            later.join()
        finally:
            allow(True)
    assert len(stored.trials()) == 1


def test_of_two_that_lock_each_other_out_the_loser_tries_again(url: str) -> None:
    storage = open_storage(url, 60.0)
    stored = StoredStudy(opened(storage), storage)
    stored.add(None)
    second = stored.trial_id(stored.add(None))
    begun: list[str] = []
    with create_engine(url).connect() as other, ThreadPoolExecutor(1) as thread:
        if other.dialect.name == "postgresql":
            other.execute(text("SET deadlock_timeout = '1min'"))  # the storage's transaction is the one that is ended
        else:
            other.execute(text("CREATE TABLE rather AS SELECT 1"))
            other.execute(text("INSERT INTO rather VALUES (1), (2), (3)"))  # of two, it is the one that wrote less
        other.execute(text("SELECT * FROM trials WHERE number = 1 FOR UPDATE"))

        def win() -> None:
            other.execute(text("SELECT * FROM studies FOR UPDATE"))
            other.rollback()

        def meet(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
            if statement.endswith("FOR UPDATE") and "FROM trials" in statement:
                begun.append(statement)
                if len(begun) == 1:
                    connection.exec_driver_sql("SELECT * FROM studies FOR UPDATE")
                    thread.submit(win)
                    time.sleep(0.5)

        event.listen(storage.engine, "before_cursor_execute", meet)  # type: ignore[attr-defined]
        assert storage.set_trial_state_values(second, TrialState.COMPLETE, [0.5])
        assert len(begun) == 2
    assert stored.trial(1).values == [0.5]


@pytest.mark.parametrize("server", ["MariaDB"], indirect=True)
def test_a_row_that_another_one_changes_between_reading_and_writing_is_read_again(url: str) -> None:
    """As MariaDB 11 has it by default."""
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as other:
        other.execute(text("SET GLOBAL innodb_snapshot_isolation = ON"))
        storage = open_storage(url, 60.0)
        study = opened(storage)
        study.set_user_attr("key", 1)
        met: list[str] = []

        def meet(connection: object, cursor: object, statement: str, *rest: object) -> None:
            if statement.startswith("UPDATE study_user_attributes") and not met:
                met.append(statement)
                other.execute(text("UPDATE study_user_attributes SET value_json = '2' WHERE value_json = '1'"))

        event.listen(storage.engine, "before_cursor_execute", meet)  # type: ignore[attr-defined]
        study.set_user_attr("key", 3)
        assert met
        assert study.user_attrs["key"] == 3


def test_a_proxy_that_hangs_is_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with servers.grpc_proxy(f"sqlite:///{tmp_path}/studies.db", tmp_path) as location:
        storage = open_storage(location, 3.0)
        stored = StoredStudy(opened(storage), storage)
        number = stored.add(None)
        with hanging(proxy_processes(location)):
            began = time.monotonic()
            with pytest.raises(StudyError, match=r"failed \(DEADLINE_EXCEEDED: .*what was stored is kept") as told:
                stored.trials()
            assert 3 <= time.monotonic() - began < 30
            assert "\n" not in str(told.value)
            assert beginnings(caplog) == ["the storage of the study does not answer"]
        stored.keep(number, name="in time")
        assert stored.trial(number).user_attrs["name"] == "in time"
        assert beginnings(caplog)[1:] == ["the storage of the study answers again"]
        with hanging(proxy_processes(location)):
            threading.Timer(1, os.kill, (proxy_processes(location)[0], signal.SIGCONT)).start()
            assert stored.add(None) == 1, "one that goes on in time is only slow"
        assert len(beginnings(caplog)) == 2


def test_a_search_ends_with_status_2(tmp_path: Path) -> None:
    """With its five minutes made six seconds."""
    write_slice(tmp_path / "slice.npz", 400, 100)
    (tmp_path / "sitecustomize.py").write_text(
        "import kerastuna.search.study.waiting as waiting\nwaiting.WAIT_SECONDS = 6.0\n"
    )
    path = f"{tmp_path}{os.pathsep}{TESTS}"
    arguments = (
        *("search", "--data", "slice.npz", "--images", "200", "--epochs", "2", "--budget", "2000", "--device", "cpu"),
        *("--no-warm-start", "--workers", "1", "--no-confirm", "--study", "s", "--trials", "400"),
    )
    with (
        servers.grpc_proxy(f"sqlite:///{tmp_path}/studies.db", tmp_path) as location,
        begin_kerastuna(tmp_path, *arguments, "--storage", location, PYTHONPATH=path) as process,
    ):
        assert process.stderr is not None
        lines = [""]
        while "(1/400)" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        with hanging(proxy_processes(location)):
            _, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert (
        "the storage of the study does not answer (DEADLINE_EXCEEDED: Deadline Exceeded): waiting for up to 6 s" in err
    )
    assert err.splitlines()[-1].startswith(f"kerastuna: storage '{location}' failed (DEADLINE_EXCEEDED")
    assert "Traceback" not in err
    assert optuna.get_all_study_names(open_storage(f"sqlite:///{tmp_path}/studies.db")) == ["s"]
