"""Whether this process was told to stop, and its end at once when it is told again.

A signal raises an exception wherever the process is at that moment. Python swallows it in some places, such as a
`__del__`. TensorFlow may turn it into an error of its own, or crash, where it came in Python code that TensorFlow's C++
called. So the signal is noted too, and looked at before every trial, after every batch of Keras's `fit`, after every
epoch, and while workers are waited for; in such places it is only noted, and raised again shortly after.

It is raised within `interruptible` alone: what a process does before and afterwards is not interrupted, such as telling
of the interruption.
"""

import logging
import math
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
from typing import Any, TypeVar

TOGETHER_SECONDS = 0.5
"""Signals that come within this time are one: a terminal that is closed, or `make`, may pass one on twice."""

AGAIN_SECONDS = 0.02
"""How often a signal that cannot be raised yet is tried again."""
PATIENCE_SECONDS = 10.0
"""How long a signal waits for TensorFlow to return, which takes seconds where it traces a function."""

Result = TypeVar("Result")

_told = threading.Event()
_raised = -math.inf
"""When `stop` last raised, on the monotonic clock."""
_waiting_since: float | None = None
_alarm: Any = None
"""The program's handler of SIGALRM, while `stop` has its place."""
_enders: list[Callable[[], Any]] = []


def interruptible(call: Callable[[], Result]) -> Result:
    """The result of `call`, in which `stop` raises KeyboardInterrupt; at once where this process was told to before."""
    stop_if_told()
    return call()


def stop(number: int, frame: FrameType | None) -> None:
    """Note that this process was told to stop, and raise KeyboardInterrupt: a handler of signals.

    It is raised within `interruptible` alone, and once for signals that come together: the second would interrupt what
    is put in order after the first. It is raised later where Python is telling of an exception that it swallowed, since
    it would swallow this one too, and print it; and within TensorFlow, for `PATIENCE_SECONDS` at most. From then on
    SIGALRM belongs to this function, until `forget`. Nothing is raised later once somebody has asked whether this
    process was told to stop.
    """
    global _alarm, _raised, _waiting_since
    now = time.monotonic()
    if number == signal.SIGALRM and _waiting_since is None:
        return  # it came while somebody asked
    _told.set()
    if not _is_interruptible(frame) or now - _raised < TOGETHER_SECONDS:
        _wait_no_more()
        return
    _waiting_since = now if _waiting_since is None else _waiting_since
    if _cannot_raise(frame) and now - _waiting_since < PATIENCE_SECONDS:
        if (before := signal.signal(signal.SIGALRM, stop)) is not stop:
            _alarm = before
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
        return
    _wait_no_more()
    _raised = now
    raise KeyboardInterrupt


def _is_interruptible(frame: FrameType | None) -> bool:
    return any(each.f_code is interruptible.__code__ for each in _callers(frame))


def _cannot_raise(frame: FrameType | None) -> bool:
    return any(
        each.f_code is _tell_of.__code__ or each.f_globals.get("__name__", "").partition(".")[0] == "tensorflow"
        for each in _callers(frame)
    )


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _wait_no_more() -> None:
    global _waiting_since
    if _waiting_since is not None:
        signal.setitimer(signal.ITIMER_REAL, 0)
    _waiting_since = None


def was_told_to_stop() -> bool:
    """Whether `stop` was called. Who asks must obey: `stop` raises nothing later."""
    _wait_no_more()
    return _told.is_set()


def stop_if_told() -> None:
    """Raise KeyboardInterrupt when this process was told to stop."""
    if was_told_to_stop():
        raise KeyboardInterrupt


def forget() -> None:
    """Begin anew, as a new command in the same process. Only the main thread may call it."""
    global _alarm, _raised
    _raised = -math.inf
    _wait_no_more()
    if _alarm is not None:
        signal.signal(signal.SIGALRM, _alarm)
        _alarm = None
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
