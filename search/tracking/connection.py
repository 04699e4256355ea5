"""A connection to an MLflow store that may fail while a search runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, final

from ..messages import redact
from .deadline import seconds_of_a_request, within
from .store import explain, is_database, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

Result = TypeVar("Result")

PAUSE_FACTOR = 10
"""After a failed call, wait this many times its duration: a dead server costs at most a tenth of the search."""
QUICK_SECONDS = 1.0
"""A call that fails in so short a time may be tried again whenever something is to be recorded at the end."""
NOT_AGAIN_SECONDS = 30.0
"""After a call that took longer nothing is tried for this time: an end of several steps waits for one of them."""


@final
class Connection:
    """Calls an MLflow store without raising, and pauses after a failure.

    After a failed call, `attempt` skips every call until one of the `resume` methods allows the next one. The user is
    warned of the first failure only. No request to a server takes longer than `seconds_of_a_request`.
    """

    def __init__(self, uri: str, warn: Callable[[str], None]) -> None:
        """
        Args:
            uri: of the store; it may hold a password.
            warn: receives one line, without passwords, when the store fails.
        """
        self.uri = uri
        self._warn = warn
        self._client: MlflowClient | None = None
        self._paused, self._warned, self._pause_ends = False, False, 0.0
        self._not_before = 0.0

    @property
    def shown_uri(self) -> str:
        """The URI for display, without passwords."""
        return redact(self.uri)

    def open(self) -> MlflowClient:
        """The client, opened at the first call. Raises what `open_client` raises."""
        if self._client is None:
            self._client = open_client(self.uri)
        return self._client

    def call(self, call: Callable[[MlflowClient], Result]) -> Result:
        """The result of `call`. Raises what it raises, and TimeoutError when a server does not answer in time."""
        client = self.open()
        if is_database(self.uri):
            return call(client)
        return within(seconds_of_a_request(), client, call)

    def attempt(self, call: Callable[[MlflowClient], Result]) -> Result | None:
        """The result of `call`, or None when it fails or the connection is paused."""
        if self._paused:
            return None
        began = time.monotonic()
        try:
            return self.call(call)
        except Exception as error:  # MLflow raises many types, and no failure of the record may end a trial
            now = time.monotonic()
            self._paused, self._pause_ends = True, now + PAUSE_FACTOR * (now - began)
            self._not_before = now + NOT_AGAIN_SECONDS if now - began > QUICK_SECONDS else now
            self._warn_once(error)
            return None

    def resume_when_due(self) -> None:
        """Allow calls again if the pause after the last failure is over."""
        if time.monotonic() >= self._pause_ends:
            self._paused = False

    def resume(self) -> None:
        """Allow calls again before the pause is over, unless a slow one has failed just now."""
        if time.monotonic() >= self._not_before:
            self._paused = False

    def restart(self) -> None:
        """`resume`, and warn again at the next failure."""
        self.resume()
        self._warned = self._warned and self._paused

    def _warn_once(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            self._warn(
                f"MLflow at {self.shown_uri} fails ({explain(error)}): the search goes on without it, "
                "and what it misses is recorded when it answers again or the study is resumed"
            )
