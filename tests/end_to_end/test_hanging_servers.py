"""PostgreSQL and the gRPC proxy, stopped so that their kernel still acknowledges: the wait is bounded, and told."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
import psutil
import psycopg
import pytest
import servers
from optuna.trial import TrialState
from sqlalchemy import event
from study_support import opened
from support import TESTS, begin_kerastuna, write_slice

from kerastuna.search.errors import StudyError
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.studies import load_study


@pytest.fixture(scope="module")
def server() -> Iterator[servers.PostgreSQL]:
    with servers.or_skip(), servers.restartable_postgresql("deadlock_timeout=100ms") as server:
        yield server


@pytest.fixture
def url(server: servers.PostgreSQL) -> str:
    return servers.new_database(server.url, f"test{time.time_ns()}")


def postgresql_processes(server: servers.PostgreSQL) -> Sequence[int]:
    return [server._process.pid, *(child.pid for child in psutil.Process(server._process.pid).children())]


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
    server: servers.PostgreSQL, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = open_storage(url, 4.0)
    stored = StoredStudy(opened(storage), storage)
    number = stored.add(None)
    with hanging(postgresql_processes(server)):
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


def test_a_commit_that_hangs_happens_once(server: servers.PostgreSQL, url: str) -> None:
    storage = open_storage(url, 20.0)
    stored = StoredStudy(opened(storage), storage)
    processes: list[int] = []

    def stop(connection: object) -> None:
        if not processes:
            processes.extend(postgresql_processes(server))
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
    with psycopg.connect(url.replace("+psycopg", "")) as holder:
        holder.execute("SELECT * FROM trials FOR UPDATE")
        free = threading.Timer(5.5, holder.rollback)  # 4 seconds are half of the patience
        free.start()
        began = time.monotonic()
        assert storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
        assert time.monotonic() - began >= 5
        free.join()
    assert [trial.values for trial in stored.trials()] == [[0.5]]


def test_a_database_that_may_not_write_for_a_moment_is_waited_for(server: servers.PostgreSQL, url: str) -> None:
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
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("SET deadlock_timeout = '1min'")  # the storage's transaction is the one that is ended
        other.execute("SELECT * FROM trials WHERE number = 1 FOR UPDATE")
        met = threading.Event()

        def meet(connection: object, cursor: object, statement: str, *rest: object) -> None:
            if "FOR UPDATE" in statement and not met.is_set():
                met.set()
                connection.exec_driver_sql("SELECT * FROM studies FOR UPDATE")  # type: ignore[attr-defined]
                threading.Thread(
                    target=lambda: (other.execute("SELECT * FROM studies FOR UPDATE"), other.rollback())
                ).start()
                time.sleep(0.5)

        event.listen(storage.engine, "before_cursor_execute", meet)  # type: ignore[attr-defined]
        assert storage.set_trial_state_values(second, TrialState.COMPLETE, [0.5])
        assert met.is_set()
    assert stored.trial(1).values == [0.5]


def test_a_proxy_that_hangs_is_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with servers.grpc_proxy(f"sqlite:///{tmp_path}/studies.db", tmp_path) as location:
        storage = open_storage(location, 3.0)
        stored = StoredStudy(opened(storage), storage)
        number = stored.add(None)
        with hanging(proxy_processes(location)):
            began = time.monotonic()
            with pytest.raises(StudyError, match=r"failed \(DEADLINE_EXCEEDED: .*what was stored is kept") as told:
                stored.trials()
            assert 3 <= time.monotonic() - began < 8
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
