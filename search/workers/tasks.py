"""Workers and their tasks: who gets which one, what is done about workers that die, and how all of them are stopped."""

import pickle
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from ..errors import SearchFailed
from ..training.interruption import ended_at_once, stop_if_told
from .process import Channel

RESTARTS = 3
"""How often a worker is started again after it died."""
GRACE_SECONDS = 20.0
"""How long an interrupted worker may take to put its work in order."""
POLL_SECONDS = 1.0

Task = Callable[[Channel], Any]
"""Done by a worker; it must be picklable, and so must what it returns."""
OnEvent = Callable[[int, str, tuple[Any, ...]], Any]
"""Called with the index of the task, the name of the event and its values; what it returns is the answer, if asked."""
Identity = Mapping[str, Any]
"""A worker's process as `study.liveness.this_worker` describes it."""


class OnDeath(Protocol):
    """Called after the death of a worker; returns whether its task is to blame.

    A worker that its task has killed is started again however often.
    """

    def __call__(self, worker: Identity | None, /, *, was_ended: bool = False) -> bool:
        """`worker` died; None where its process can be looked up on this machine. `was_ended`: this process did it."""
        ...


def _nobody_to_blame(worker: Identity | None, /, *, was_ended: bool = False) -> bool:
    return False


class Worker(ABC):
    """A worker as the process sees it that has started it.

    Attributes:
        task: the index of what it does; None while it waits.
        is_ready: whether it can be given a task.
        identity: of its process; None where it can be looked up on this machine.
    """

    task: int | None = None
    is_ready: bool = True
    identity: Identity | None = None

    @abstractmethod
    def send(self, *message: Any) -> None:
        """Send a message; nothing happens where the worker is dead, which its pool notices by itself."""

    def end_at_once(self) -> None:  # noqa: B027  a cluster ends its workers by itself
        """End it without waiting for it, as this process ends."""

    @abstractmethod
    def kill(self) -> str:
        """End it at once, if it has not ended by itself; returns how it ended."""


W = TypeVar("W", bound=Worker)


class Pool(ABC, Generic[W]):
    """Workers that do tasks. A context manager: none of them is left when the block is left.

    Args:
        warn: told in one line when a worker dies.
    """

    is_here: bool = True
    """Whether all workers are on this machine."""
    gpus: float = 0
    """Of each worker, where a cluster gives them."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._workers: dict[int, W] = {}  # by the number of the worker, from 0
        self._restarts: dict[int, int] = {}
        self._stack = ExitStack()

    @abstractmethod
    def __len__(self) -> int:
        """The number of workers."""

    @abstractmethod
    def _start(self, number: int) -> W:
        """Start the worker with this number."""

    @abstractmethod
    def _dumps(self, task: Task) -> Any:
        """The task as it is sent to workers; raises InputError where it cannot be pickled."""

    @abstractmethod
    def _messages(self, seconds: float = POLL_SECONDS) -> Iterator[tuple[int, tuple[Any, ...] | None]]:
        """What workers say within `seconds`, with their numbers; None for one that is dead."""

    @abstractmethod
    def _close(self) -> None:
        """Give back what the pool holds besides its workers."""

    def __enter__(self) -> Self:
        self._stack.enter_context(ended_at_once(self._end_at_once))
        try:
            self._start_all()
        except BaseException:
            self._end()
            raise
        return self

    def _start_all(self) -> None:
        for number in range(len(self)):
            self._workers[number] = self._start(number)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end_at_once(self) -> None:
        for worker in [*self._workers.values()]:
            worker.end_at_once()

    def _end(self) -> None:
        for worker in self._workers.values():  # none has anything to lose: `run` has waited for those that had
            worker.kill()
        self._workers = {}
        self._close()
        self._stack.close()

    def wait_until_ready(self) -> None:
        """Wait until every worker has imported what it needs."""
        self.run([_nothing] * len(self), lambda index, name, values: None)

    def run(
        self,
        tasks: Sequence[Task],
        on_event: OnEvent,
        *,
        on_result: Callable[[int, Any], None] = lambda index, result: None,
        on_death: OnDeath = _nobody_to_blame,
        is_stuck: Callable[[int], bool] = lambda index: False,
    ) -> list[Any]:
        """Do all tasks, each worker one at a time; returns their results in the order of the tasks.

        A task whose worker died is given to a worker again. When a task raises an error, or this process is
        interrupted, the others are stopped, and it is raised once they have ended. The next call starts the workers
        again.

        Args:
            tasks: called in a worker.
            on_event: told of what tasks tell.
            on_result: told of each result at once, with the index of its task.
            on_death: called after a worker died, before another one is started.
            is_stuck: asked every second, with the index of a task that is being done, whether its worker is to be
                killed; the task is given to a worker again.

        Raises InputError for a task that cannot be pickled, SearchFailed when all workers died too often, and whatever
        a task raises.
        """
        pickled = {id(task): self._dumps(task) for task in tasks}
        waiting = deque(range(len(tasks)))
        results: dict[int, Any] = {}
        try:
            if not self._workers:
                self._start_all()
            while len(results) < len(tasks):
                stop_if_told()
                for worker in self._workers.values():
                    if worker.task is None and worker.is_ready and waiting:
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
                for number, worker in [*self._workers.items()]:
                    if worker.task is not None and is_stuck(worker.task):
                        waiting.appendleft(worker.task)
                        self._replace(number, on_death, is_stuck=True)
        except BaseException:
            self._stop(on_event, on_death)
            raise
        return [results[index] for index in range(len(tasks))]

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

    def _replace(self, number: int, on_death: OnDeath, *, is_stuck: bool = False) -> None:
        worker = self._workers.pop(number)
        death = worker.kill()
        if on_death(worker.identity, was_ended=is_stuck) or is_stuck:
            why = "hung, and was ended" if is_stuck else death
            self._warn(f"worker {number + 1} {why}; it is started again")
            self._workers[number] = self._start(number)
            return
        left = self._restarts.get(number, RESTARTS) - 1
        if left >= 0:
            self._restarts[number] = left
            self._warn(f"worker {number + 1} {death}; it is started again ({left} more times at most)")
            self._workers[number] = self._start(number)
            return
        self._warn(f"worker {number + 1} {death}; it is not started again")
        if not self._workers:
            raise SearchFailed(f"every worker died {RESTARTS + 1} times; the last one {death}")

    def _stop(self, on_event: OnEvent, on_death: OnDeath) -> None:
        """Stop all tasks, and hear what they still have to tell."""
        died: list[Identity | None] = []
        try:
            for worker in self._workers.values():
                worker.send("stop")
            end = time.monotonic() + GRACE_SECONDS
            while any(worker.task is not None for worker in self._workers.values()) and time.monotonic() < end:
                for number, message in self._messages():
                    worker = self._workers[number]
                    if message is None:
                        if worker.task is not None:
                            died.append(worker.identity)
                        self._workers.pop(number).kill()
                    elif message[0] == "event":
                        self._take(number, message, on_event)
                    else:
                        worker.task = None
        finally:  # also where a second interruption ends the waiting
            for worker in self._workers.values():
                if worker.task is not None:
                    died.append(worker.identity)
                worker.kill()
            self._workers = {}
            for identity in died:
                on_death(identity, was_ended=True)


def _nothing(channel: Channel) -> None:
    """A task."""
