"""Who gets which task, with workers that work in this process. test_pool.py and test_ray.py have real ones."""

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from worker_support import Deaths

from kerastuna.search.errors import SearchFailed
from kerastuna.search.workers.tasks import RESTARTS, Pool, Worker


class Inline(Worker):
    """Does what it is sent at once; what `None` is sent to dies of it."""

    def __init__(self, number: int, said: list[tuple[Any, ...]], is_ready: bool) -> None:
        self.number, self.said, self.is_ready = number, said, is_ready
        self.identity = {"pid": number}
        self.killed = False

    def send(self, *message: Any) -> None:
        if message[0] == "task":
            task = pickle.loads(message[1])
            self.said.append((self.number, None if task is None else ("done", pickle.dumps((self.number, task)))))
        elif message[0] == "stop" and self.task is not None:
            self.said.append((self.number, ("interrupted",)))

    def kill(self) -> str:
        self.killed = True
        return "ended"


class InlinePool(Pool[Inline]):
    """Workers of which those that are not `ready` become so when another one has said something."""

    def __init__(self, count: int, warn: Callable[[str], None], ready: frozenset[int]) -> None:
        super().__init__(warn)
        self._count, self._ready = count, ready
        self.said: list[Any] = []
        self.started: list[Inline] = []
        self.closed = False

    def __len__(self) -> int:
        return self._count

    def _start(self, number: int) -> Inline:
        self.started.append(Inline(number, self.said, number in self._ready))
        return self.started[-1]

    def _dumps(self, task: Any) -> bytes:
        return pickle.dumps(task)

    def _messages(self, seconds: float = 0) -> Iterator[tuple[int, tuple[Any, ...] | None]]:
        if self.said:
            yield self.said.pop(0)

    def _close(self) -> None:
        self.closed = True


def pool_of(count: int, told: list[str], ready: frozenset[int] | None = None) -> InlinePool:
    return InlinePool(count, told.append, frozenset(range(count)) if ready is None else ready)


def run(pool: InlinePool, tasks: list[Any], **given: Any) -> list[Any]:
    return pool.run(tasks, lambda index, name, values: None, **given)


def test_only_workers_that_are_ready_get_tasks():
    told: list[str] = []
    with pool_of(3, told, ready=frozenset({1})) as pool:
        assert run(pool, ["a", "b", "c"]) == [(1, "a"), (1, "b"), (1, "c")]
    assert all(worker.killed for worker in pool.started)
    assert pool.closed


def test_the_one_that_died_is_told_and_its_task_given_again():
    told: list[str] = []
    deaths = Deaths()
    pool = pool_of(1, told)
    with pool, pytest.raises(SearchFailed, match="every worker died 4 times; the last one ended"):
        run(pool, [None], on_death=deaths)
    assert deaths.told == [({"pid": 0}, False)] * (RESTARTS + 1)
    assert told[0] == "worker 1 ended; it is started again (2 more times at most)"
    assert told[-1] == "worker 1 ended; it is not started again"
    assert all(worker.killed for worker in pool.started)


def test_a_pool_that_cannot_start_leaves_nothing():
    pool = pool_of(3, [])
    start = pool._start
    pool._start = lambda number: start(number) if number < 2 else 1 / 0  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        pool.__enter__()
    assert len(pool.started) == 2
    assert all(worker.killed for worker in pool.started)
    assert pool.closed


def test_those_that_die_while_all_are_stopped_are_told():
    deaths = Deaths()
    with pool_of(2, []) as pool:

        def interrupt(index: int, result: Any) -> None:
            pool.said[:] = [(1, None)]  # the other one dies of the interruption
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(pool, ["a", "b"], on_result=interrupt, on_death=deaths)
    assert deaths.told == [({"pid": 1}, True)]


def test_a_worker_that_its_task_has_killed_is_started_again_however_often():
    told: list[str] = []
    deaths = Deaths(blame_first=2 * RESTARTS)
    with pool_of(1, told) as pool, pytest.raises(SearchFailed):
        run(pool, [None], on_death=deaths)
    assert len(pool.started) == 2 * RESTARTS + RESTARTS + 1
    assert told[0] == "worker 1 ended; it is started again"


def test_one_that_is_stuck_is_ended_and_its_task_given_again():
    told: list[str] = []
    deaths, asked = Deaths(), []

    def is_stuck(index: int) -> bool:
        asked.append(index)
        return len(asked) == 1

    with pool_of(1, told) as pool:
        pool.said.append((0, ("event", "first", (), False)))  # it says something before it hangs
        assert run(pool, ["a"], on_death=deaths, is_stuck=is_stuck) == [(0, "a")]
    assert told == ["worker 1 hung, and was ended; it is started again"]
    assert deaths.told == [({"pid": 0}, True)]
    assert len(pool.started) == 2
