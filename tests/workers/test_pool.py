"""Worker processes: their tasks, their deaths, and that none of them is left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from support import script_environment
from worker_support import Deaths, is_running, nothing, wait_for

from kerastuna.search.errors import InputError, SearchFailed
from kerastuna.search.workers import tasks as module
from kerastuna.search.workers.pool import WorkerPool
from kerastuna.search.workers.process import Channel
from kerastuna.search.workers.tasks import RESTARTS

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker cannot import a module of the tests
cloudpickle.register_pickle_by_value(sys.modules["worker_support"])


def workers(count: int, told: list[str] | None = None, **variables: str) -> WorkerPool:
    return WorkerPool([variables] * count, device="cpu", warn=(told if told is not None else []).append)


def meeting(folder: Path, number: int) -> Any:
    """A task that ends once the other one of two has begun."""

    def task(channel: Channel) -> tuple[int, int]:
        (folder / f"{number}").touch()
        end = time.monotonic() + 30
        while not (folder / f"{1 - number}").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        return number, os.getpid()

    return task


def test_tasks_run_at_the_same_time_and_results_keep_their_order(tmp_path: Path):
    seen: dict[int, Any] = {}
    with workers(2) as pool:
        results = pool.run([meeting(tmp_path, 0), meeting(tmp_path, 1)], nothing, on_result=seen.__setitem__)
        pids = [pid for _, pid in results]
        again = pool.run([lambda channel: os.getpid()] * 5, nothing)
    assert [number for number, _ in results] == [0, 1]
    assert seen == dict(enumerate(results))
    assert len(set(pids)) == 2
    assert set(again) <= set(pids)  # no process is started anew
    assert not any(map(is_running, pids))


def test_events_are_told_in_order_and_answered():
    told: list[Any] = []

    def task(channel: Channel) -> int:
        channel.tell("first", 1, "one")
        return channel.ask("second", 2)

    def answer(index: int, name: str, values: tuple[Any, ...]) -> Any:
        told.append((index, name, values))
        return 42

    with workers(1) as pool:
        assert pool.run([task], answer) == [42]
    assert told == [(0, "first", (1, "one")), (0, "second", (2,))]


def test_arrays_are_mapped_and_the_environment_is_set():
    rows = np.arange(100_000.0)

    def task(channel: Channel) -> Any:
        owner: Any = rows
        while isinstance(owner, np.ndarray):
            owner = owner.base
        return float(rows.sum()), type(getattr(owner, "obj", owner)).__name__, os.environ["TEST_OF_WORKERS"]

    with workers(1, TEST_OF_WORKERS="here") as pool:
        assert pool.run([task], nothing) == [(rows.sum(), "mmap", "here")]


def test_an_error_is_raised_with_its_trace_and_the_others_are_stopped(tmp_path: Path):
    def wrong(channel: Channel) -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        raise InputError("no such thing")

    def long(channel: Channel) -> None:
        try:
            (tmp_path / "begun").touch()
            time.sleep(60)
        except KeyboardInterrupt:
            channel.tell("stopped")
            raise

    told: list[str] = []
    with workers(2) as pool, pytest.raises(InputError, match="no such thing") as caught:
        pool.run([wrong, long], lambda index, name, values: told.append(name))
    assert "in wrong" in "".join(caught.value.__notes__)
    assert told == ["stopped"]


def test_an_error_that_cannot_be_pickled_is_told_by_its_text():
    def wrong(channel: Channel) -> None:
        error = RuntimeError("with a lock")
        error.lock = __import__("threading").Lock()  # type: ignore[attr-defined]
        raise error

    with workers(1) as pool, pytest.raises(SearchFailed, match="RuntimeError: with a lock"):
        pool.run([wrong], nothing)


def test_a_worker_that_is_killed_is_started_again_and_does_its_task(tmp_path: Path):
    def task(channel: Channel) -> str:
        if not (tmp_path / "tried").exists():
            (tmp_path / "tried").touch()
            print("the last words")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    told: list[str] = []
    deaths = Deaths()
    with workers(2, told) as pool:
        results = pool.run([task, lambda channel: "other"], nothing, on_death=deaths)
    assert results == ["done", "other"]
    assert deaths.told == [(None, False)]
    assert len(told) == 1
    assert "ended by signal 9: the last words; it is started again (2 more times at most)" in told[0]


def test_a_worker_that_always_dies_is_given_up():
    told: list[str] = []
    with workers(1, told) as pool, pytest.raises(SearchFailed, match=f"every worker died {RESTARTS + 1} times"):
        pool.run([lambda channel: os._exit(3)], nothing)
    assert len(told) == RESTARTS + 1
    assert told[-1] == "worker 1 ended with status 3; it is not started again"


def test_an_interruption_lets_tasks_put_their_work_in_order(tmp_path: Path):
    def task(channel: Channel) -> None:
        try:
            channel.tell("begun")
            time.sleep(60)
        except KeyboardInterrupt:
            (tmp_path / "in order").touch()
            channel.tell("interrupted")
            raise

    told: list[str] = []

    def interrupt(index: int, name: str, values: tuple[Any, ...]) -> None:
        told.append(name)
        if name == "begun":
            raise KeyboardInterrupt

    with workers(1) as pool, pytest.raises(KeyboardInterrupt):
        pool.run([task], interrupt)
    assert told == ["begun", "interrupted"]
    assert (tmp_path / "in order").exists()


def test_an_interruption_that_was_swallowed_is_raised_again():
    def task(channel: Channel) -> None:
        try:
            channel.tell("begun")
            time.sleep(60)
        except BaseException:
            channel.tell("swallowed")
        time.sleep(60)

    told: list[str] = []

    def interrupt(index: int, name: str, values: tuple[Any, ...]) -> None:
        told.append(name)
        if name == "begun":
            raise KeyboardInterrupt

    began = time.monotonic()
    with workers(1) as pool, pytest.raises(KeyboardInterrupt):
        pool.run([task], interrupt)
    assert told == ["begun", "swallowed"]
    assert time.monotonic() - began < module.GRACE_SECONDS  # it ended by itself


def test_one_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 1.0)
    deaths = Deaths()

    def task(channel: Channel) -> None:
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                channel.tell("begun", os.getpid())
                time.sleep(60)

    pids: list[int] = []

    def interrupt(index: int, name: str, values: tuple[Any, ...]) -> None:
        pids.append(values[0])
        if len(pids) == 1:
            raise KeyboardInterrupt

    with workers(1) as pool, pytest.raises(KeyboardInterrupt):
        pool.run([task], interrupt, on_death=deaths)
    assert deaths.told == [(None, True)]
    assert not is_running(pids[0])


def test_what_cannot_be_pickled_is_refused_before_anything_runs():
    lock = __import__("threading").Lock()
    with workers(1) as pool, pytest.raises(InputError, match="cannot be pickled"):
        pool.run([lambda channel: lock], nothing)


PARENT = """
import time
from kerastuna.search.workers.pool import WorkerPool

def task(channel):
    import os, time
    channel.tell("pid", os.getpid())
    time.sleep(120)

with WorkerPool([{}, {}], device="cpu", warn=print) as pool:
    pool.run([task, task], lambda index, name, values: print(values[0], flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_the_process_that_started_it(number: signal.Signals):
    """SIGINT goes to the whole group, as a terminal sends it."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=script_environment(),
        start_new_session=True,
    )
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(map(is_running, pids))
    if number == signal.SIGKILL:
        parent.kill()
    else:
        os.killpg(parent.pid, number)
    _, error = parent.communicate(timeout=60)
    wait_for(lambda: not any(map(is_running, pids)))
    assert error.count("Traceback") == (number == signal.SIGINT)


def test_workers_can_be_waited_for(tmp_path: Path):
    with workers(2) as pool:
        pool.wait_until_ready()
        assert pool.run([meeting(tmp_path, 0), meeting(tmp_path, 1)], nothing)[1][0] == 1
