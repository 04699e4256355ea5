"""Training one model: its seed, its epochs, and why it may end before its time."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, final

import keras
import keras_tuner
import numpy as np

EpochMetrics = Mapping[str, float]
"""Metrics of one epoch by Keras's names, with "learning_rate" and "seconds" (training and validation together)."""


@final
class NotFinite(keras_tuner.errors.FailedTrialError):
    """The loss or the objective became NaN or infinite."""


@final
class OutOfTime(keras_tuner.errors.FailedTrialError):
    """The time for the search ran out within a trial."""


@final
class EpochReporter(keras.callbacks.Callback):
    """Reports every epoch, and stops the training when it is told to or when the numbers have become useless.

    Args:
        report: called with the epoch, from 1, and its metrics; returns whether to stop.
        watched: names of the metrics that must stay finite, besides the loss.
        deadline: on the clock of `time.monotonic`; None for no limit.
    """

    def __init__(
        self, report: Callable[[int, EpochMetrics], bool], watched: tuple[str, ...], deadline: float | None = None
    ) -> None:
        super().__init__()
        self._report = report
        self._watched = {"loss", *watched}
        self._deadline = deadline
        self._began = 0.0
        self.failure: NotFinite | OutOfTime | None = None
        self.stopped = False
        self.history: list[EpochMetrics] = []

    @property
    def trained(self) -> keras.Model | None:
        """The model, once it has been trained with this callback."""
        return self.model

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        model: Any = self.model
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None and "learning_rate" not in metrics:
            metrics["learning_rate"] = float(np.asarray(keras.ops.convert_to_numpy(optimizer.learning_rate)))
        now = time.monotonic()
        metrics["seconds"] = now - self._began
        self.history.append(metrics)
        broken = sorted(name for name in self._watched if not math.isfinite(metrics.get(name, 0.0)))
        self.stopped = self._report(epoch + 1, metrics)
        if broken:
            self.failure = NotFinite(f"{broken[0]} is {metrics[broken[0]]} after epoch {epoch + 1}")
        elif self._deadline is not None and now > self._deadline and epoch + 1 < (self.params or {}).get("epochs", 0):
            self.failure = OutOfTime(f"the time for the search ran out after epoch {epoch + 1}")
        if self.stopped or self.failure is not None:
            model.stop_training = True


def failure_reason(error: BaseException) -> str:
    """Why a trial failed, in the words of the study."""
    if isinstance(error, NotFinite):
        return "not_finite"
    if isinstance(error, OutOfTime):
        return "timeout"
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return "interrupted"
    text = f"{type(error).__name__} {error}".lower()
    if (
        isinstance(error, MemoryError)
        or "resourceexhausted" in text
        or "resource_exhausted" in text
        or "out of memory" in text
    ):
        return "out_of_memory"
    return "error"


def last_epoch(history: keras.callbacks.History) -> dict[str, float]:
    """The metrics of the last epoch: the best one would flatter."""
    return {name: float(values[-1]) for name, values in history.history.items() if values}
