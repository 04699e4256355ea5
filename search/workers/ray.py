"""Workers that Ray places: each is an actor on whatever machine of the cluster has room for it."""

import asyncio
import os
import pickle
import re
import socket
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..errors import SearchFailed
from ..messages import known_secrets, redact, shortened
from ..study.liveness import this_worker
from . import process
from .process import Channel
from .shared import SHARED_BYTES, pickled
from .tasks import POLL_SECONDS, Pool, Task, Worker

ROOM_SECONDS = 30.0
"""When no worker has found room for this long, it is told."""
_PARENT = "parent"
"""The name of the box of the process that started the workers."""


class _Hub:
    """An actor that keeps what workers and the process that started them tell each other, until it is taken."""

    def __init__(self) -> None:
        self._boxes: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)

    async def put(self, box: str, message: Any) -> None:
        self._boxes[box].put_nowait(message)

    async def take(self, box: str) -> list[Any]:
        """Everything in the box, at least one message."""
        queue = self._boxes[box]
        messages = [await queue.get()]
        while not queue.empty():
            messages.append(queue.get_nowait())
        return messages


@final
class _HubLink:
    """The link of a worker.

    Args:
        hub: the actor.
        box: of this worker.
    """

    def __init__(self, hub: Any, box: str) -> None:
        self._hub, self._box = hub, box
        self._received: deque[tuple[Any, ...]] = deque()

    def send(self, data: bytes) -> None:
        try:
            ray.get(self._hub.put.remote(_PARENT, (self._box, data)))
        except RayActorError as error:
            raise BrokenPipeError("the process that started this one is gone") from error

    def receive(self) -> tuple[Any, ...]:
        while not self._received:
            try:
                self._received.extend(ray.get(self._hub.take.remote(self._box)))
            except RayError as error:
                raise EOFError("the process that started this one is gone") from error
        return self._received.popleft()

    def load(self, task: tuple[bytes, Sequence[Any]]) -> Callable[[Channel], Any]:
        data, arrays = task
        return pickle.loads(data, buffers=[ray.get(array) for array in arrays])


@final
@dataclass(frozen=True)
class _Setup:
    """What every worker needs before its first task: see `process.prepare`."""

    folder: str
    path: Sequence[str]
    device: str
    modules: Sequence[str]
    secrets: Sequence[str]


class _Serving:
    """The actor of a worker. It has one thread for tasks, the main one, so that they can be interrupted."""

    def serve(self, hub: Any, box: str, setup: _Setup, environment: Mapping[str, str]) -> int:
        """Do the tasks that come; returns the exit status."""
        link = _HubLink(hub, box)
        try:
            os.environ.update(environment)
            os.makedirs(setup.folder, exist_ok=True)
            os.chdir(setup.folder)
            process.prepare(setup.path, setup.device, setup.modules, setup.secrets)
        except Exception as error:
            error.add_note(f"in a worker on {socket.gethostname()}")
            Channel(link).fails(error)
            return 1
        Channel(link).ends("ready", this_worker())
        return process.Worker(link).run()


@final
class _Actor(Worker):
    """A worker as the process sees it that has started it.

    Args:
        hub: the actor that passes messages on.
        box: of this worker.
        gpus: that it needs.
        setup, environment: of its process.
    """

    is_ready = False

    def __init__(self, hub: Any, box: str, gpus: float, setup: _Setup, environment: Mapping[str, str]) -> None:
        self._hub, self.box = hub, box
        serving = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Serving)
        self._actor: Any = serving.remote()
        self.served: Any = self._actor.serve.remote(hub, box, setup, environment)
        self.is_over = False

    def send(self, *message: Any) -> None:
        _ask(self._hub.put.remote(self.box, message))

    def kill(self) -> str:
        how = "ended"
        if self.is_over:
            try:
                how = f"ended with status {ray.get(self.served)}"
            except RayError as error:
                how = f"was lost{self._place} ({_why(error)})"
        ray.kill(self._actor)
        return how

    @property
    def _place(self) -> str:
        return "" if self.identity is None else f" on {self.identity['host']}"


