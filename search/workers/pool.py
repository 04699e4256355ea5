"""Worker processes of this machine: they are started, given tasks, started again when they die, and ended."""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import Pipe, connection
from typing import IO, Any, final

from ..messages import known_secrets, redact, shortened
from .shared import SharedArrays
from .tasks import POLL_SECONDS, Pool, Task, Worker


@final
class _Process(Worker):
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
        self.send(list(sys.path), device, list(modules), known_secrets())  # not as arguments, which others can see

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, *message: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(pickle.dumps(message))

    def end_at_once(self) -> None:
        self._process.kill()

    def kill(self) -> str:  # tells the last line that it wrote, too
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
class WorkerPool(Pool[_Process]):
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
        super().__init__(warn)
        self._environments, self._device, self._modules = environments, device, modules
        self._shared = SharedArrays()

    def __len__(self) -> int:
        return len(self._environments)

    def _start(self, number: int) -> _Process:
        return _Process(self._environments[number], self._device, self._shared, self._modules)

    def _dumps(self, task: Task) -> bytes:
        return self._shared.dumps(task)

    def _close(self) -> None:
        self._shared.close()

    def _messages(self, seconds: float = POLL_SECONDS) -> Iterator[tuple[int, tuple[Any, ...] | None]]:
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
