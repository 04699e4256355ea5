"""Workers on a real Ray cluster of two nodes: killed, lost with their node, interrupted, and none of them left."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import keras_tuner
import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster
from support import script_environment
from tuner_support import Function, outcomes_of_workers
from worker_support import Deaths, is_running, nothing, wait_for

from kerastuna.search import SearchObserver
from kerastuna.search.errors import InputError, SearchFailed
from kerastuna.search.study.attributes import RETRY_OF, WORKER
from kerastuna.search.tuning.parallel import MODULES
from kerastuna.search.workers import ray as module
from kerastuna.search.workers.cluster import joined
from kerastuna.search.workers.process import Channel
from kerastuna.search.workers.ray import RayPool

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker cannot import a module of the tests
cloudpickle.register_pickle_by_value(sys.modules["worker_support"])
cloudpickle.register_pickle_by_value(sys.modules["tuner_support"])

SMALL: dict[str, Any] = {"object_store_memory": 100 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head with two cores; this process has joined it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        for name, value in (("period_ms", 1000), ("timeout_ms", 5000), ("failure_threshold", 3)):
            patch.setenv(f"RAY_health_check_{name}", str(value))  # a lost node is given up sooner than after a minute
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **SMALL})
        try:
            with joined(str(started.address)):
                yield started
        finally:
            started.shutdown()


def workers(count: int, told: list[str] | None = None, **given: Any) -> RayPool:
    warn = (told if told is not None else []).append
    return RayPool([{"TEST_OF_WORKERS": "here"}] * count, is_here=True, warn=warn, **given)


def test_tasks_events_answers_and_arrays(cluster: Cluster, tmp_path: Path):
    rows = np.arange(100_000.0)
    told: list[Any] = []

    def task(number: int) -> Any:
        def work(channel: Channel) -> Any:
            (tmp_path / str(number)).touch()
            while not (tmp_path / str(1 - number)).exists():  # both run at the same time
                time.sleep(0.01)
            channel.tell("first", number)
            channel.tell("second", number)
            answer = channel.ask("third", number)
            seen = float(rows.sum()), rows.flags.writeable
            return answer, seen, os.environ["TEST_OF_WORKERS"], os.getcwd(), os.getpid()

        return work

    def answer(index: int, name: str, values: tuple[Any, ...]) -> Any:
        told.append((index, name, *values))
        return index * 10

    kept: dict[int, Any] = {}
    with workers(2) as pool:
        results = pool.run([task(0), task(1)], answer, on_result=kept.__setitem__)
        again = pool.run([lambda channel: os.getpid()] * 5, nothing)
    assert [result[:-1] for result in results] == [
        (number * 10, (rows.sum(), False), "here", os.getcwd()) for number in (0, 1)
    ]
    assert kept == dict(enumerate(results))
    for number in (0, 1):
        assert [event for event in told if event[0] == number] == [
            (number, name, number) for name in ("first", "second", "third")
        ]
    pids = {result[-1] for result in results}
    assert len(pids) == 2
    assert set(again) <= pids  # no process is started anew
    wait_for(lambda: not any(map(is_running, pids)))


def test_more_workers_than_room(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    with workers(3, told) as pool:
        assert pool.run([lambda channel: 1] * 6, nothing) == [1] * 6
    assert told == []
    monkeypatch.setattr(module, "ROOM_SECONDS", 0.5)

    def interrupt(line: str) -> None:
        told.append(line)
        raise KeyboardInterrupt

    with RayPool([{}], is_here=True, gpus=0.5, warn=interrupt) as pool, pytest.raises(KeyboardInterrupt):
        pool.run([lambda channel: 1], nothing)
    assert told == ["no worker runs yet: each waits until a machine of the Ray cluster has a core and 0.5 GPUs free"]


def test_an_error_is_raised_with_its_trace_and_the_others_are_stopped(cluster: Cluster, tmp_path: Path):
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


def test_what_a_machine_lacks_is_told(cluster: Cluster):
    with workers(1, modules=["no_such_module"]) as pool, pytest.raises(ModuleNotFoundError, match="no_such_module"):
        pool.run([lambda channel: 1], nothing)


def test_what_cannot_be_pickled_is_refused(cluster: Cluster):
    lock = threading.Lock()
    with workers(1) as pool, pytest.raises(InputError, match="cannot be pickled"):
        pool.run([lambda channel: lock], nothing)


def test_a_worker_that_is_killed_is_started_again_and_does_its_task(cluster: Cluster, tmp_path: Path):
    def task(channel: Channel) -> str:
        if not (tmp_path / "tried").exists():
            (tmp_path / "tried").write_text(str(os.getpid()))
            channel.tell("last words")
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    told: list[str] = []
    events: list[str] = []
    deaths = Deaths()
    with workers(2, told) as pool:
        results = pool.run(
            [task, lambda channel: "other"],
            lambda index, name, values: events.append(name),
            on_death=deaths,
        )
    assert results == ["done", "other"]
    assert events == ["last words"]
    assert [worker["pid"] for worker, _ in deaths.told] == [int((tmp_path / "tried").read_text())]
    assert len(told) == 1
    assert "its worker process has died); it is started again (2 more times at most)" in told[0]
    assert len(told[0]) < 200


def test_a_worker_that_always_dies_is_given_up(cluster: Cluster):
    told: list[str] = []
    with workers(1, told) as pool, pytest.raises(SearchFailed, match="every worker died 4 times"):
        pool.run([lambda channel: os._exit(3)], nothing)
    assert len(told) == 4
    assert told[-1].endswith("it is not started again")


def test_an_interruption_that_was_swallowed_is_raised_again(cluster: Cluster):
    def task(channel: Channel) -> None:
        try:
            channel.tell("begun", os.getpid())
            time.sleep(60)
        except BaseException:
            channel.tell("swallowed", 0)
        time.sleep(60)

    told: list[str] = []
    pids: list[int] = []

    def interrupt(index: int, name: str, values: tuple[Any, ...]) -> None:
        told.append(name)
        pids.append(values[0])
        if name == "begun":
            raise KeyboardInterrupt

    began = time.monotonic()
    with workers(1) as pool, pytest.raises(KeyboardInterrupt):
        pool.run([task], interrupt)
    assert told == ["begun", "swallowed"]
    assert time.monotonic() - began < 15  # it ended by itself
    wait_for(lambda: not is_running(pids[0]))


def test_one_that_was_taken_for_dead_is_told_to_stop(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As when the network of its machine comes back."""

    def task(channel: Channel) -> str:
        try:
            (tmp_path / "begun").mkdir()
        except FileExistsError:
            wait_for((tmp_path / "stopped").exists)
            return "done by another"
        try:
            channel.tell("begun")
            while True:
                channel.tell("still here")
                time.sleep(0.1)
        except KeyboardInterrupt:
            (tmp_path / "stopped").touch()
            raise

    def lose(index: int, name: str, values: tuple[Any, ...]) -> None:
        if name == "begun":
            pool._received.append((pool._workers[0].box, None))

    monkeypatch.setattr(module._Actor, "kill", lambda worker: "was lost")
    with workers(1) as pool:
        assert pool.run([task], lose) == ["done by another"]


