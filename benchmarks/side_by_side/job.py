"""What a contender is handed: the space, the data, and the clock of its search."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from kerastuna.search.workers.pool import WorkerPool
from kerastuna.spaces import ConvNet

from .clock import EpochClock


@final
@dataclass(frozen=True)
class Job:
    """One search of one contender. Its clock runs from the moment it is made.

    Attributes:
        space: what is searched.
        x, y: training images, float32 (n, height, width, channels), and their classes.
        validation: the same for validation.
        epochs: of a full training.
        seconds: that the search has.
        seed: of the search.
        folder: for everything that it writes.
        began: on the clock of `time.time`.
        budget: parameters of a network.
        workers: 1, or the processes that train.
    """

    space: ConvNet
    x: np.ndarray
    y: np.ndarray
    validation: tuple[np.ndarray, np.ndarray]
    epochs: int
    seconds: float
    seed: int
    folder: Path
    began: float
    budget: int
    workers: int | WorkerPool = 1

    @property
    def epochs_file(self) -> Path:
        """Where the epochs are written down."""
        return self.folder / "epochs.jsonl"

    @property
    def deadline(self) -> float:
        """When the search is over, on the clock of `time.time`."""
        return self.began + self.seconds

    def fit_arguments(self, *, stops: bool) -> dict[str, Any]:
        """The arguments of `fit`; with `stops`, the clock ends the search at its deadline."""
        clock = EpochClock(str(self.epochs_file), self.deadline if stops else None)
        return {
            "x": self.x,
            "y": self.y,
            "epochs": self.epochs,
            "validation_data": self.validation,
            "callbacks": [clock],
            "verbose": 0,
        }

    def now(self) -> float:
        """Seconds since the search began."""
        return time.time() - self.began
