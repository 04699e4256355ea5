"""Waiting for a storage that does not answer for a while: bounded, and told in two lines.

A server that restarts drops every connection. Each process that works on a study meets this on its own, and its workers
too; the user is told once when it begins, and once when it is over.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar, final

WAIT_SECONDS = 300.0
"""How long a study's storage may not answer before the search ends with an error."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two tries; each pause is twice as long as the one before."""
LONG_SECONDS = 5.0
"""A call that was lost after so long was no single connection that was dropped."""
SHORT_SECONDS = 10.0
"""How long one call may take where the storage was waited for in vain."""

Result = TypeVar("Result")
Tell = Callable[[bool, str], None]
"""Called with whether the storage answers, and with a line for the user."""

_logger = logging.getLogger(__name__)
_joins: ContextVar[bool] = ContextVar("whether this process joins a study that another one has opened", default=False)


@final
class Outage:
    """Whether the storage of this process answers. Threads may use it at the same time.

    Attributes:
        count: how many outages there were.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._ended = -math.inf
        self._tell: Tell = lambda answers, text: _logger.warning(text)
        self._stops: Callable[[], bool] = lambda: False
        self.count = 0

    def fails(self, reason: str, patience: float, since: float | None = None) -> None:
        """The storage does not answer, `since` that moment of the monotonic clock; since now for None."""
        minutes = f"{patience / 60:g} min" if patience >= 60 else f"{patience:g} s"
        self.heard(False, f"the storage of the study does not answer ({reason}): waiting for up to {minutes}", since)

    def answers(self) -> None:
        """The storage has answered; the first call after an outage tells."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
            self._ended = time.monotonic()
        if since is not None and since > -math.inf:
            seconds = round(time.monotonic() - since)
            self._tell(True, f"the storage of the study answers again, after {seconds} s: nothing is lost, going on")

    def heard(self, answers: bool, text: str, since: float | None = None) -> None:
        """Take note of what this process finds, or one of its workers; what begins an outage, and ends it, is told."""
        if answers:
            self.answers()
            return
        with self._lock:
            if self._since is not None:
                return
            self._since = time.monotonic() if since is None else since
            self.count += 1
        self._tell(False, text)

    def ended_within(self, seconds: float) -> bool:
        """Whether there is an outage, or was one until so many seconds ago."""
        return self._since is not None or time.monotonic() - self._ended < seconds

    def give_up(self) -> None:
        """Do not wait any more, until the storage has answered once."""
        self._since = -math.inf

    def is_over(self, patience: float) -> bool:
        """Whether nobody shall wait any longer: too long already, or the process was told to stop."""
        return self._stops() or self.is_in_vain(patience)

    def is_in_vain(self, patience: float) -> bool:
        """Whether the storage was waited for too long already."""
        since = self._since
        return since is not None and time.monotonic() >= since + patience

    @contextmanager
    def told_by(self, tell: Tell, stops: Callable[[], bool]) -> Iterator[None]:
        """In the block, `tell` is called in place of a warning, and nobody waits once `stops` is True."""
        before = self._tell, self._stops
        self._tell, self._stops = tell, stops
        try:
            yield
        finally:
            self._tell, self._stops = before


outage = Outage()
"""Of this process, which works on one storage."""


def until_answered(
    first: Callable[[], Result],
    again: Callable[[], Result],
    *,
    lost: Callable[[Exception], str | None],
    patience: float,
) -> Result:
    """The result of `first`, or of `again` where the connection was lost.

    A single connection that was dropped costs a quarter of a second, and nothing is told. What was lost after a long
    time is told at once, and that time counts. Whoever has waited in vain,
    or was interrupted meanwhile, does not wait again until the storage has answered.

    Args:
        first, again: the operation, and what is called in its place when it is not known whether it has happened.
        lost: why an error is that of a lost connection, in a few words; None for every other error.
        patience: seconds to wait; 0 for one try.

    Raises what `first` and `again` raise.
    """
    call, pause, began = first, FIRST_PAUSE, time.monotonic()
    try:
        while True:
            try:
                result = call()
            except Exception as error:
                reason = lost(error) if patience > 0 else None
                if reason is None:
                    raise
                if call is again or time.monotonic() - began >= min(LONG_SECONDS, patience):
                    outage.fails(reason, patience, began)
                if outage.is_over(patience):
                    raise
            else:
                outage.answers()
                return result
            time.sleep(pause)
            call, pause = again, min(2 * pause, LONGEST_PAUSE)
    except BaseException as error:
        if not isinstance(error, Exception):  # interrupted: what is put in order must not wait
            outage.give_up()
        raise


def longest_call(patience: float) -> float:
    """How many seconds one call of a storage may take, where each operation waits for `patience` seconds."""
    return SHORT_SECONDS if outage.is_in_vain(patience) else patience or WAIT_SECONDS


@contextmanager
def joining() -> Iterator[None]:
    """In the block, this process joins a study that another one has opened.

    The study must be there, and its storage is waited for from the start.
    """
    token = _joins.set(True)
    try:
        yield
    finally:
        _joins.reset(token)


def is_joining() -> bool:
    """Whether this process joins a study that another one has opened."""
    return _joins.get()