def test_a_killed_worker_and_a_lost_node_cost_nothing(cluster: Cluster, tmp_path: Path):
    """Four workers on two nodes; after the loss of one, its workers start on a third."""
    second = cluster.add_node(num_cpus=2, **SMALL)
    loses, seen = second.node_id, tmp_path / "seen"
    seen.mkdir()

    def score(hp: Any) -> float:
        value = hp.Int("units", 1, 400) / 400
        (seen / f"{ray.get_runtime_context().get_node_id()} {os.getpid()}").touch()
        with contextlib.suppress(FileExistsError):
            (tmp_path / "killed").mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
        if ray.get_runtime_context().get_node_id() != loses:
            wait_for((tmp_path / "lost").exists, 120)
            wait_for(lambda: len(nodes(seen)) == 3, 120)  # the others do not do all the work before
        time.sleep(0.2)
        return value

    def nodes(folder: Path) -> set[str]:
        return {path.name.split()[0] for path in folder.iterdir()}

    def node_of(pid: int) -> str | None:
        return next((path.name.split()[0] for path in seen.iterdir() if path.name.endswith(f" {pid}")), None)

    class Breaking(SearchObserver):
        """Takes the second node away while one of its workers has a trial."""

        def trial_started(self, record: Any) -> None:
            pid = tuner.oracle.study.trials[record["number"]].user_attrs[WORKER]["pid"]
            if node_of(pid) == second.node_id and not (tmp_path / "lost").exists():
                cluster.remove_node(second, allow_graceful=False)
                cluster.add_node(num_cpus=2, **SMALL)
                (tmp_path / "lost").touch()

    space = keras_tuner.HyperParameters()
    space.Int("units", 1, 400)  # known before the first trial has run: no worker finds the space exhausted
    tuner = Function(score, tmp_path, max_trials=16, observers=[Breaking()], hyperparameters=space)
    told: list[str] = []
    with workers(4, told, modules=MODULES) as pool:
        tuner.search(verbose=0, workers=pool)
    study = tuner.oracle.study
    found = outcomes_of_workers(study)
    interrupted = found.pop(("FAIL", "interrupted"))
    assert found.pop(("COMPLETE", None)) == 16
    assert {state for state, _ in found} <= {"PRUNED"}  # what was proposed twice, and refused
    assert 2 <= interrupted <= 3  # one was killed, and each of the two on the lost node had one at most
    for failed in (trial for trial in study.trials if trial.state.name == "FAIL"):
        again = next(trial for trial in study.trials if trial.user_attrs.get(RETRY_OF) == failed.number)
        assert again.state.name in ("COMPLETE", "FAIL")  # it may have been lost in its turn
    assert len({str(trial.params) for trial in study.trials if trial.state.name == "COMPLETE"}) == 16
    lost = [line for line in told if "was lost" in line]
    assert len(lost) == 3, told  # the killed one may have come back on the node that was lost
    assert all("it is started again" in line for line in lost), told
    assert len(nodes(seen)) == 3


