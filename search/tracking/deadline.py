"""A few seconds for each request to a tracking server, which may hang, or send its answer byte by byte.

The timeouts of HTTP clients are for the next byte: an answer that trickles in meets them for ever.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, TypeVar, final

from .store import ENVIRONMENT

if TYPE_CHECKING:
    from mlflow import MlflowClient

Result = TypeVar("Result")


def seconds_of_a_request() -> float:
    """How long a server may take to answer: MLFLOW_HTTP_REQUEST_TIMEOUT, where the user has set it."""
    name = "MLFLOW_HTTP_REQUEST_TIMEOUT"
    try:
        return float(os.environ.get(name, ENVIRONMENT[name]))
    except ValueError:
        return float(ENVIRONMENT[name])  # MLflow itself will tell


def within(seconds: float, client: MlflowClient, call: Callable[[MlflowClient], Result]) -> Result:
    """The result of `call(client)`, in which no method of the client may take more than `seconds`.

    Raises TimeoutError when one does, and what `call` raises. It runs in a thread of its own. After the time is over,
    that thread makes no further request; its last one may still arrive at the server.
    """
    steps, future = _Steps(client), Future()
    thread = threading.Thread(target=_run, args=(future, call, steps), name="request to MLflow", daemon=True)
    thread.start()
    while not future.done() and (left := steps.began + seconds - time.monotonic()) > 0:
        wait([future], left)
    if future.done():
        return future.result()
    steps.is_over = True
    raise TimeoutError(f"no answer within {seconds:g} seconds")


def _run(future: Future[Any], call: Callable[[Any], Any], steps: _Steps) -> None:
    try:
        future.set_result(call(steps))
    except BaseException as error:  # raised where the result is waited for
        future.set_exception(error)


@final
class _Steps:
    """A client of MLflow that notes when each of its methods was called."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self.began = time.monotonic()
        self.is_over = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def step(*args: Any, **options: Any) -> Any:
            if self.is_over:
                raise TimeoutError("nobody waits for it any more")
            self.began = time.monotonic()
            return method(*args, **options)

        return step
