"""A worker: a process that does one task after the other for the process that started it.

It ends when it is told to, and when that process is gone, however that ended.
"""

import contextlib
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, NoReturn, Protocol, final

import cloudpickle

from ..captured_output import captured_stderr
from ..compat.imports import without_unused_packages
from ..messages import hide_for_good
from ..training.interruption import interruptible, stop, was_told_to_stop
from .shared import loads

REPEAT_SECONDS = 3.0
"""An interruption may be swallowed by code that catches everything: it is raised again after this time."""
ORPHAN_SECONDS = 15.0
"""How long a worker whose parent is gone may take to put its work in order."""


class Link(Protocol):
    """The way of messages between a worker and the process that started it."""

    def send(self, data: bytes) -> None:
        """Send a pickled message; raises BrokenPipeError or ConnectionResetError when that process is gone."""
        ...

    def receive(self) -> tuple[Any, ...]:
        """Wait for a message; raises EOFError or OSError when that process is gone."""
        ...

    def load(self, task: Any) -> Callable[["Channel"], Any]:
        """The task in a message."""
        ...


@final
class Channel:
    """What a task tells the process that started the worker.

    Args:
        link: to that process.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self.replies: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def tell(self, name: str, *values: Any) -> None:
        """Tell of an event; `values` are plain values."""
        self._send(("event", name, values, False))

    def ask(self, name: str, *values: Any) -> Any:
        """Tell of an event and wait for the answer."""
        self._send(("event", name, values, True))
        return self.replies.get()

    def ends(self, kind: str, *values: Any) -> None:
        """Tell how a task ended."""
        self._send((kind, *values))

    def fails(self, error: BaseException) -> None:
        """Tell the error that ended a task, with its trace."""
        error.add_note("".join(traceback.format_exception(error)))
        self.ends("failed", _pickled(error), f"{type(error).__name__}: {error}")

    def _send(self, message: Any) -> None:
        data = cloudpickle.dumps(message)
        with self._lock:
            self._link.send(data)


@final
class Worker:
    """Does the tasks that come.

    Args:
        link: to the process that started this one.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel = Channel(link)
        self._tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._busy = threading.Event()

    def run(self) -> int:
        """Do every task that comes; returns the exit status."""
        threading.Thread(target=self._listen, daemon=True).start()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal, for the whole group: the parent decides
        signal.signal(signal.SIGTERM, stop)
        try:
            interruptible(self._do_tasks)
        except KeyboardInterrupt:
            return 128 + signal.SIGTERM
        except (BrokenPipeError, ConnectionResetError):
            return 1  # the parent is gone
        return 0

    def _do_tasks(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._do(task)

    def _do(self, task: Any) -> None:
        try:
            self._busy.set()
            result = cloudpickle.dumps(self._link.load(task)(self._channel))
            self._busy.clear()
        except KeyboardInterrupt:
            self._busy.clear()
            self._channel.ends("interrupted")
            raise
        except (BrokenPipeError, ConnectionResetError):
            raise
        except BaseException as error:
            self._busy.clear()
            if was_told_to_stop():  # it is what became of the interruption
                self._channel.ends("interrupted")
                raise KeyboardInterrupt from error
            self._channel.fails(error)
        else:
            self._channel.ends("done", result)

    def _listen(self) -> None:
        while True:
            try:
                kind, *values = self._link.receive()
            except (EOFError, OSError):
                self._end_orphaned()
            if kind == "task":
                self._tasks.put(values[0])
            elif kind == "reply":
                self._channel.replies.put(values[0])
            else:  # stop
                self._tasks.put(None)
                threading.Thread(target=self._keep_interrupting, daemon=True).start()

    def _keep_interrupting(self) -> None:
        while self._busy.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(REPEAT_SECONDS)

    def _end_orphaned(self) -> NoReturn:
        self._tasks.put(None)
        threading.Thread(target=self._keep_interrupting, daemon=True).start()
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)


def _pickled(error: BaseException) -> bytes | None:
    """The error for the parent; None for one that it could not read."""
    with contextlib.suppress(Exception):  # of the user's own exceptions
        data = cloudpickle.dumps(error)
        pickle.loads(data)
        return data
    return None


def prepare(path: Sequence[str], device: str, modules: Sequence[str], secrets: Sequence[str]) -> None:
    """Make this process one that can do tasks.

    Args:
        path: where it finds modules.
        device: "auto", "gpu" or "cpu".
        modules: that are imported at once.
        secrets: that it must not print, nor store with a message.
    """
    sys.path[:] = path
    hide_for_good(secrets)
    from ..training.device import prepare_environment

    prepare_environment(device)
    with captured_stderr(), without_unused_packages():
        for module in modules:  # what every task imports, before the first one comes
            import_module(module)


@final
class _Pipe:
    """The link to a process of this machine.

    Args:
        connection: to it.
        descriptor: of the file with the large arrays.
    """

    def __init__(self, connection: Connection, descriptor: int) -> None:
        self._connection, self._descriptor = connection, descriptor

    def send(self, data: bytes) -> None:
        self._connection.send_bytes(data)

    def receive(self) -> tuple[Any, ...]:
        return pickle.loads(self._connection.recv_bytes())

    def load(self, task: bytes) -> Callable[[Channel], Any]:
        return loads(task, self._descriptor)


def main() -> int:
    """Run a worker; the arguments are the descriptors of its connection and of the file with the large arrays."""
    connection, descriptor = map(int, sys.argv[1:])
    for inherited in (connection, descriptor):
        os.set_inheritable(inherited, False)
    link = _Pipe(Connection(connection), descriptor)
    from ..study.liveness import note_parent  # imports Optuna

    note_parent()
    prepare(*link.receive())
    return Worker(link).run()


if __name__ == "__main__":
    sys.exit(main())
