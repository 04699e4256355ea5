"""The clock of a search: what ends it, and the epochs that it wrote down."""

import json
import os
import time
from pathlib import Path
from typing import Any, final

import keras

from .measures import Epoch


class TimeUp(BaseException):
    """The seconds of a search are over. No `Exception`: KerasTuner would take that for a failed trial."""


@final
class EpochClock(keras.callbacks.Callback):
    """Writes down every epoch, and ends the search at its deadline.

    It holds plain values only: tuners copy callbacks, and may send them to other processes. It has no methods for
    batches, which would keep an engine from training an epoch at once.

    Args:
        path: of the file that epochs are appended to, a line each.
        deadline: on the clock of `time.time`; None for a contender that keeps to it by itself.
    """

    def __init__(self, path: str, deadline: float | None = None) -> None:
        super().__init__()
        self._path = path
        self._deadline = deadline
        self._fit_began = self._began = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        told = self.params or {}
        compiling = told.get("trace_seconds", 0.0) + told.get("compile_seconds", 0.0)  # an engine does it before
        self._fit_began = time.time() - compiling

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        check_time(self._deadline)
        self._began = time.time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        line = json.dumps([os.getpid(), self._fit_began, self._began, time.time()])
        with Path(self._path).open("a") as file:
            file.write(line + "\n")
        check_time(self._deadline)


def check_time(deadline: float | None) -> None:
    """Raise TimeUp after `deadline`, on the clock of `time.time`."""
    if deadline is not None and time.time() >= deadline:
        raise TimeUp


def epochs_in(path: Path, began: float) -> list[Epoch]:
    """The epochs that were written to `path`, in seconds since `began`."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return [
        Epoch(f"{process}-{fit_began}", fit_began - began, epoch_began - began, ended - began)
        for process, fit_began, epoch_began, ended in rows
    ]