@final
class RayPool(Pool[_Actor]):
    """Workers that Ray places. A context manager: none of them is left when the block is left.

    This process must have joined a cluster. A worker takes one core, and `gpus` GPUs. One that dies, with its process
    or with its machine, is started again wherever there is room. Large arrays are in memory once on each machine, in
    Ray's object store, and cannot be written. Workers use the working folder and the module path of this process: on
    every machine the same packages must be installed, and modules of the user must be at the same place.

    Args:
        environments: of each worker, in place of the variables of its machine.
        gpus: of each worker: a fraction or a whole number.
        is_here: whether all machines of the cluster are this one.
        device: what trains: "auto", "gpu" or "cpu".
        modules: that every worker imports before its first task.
        warn: told in one line when a worker dies.
    """

    def __init__(
        self,
        environments: Sequence[Mapping[str, str]],
        *,
        gpus: float = 0,
        is_here: bool = False,
        device: str = "auto",
        modules: Sequence[str] = (),
        warn: Callable[[str], None],
    ) -> None:
        super().__init__(warn)
        self._environments, self.gpus, self.is_here = environments, gpus, is_here
        self._setup = _Setup(os.getcwd(), list(sys.path), device if gpus else "cpu", modules, known_secrets())
        self._arrays: dict[tuple[int, int], tuple[Any, memoryview]] = {}  # address and bytes -> where it is, itself
        self._started = 0
        self._received: deque[tuple[str, tuple[Any, ...] | None]] = deque()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        calls = 1000 + 4 * len(environments)  # each worker waits in one, the others are short
        options: dict[str, Any] = {"num_cpus": 0, "max_concurrency": calls, "scheduling_strategy": here}
        self._hub: Any = ray.remote(**options)(_Hub).remote()
        self._inbox: Any = self._hub.take.remote(_PARENT)
        self._told_of_room = False
        self._without_room_since: float | None = None

    def __len__(self) -> int:
        return len(self._environments)

    def _start(self, number: int) -> _Actor:
        self._started += 1
        return _Actor(self._hub, f"worker {self._started}", self.gpus, self._setup, self._environments[number])

    def _close(self) -> None:
        ray.kill(self._hub)
        self._arrays = {}

    def _dumps(self, task: Task) -> tuple[bytes, list[Any]]:
        arrays: list[Any] = []

        def is_small(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes < SHARED_BYTES:
                return True
            arrays.append(self._stored(raw))
            return False

        return pickled(task, is_small), arrays

    def _stored(self, raw: memoryview) -> Any:
        array = np.frombuffer(raw, np.uint8)
        key = (array.ctypes.data, raw.nbytes)
        if key not in self._arrays:
            self._arrays[key] = (ray.put(array), raw)
        return self._arrays[key][0]

    def _messages(self, seconds: float = POLL_SECONDS) -> Iterator[tuple[int, tuple[Any, ...] | None]]:
        if not self._received:
            self._look(seconds)
        self._tell_of_room()
        while self._received:
            box, message = self._received.popleft()
            number = next((number for number, worker in self._workers.items() if worker.box == box), None)
            if number is None:  # it was taken for dead, and replaced: its machine may have come back
                self._hub.put.remote(box, ("stop",))
                continue
            if message is not None and message[0] == "ready":
                self._workers[number].identity, self._workers[number].is_ready = message[1], True
                return  # there may be a task for it
            yield number, message

    def _look(self, seconds: float) -> None:
        """Take what workers have told, and note which of them are gone."""
        serving = {worker.served: worker for worker in self._workers.values() if not worker.is_over}
        refs = [self._inbox, *serving]
        if not ray.wait(refs, num_returns=1, timeout=seconds)[0]:
            return
        for ref in ray.wait(refs, num_returns=len(refs), timeout=0)[0]:
            if ref == self._inbox:
                told = _ask(ref)
                self._inbox = self._hub.take.remote(_PARENT)
                self._received += [(box, None if data is None else pickle.loads(data)) for box, data in told]
            else:
                serving[ref].is_over = True
                # What it told before comes first, since all of it is in the box by now.
                _ask(self._hub.put.remote(_PARENT, (serving[ref].box, None)))

    def _tell_of_room(self) -> None:
        if any(worker.is_ready for worker in self._workers.values()) or self._told_of_room:
            self._without_room_since = None
            return
        now = time.monotonic()
        self._without_room_since = self._without_room_since or now
        if now - self._without_room_since >= ROOM_SECONDS:
            self._told_of_room = True
            need = "a core" + (f" and {self.gpus:g} GPUs" if self.gpus else "")
            self._warn(f"no worker runs yet: each waits until a machine of the Ray cluster has {need} free")


def _ask(ref: Any) -> Any:
    try:
        return ray.get(ref)
    except RayActorError as error:
        raise SearchFailed(
            f"Ray lost the process that passes messages on ({_why(error)}); start again to go on"
        ) from error


def _why(error: RayError) -> str:
    """Ray's many lines in a short one."""
    if isinstance(error, ActorUnavailableError):  # told long before Ray is sure that a machine is lost
        return "it does not answer any more"
    text = redact(" ".join(str(error).split()))
    found = re.search(r"(?:died|dead|unavailable) because (.*?)(?:\. |\.?$)", text)
    return shortened(found[1] if found else text, 200)
