"""A trial reports that it is being trained, also within epochs that take long."""

import threading
import time
import weakref
from typing import final

from optuna.exceptions import UpdateFinishedTrialError

from .attributes import LAST_SEEN
from .stored_study import StoredStudy

HEARTBEAT_SECONDS = 60.0
"""A running trial reports at least this often. It counts as dead after some five times as long, see `liveness`."""


@final
class Heartbeat:
    """A thread that reports for a running trial, whenever nothing else did for `seconds`.

    It ends with `stop`, with its owner, and with the trial. Where the storage does not answer it tries again later:
    what is stored at the next epoch will tell the user.

    Args:
        stored: the study.
        number: of the trial.
        owner: ends the thread when it is garbage; it must not be reachable from `stored`.
        seconds: between two reports.
    """

    def __init__(self, stored: StoredStudy, number: int, owner: object, seconds: float = HEARTBEAT_SECONDS) -> None:
        self._stored = stored
        self._number = number
        self._seconds = seconds
        self._ended = threading.Event()
        self._reported = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat of trial {number}", daemon=True)
        weakref.finalize(owner, self._ended.set)
        self._thread.start()

    def has_reported(self) -> None:
        """Something else has just reported for the trial."""
        self._reported = time.monotonic()

    def stop(self) -> None:
        """End the thread. It may still be writing a last report."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(max(0.0, self._reported + self._seconds - time.monotonic())):
            if time.monotonic() < self._reported + self._seconds:
                continue
            try:
                self._stored.keep(self._number, **{LAST_SEEN: time.time()})
            except UpdateFinishedTrialError:
                return  # the trial has ended, here or by another process
            except Exception:  # any storage may raise anything while it is down
                pass
            self.has_reported()
