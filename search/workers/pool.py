"""Worker processes of this machine: they are started, given tasks, started again when they die, and ended."""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import Pipe, connection
from types import TracebackType
from typing import IO, Any, Self, final

from ..errors import SearchFailed
from ..messages import redact, shortened
from .process import Channel
from .shared import SharedArrays

RESTARTS = 3
"""How often a worker is started again after it died."""
GRACE_SECONDS = 20.0
"""How long an interrupted worker may take to put its work in order."""
POLL_SECONDS = 1.0

Task = Callable[[Channel], Any]
"""Done by a worker; it must be picklable, and so must what it returns."""
OnEvent = Callable[[int, str, tuple[Any, ...]], Any]
"""Called with the index of the task, the name of the event and its values; what it returns is the answer, if asked."""


@final
class _Process:
    """A worker as its parent sees it.

    Args:
        environment: variables in place of those of this process.
        device: "auto", "gpu" or "cpu".
        shared: where its large arrays are.
        modules: that it imports before its first task.
    """

    def __init__(
        self, environment: Mapping[str, str], device: str, shared: SharedArrays, modules: Sequence[str]
    ) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  read after the death of the worker
        self.connection, other = Pipe()
        self.task: int | None = None
        descriptors = (other.fileno(), shared.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.process", *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=descriptors,
            env={**os.environ, **environment},
        )
        other.close()
        self.send(list(sys.path), device, list(modules))

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, *message: Any) -> None:
        """Send a message; nothing where the worker is dead, which `WorkerPool` notices by itself."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(pickle.dumps(message))

    def kill(self) -> str:
        """End it at once, if it has not ended by itself; returns how it ended, with the last line that it wrote."""
        self._process.kill()
        status = self._process.wait()
        self.connection.close()
        with self._log:
            self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 4000))
            lines = self._log.read().decode(errors="replace").splitlines() or [""]
        last = shortened(redact(lines[-1]), 200)
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return f"ended {how}" + (f": {last}" if last else "")


@final
class WorkerPool:
    """Worker processes of this machine. A context manager: none of them is left when the block is left.

    They also end when this process is killed. An interruption of the terminal (Ctrl-C) does not reach them: this
    process tells them to stop.

    Args:
        environments: of each worker, in place of the variables of this process.
        device: what trains: "auto", "gpu" or "cpu".
        modules: that every worker imports before its first task.
        warn: told in one line when a worker dies.
    """

    def __init__(
        self,
        environments: Sequence[Mapping[str, str]],
        *,
        device: str = "auto",
        modules: Sequence[str] = (),
        warn: Callable[[str], None],
    ) -> None:
        self._environments, self._device, self._modules, self._warn = environments, device, modules, warn
        self._shared = SharedArrays()
        self._restarts = [RESTARTS] * len(environments)
        self._workers: dict[int, _Process] = {}  # by the number of the worker, from 0

    def __len__(self) -> int:
        return len(self._environments)

    def __enter__(self) -> Self:
        for number in range(len(self)):
            self._start(number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._workers.values():  # none has anything to lose: `run` has waited for those that had
            worker.kill()
        self._workers = {}
        self._shared.close()

    def _start(self, number: int) -> None:
        self._workers[number] = _Process(self._environments[number], self._device, self._shared, self._modules)

    def wait_until_ready(self) -> None:
        """Wait until every worker has imported what it needs."""
        self.run([_nothing] * len(self), lambda index, name, values: None)

    def run(
        self,
        tasks: Sequence[Task],
        on_event: OnEvent,
        *,
        on_result: Callable[[int, Any], None] = lambda index, result: None,
        on_death: Callable[[], None] = lambda: None,
    ) -> list[Any]:
        """Do all tasks, each worker one at a time; returns their results in the order of the tasks.

        A task whose worker died is given to a worker again. When a task raises an error, or this process is
        interrupted, the others are stopped, and it is raised once they have ended.

        Args:
            tasks: called in a worker.
            on_event: told of what tasks tell.
            on_result: told of each result at once, with the index of its task.
            on_death: called after a worker died, before another one is started.

        Raises InputError for a task that cannot be pickled, SearchFailed when all workers died too often, and whatever
        a task raises.
        """
        pickled = {id(task): self._shared.dumps(task) for task in tasks}
        waiting = deque(range(len(tasks)))
        results: dict[int, Any] = {}
        try:
            while len(results) < len(tasks):
                for worker in self._workers.values():
                    if worker.task is None and waiting:
                        worker.task = waiting.popleft()
                        worker.send("task", pickled[id(tasks[worker.task])])
                for number, message in self._messages():
                    index = self._workers[number].task
                    if message is None:
                        if index is not None:
                            waiting.appendleft(index)
                        self._replace(number, on_death)
                    elif message[0] == "done":
                        assert index is not None
                        self._workers[number].task = None
                        results[index] = pickle.loads(message[1])
                        on_result(index, results[index])
                    else:
                        self._take(number, message, on_event)
        except BaseException:
            self._stop(on_event, on_death)
            raise
        return [results[index] for index in range(len(tasks))]

    def _messages(self, seconds: float = POLL_SECONDS) -> Iterator[tuple[int, tuple[Any, ...] | None]]:
        """What workers say, one message of each that says something; None for one that is dead."""
        numbers = {worker.connection: number for number, worker in self._workers.items()}
        readable = connection.wait(list(numbers), seconds)
        for link in [link for link in numbers if link in readable]:
            try:
                yield numbers[link], pickle.loads(link.recv_bytes())
            except (EOFError, OSError, pickle.UnpicklingError):
                yield numbers[link], None
        # What a worker has forked may hold its connection open.
        for number, worker in [*self._workers.items()]:
            if not worker.is_alive and worker.connection.fileno() >= 0 and not worker.connection.poll():
                yield number, None

    def _take(self, number: int, message: tuple[Any, ...], on_event: OnEvent) -> None:
        worker = self._workers[number]
        kind, *values = message
        if kind == "event":
            name, arguments, asked = values
            assert worker.task is not None
            answer = on_event(worker.task, name, arguments)
            if asked:
                worker.send("reply", answer)
        elif kind == "failed":
            worker.task = None
            error, told = values
            raise SearchFailed(told) if error is None else pickle.loads(error)
        else:  # interrupted by a signal of its own: it ends, and is replaced
            pass

    def _replace(self, number: int, on_death: Callable[[], None]) -> None:
        death = self._workers.pop(number).kill()
        on_death()
        if self._restarts[number] > 0:
            self._restarts[number] -= 1
            left = self._restarts[number]
            self._warn(f"worker {number + 1} {death}; it is started again ({left} more times at most)")
            self._start(number)
            return
        self._warn(f"worker {number + 1} {death}; it is not started again")
        if not self._workers:
            raise SearchFailed(f"every worker died {RESTARTS + 1} times; the last one {death}")

    def _stop(self, on_event: OnEvent, on_death: Callable[[], None]) -> None:
        """Stop all tasks, and hear what they still have to tell."""
        died = False
        try:
            for worker in self._workers.values():
                worker.send("stop")
            end = time.monotonic() + GRACE_SECONDS
            while any(worker.task is not None for worker in self._workers.values()) and time.monotonic() < end:
                for number, message in self._messages():
                    worker = self._workers[number]
                    if message is None:
                        died = died or worker.task is not None
                        self._workers.pop(number).kill()
                    elif message[0] == "event":
                        self._take(number, message, on_event)
                    else:
                        worker.task = None
        finally:  # also where a second interruption ends the waiting
            for worker in self._workers.values():
                died = died or worker.task is not None
                worker.kill()
            self._workers = {}
            if died:
                on_death()


def _nothing(channel: Channel) -> None:
    """A task."""
