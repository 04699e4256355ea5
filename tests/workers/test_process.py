"""A worker by itself: what it does with the messages that it gets. tests/workers/test_pool.py has the rest."""

import os
import pickle
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import pytest

from kerastuna.search.messages import redact
from kerastuna.search.workers.process import Channel
from kerastuna.search.workers.shared import SharedArrays

cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def worker():
    shared = SharedArrays()
    connection, other = Pipe()
    descriptors = (other.fileno(), shared.fileno())
    process = subprocess.Popen(
        [sys.executable, "-m", "kerastuna.search.workers.process", *map(str, descriptors)], pass_fds=descriptors
    )
    other.close()
    send(connection, [*sys.path], "cpu", ["json"], ("hunter2",))
    yield process, connection, shared
    process.kill()
    process.wait()
    shared.close()


def send(connection: Connection, *message: Any) -> None:
    connection.send_bytes(pickle.dumps(message))


def receive(connection: Connection) -> tuple[Any, ...]:
    assert connection.poll(30), "the worker says nothing"
    return pickle.loads(connection.recv_bytes())


def test_a_task_and_its_end(worker: Any):
    process, connection, shared = worker
    send(connection, "task", shared.dumps(lambda channel: 6 * 7))
    kind, result = receive(connection)
    assert (kind, pickle.loads(result)) == ("done", 42)
    send(connection, "stop")
    assert process.wait(10) == 0


def test_it_imports_what_it_is_told_and_has_the_path_of_its_parent(worker: Any):
    _, connection, shared = worker
    send(connection, "task", shared.dumps(lambda channel: ("json" in sys.modules, sys.path)))
    _, result = receive(connection)
    assert pickle.loads(result) == (True, sys.path)


def test_a_signal_of_its_own_ends_it_and_it_says_so(worker: Any):
    process, connection, shared = worker

    def task(channel: Channel) -> None:
        channel.tell("begun")
        time.sleep(60)

    send(connection, "task", shared.dumps(task))
    assert receive(connection)[1] == "begun"
    process.send_signal(signal.SIGINT)  # a terminal sends it to the whole group
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert receive(connection) == ("interrupted",)
    assert process.wait(10) == 128 + signal.SIGTERM


def test_it_ends_with_its_parent(worker: Any):
    process, connection, _ = worker
    connection.close()
    assert process.wait(10) == 0


def test_a_process_that_it_starts_does_not_keep_its_connection(worker: Any):
    _, connection, shared = worker

    def task(channel: Channel) -> list[str]:
        return subprocess.run(["ls", "/proc/self/fd"], capture_output=True, text=True, check=True).stdout.split()

    send(connection, "task", shared.dumps(task))
    _, result = receive(connection)
    assert not {*map(str, range(3, os.sysconf("SC_OPEN_MAX")))} & {fd for fd in pickle.loads(result) if int(fd) > 4}


def test_it_hides_what_its_parent_hides(worker: Any):
    process, connection, shared = worker
    send(connection, "task", shared.dumps(lambda channel: redact("the password is hunter2")))
    _, result = receive(connection)
    assert pickle.loads(result) == "the password is ***"
    assert "hunter2" not in " ".join(process.args)
