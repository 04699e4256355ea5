"""Whether this process was told to stop, and its end at once when it is told again.

A signal raises an exception wherever the process is at that moment. Python swallows it in some places, such as a
`__del__`, and TensorFlow may turn it into an error of its own. So the signal is noted too, and looked at before every
trial, after every batch of Keras's `fit`, after every epoch, and while workers are waited for.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

TOGETHER_SECONDS = 0.5
"""Signals that come within this time are one: a terminal that is closed, or `make`, may pass one on twice."""

_told = threading.Event()
_enders: list[Callable[[], Any]] = []


def stop(number: int, frame: FrameType | None) -> None:
    """Note that this process was told to stop, and raise KeyboardInterrupt: a handler of signals.

    It only notes it where Python is telling of an exception that it swallowed, since it would swallow this one too, and
    print it.
    """
    _told.set()
    while frame is not None and frame.f_code is not _tell_of.__code__:
        frame = frame.f_back
    if frame is None:
        raise KeyboardInterrupt


def was_told_to_stop() -> bool:
    """Whether `stop` was called."""
    return _told.is_set()


def stop_if_told() -> None:
    """Raise KeyboardInterrupt when this process was told to stop."""
    if _told.is_set():
        raise KeyboardInterrupt


def forget() -> None:
    """Begin anew, as a new command in the same process."""
    _told.clear()


@contextmanager
def ended_at_once(end: Callable[[], Any]) -> Iterator[None]:
    """Within the block, `end` is called before this process ends at once: it must not wait."""
    _enders.append(end)
    try:
        yield
    finally:
        _enders.remove(end)


@contextmanager
def second_signal_forces(numbers: Sequence[int], status: int, tell: Callable[[], Any]) -> Iterator[None]:
    """Within the block, the second of these signals ends this process at once, whatever it is doing.

    Python prints nothing of the exception of the first one where it swallows it: it was noted. Neither does SQLAlchemy
    of a cursor that it could not close then.

    A thread hears of the signals, since the main one may be in a call of TensorFlow's, or of JAX's, that takes minutes.

    Args:
        numbers: of the signals; they have handlers already.
        status: with which the process ends.
        tell: called before.
    """
    heard, written = socket.socketpair()
    written.setblocking(False)
    before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(
        target=_listen, args=(heard, frozenset(numbers), status, tell), name="second signal", daemon=True
    )
    listener.start()
    last = logging.lastResort
    if last is not None:
        last.addFilter(_is_news)
    told_of = sys.unraisablehook
    sys.unraisablehook = partial(_tell_of, told_of)
    try:
        yield
    finally:
        sys.unraisablehook = told_of
        if last is not None:
            last.removeFilter(_is_news)
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        written.close()
        listener.join()
        heard.close()


def _tell_of(hook: Callable[[Any], Any], lost: Any) -> None:
    """Call `hook` with the swallowed exception `lost`, but for that of a signal which was noted."""
    if not (_told.is_set() and issubclass(lost.exc_type, KeyboardInterrupt)):
        hook(lost)


def _is_news(record: logging.LogRecord) -> bool:
    return not (_told.is_set() and record.name.startswith("sqlalchemy."))


def _listen(heard: socket.socket, numbers: frozenset[int], status: int, tell: Callable[[], Any]) -> None:
    first: float | None = None
    while received := heard.recv(64):
        if numbers.isdisjoint(received):
            continue
        now = time.monotonic()
        first = now if first is None else first
        if now - first >= TOGETHER_SECONDS:
            for end in [*_enders, tell]:
                with suppress(Exception):  # nothing may keep the process from its end
                    end()
            os._exit(status)