def test_a_study_in_a_file_is_not_for_workers_on_other_machines(cluster: Cluster, tmp_path: Path):
    tuner = Function(lambda hp: 0.5, tmp_path)
    pool = RayPool([{}], is_here=False, warn=print)
    with (
        pool,
        pytest.raises(InputError, match="the study is in a file on this machine, and the workers are on several"),
    ):
        tuner.search(verbose=0, workers=pool)


PARENT = """
import sys
from kerastuna.search.workers.cluster import joined

def task(channel):
    import os, time
    try:
        channel.tell(os.getpid())
        time.sleep(120)
    except KeyboardInterrupt:
        channel.tell("in order")
        raise

with joined(sys.argv[1]):
    from kerastuna.search.workers.ray import RayPool
    with RayPool([{}, {}], is_here=True, warn=print) as pool:
        pool.run([task, task], lambda index, name, values: print(name, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_the_process_that_started_it(cluster: Cluster, number: signal.Signals):
    """SIGINT goes to the whole group, as a terminal sends it."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(cluster.address)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=script_environment(),
        start_new_session=True,
    )
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(map(is_running, pids))
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)
    else:
        parent.send_signal(number)
    out, _ = parent.communicate(timeout=60)
    wait_for(lambda: not any(map(is_running, pids)))
    assert out.split("\n") == (["in order", "in order", ""] if number == signal.SIGINT else [""])
