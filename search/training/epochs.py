"""Training one model: its epochs, why it may end before its time, and what it scores."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, final

import keras
import keras_tuner
import numpy as np

from ..compat.keras_tuner import mean_metrics, metrics_of
from ..study.reasons import ERROR, INTERRUPTED, NOT_FINITE, OUT_OF_MEMORY, TIMEOUT

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

    A training loop of a `HyperModel`'s own may call `on_epoch_end` alone.

    Args:
        report: called with the epoch, from 1, and its metrics; returns whether to stop.
        watched: names of the metrics that must stay finite, besides the loss in training and validation.
        deadline: on the clock of `time.monotonic`; None for no limit.

    Attributes:
        history: of every epoch.
        stopped: whether `report` said so.
        failure: to be raised once the training is over; None when nothing is wrong.
    """

    def __init__(
        self, report: Callable[[int, EpochMetrics], bool], watched: tuple[str, ...], deadline: float | None = None
    ) -> None:
        super().__init__()
        self._report = report
        self._watched = {"loss", "val_loss", *watched}
        self._deadline = deadline
        self._began = time.monotonic()
        self.failure: NotFinite | OutOfTime | None = None
        self.stopped = False
        self.history: list[EpochMetrics] = []

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.stopped or self.failure is not None:  # a training loop of the user's own may ignore `stop_training`
            return
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        model: Any = self.model
        if "learning_rate" not in metrics and (optimizer := getattr(model, "optimizer", None)) is not None:
            metrics["learning_rate"] = float(np.asarray(keras.ops.convert_to_numpy(optimizer.learning_rate)))
        now = time.monotonic()
        metrics["seconds"], self._began = now - self._began, now
        self.history.append(metrics)
        self.stopped = self._report(epoch + 1, metrics)
        broken = sorted(name for name in self._watched if not math.isfinite(metrics.get(name, 0.0)))
        is_last = epoch + 1 >= (self.params or {}).get("epochs", math.inf)
        if broken:
            self.failure = NotFinite(f"{broken[0]} is {metrics[broken[0]]} after epoch {epoch + 1}")
        elif self._deadline is not None and now > self._deadline and not is_last:
            self.failure = OutOfTime(f"the time for the search ran out after epoch {epoch + 1}")
        if model is not None and (self.stopped or self.failure is not None):
            model.stop_training = True


def failure_reason(error: BaseException) -> str:
    """Why a trial failed, in the words of the study."""
    if isinstance(error, NotFinite):
        return NOT_FINITE
    if isinstance(error, OutOfTime):
        return TIMEOUT
    # A fatal error is not the trial's own: it ends the search, and the trial is tried again once it is corrected.
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | keras_tuner.errors.FatalError):
        return INTERRUPTED
    text = f"{type(error).__name__} {error}".lower()
    if (
        isinstance(error, MemoryError)
        or "resourceexhausted" in text
        or "resource_exhausted" in text
        or "out of memory" in text
    ):
        return OUT_OF_MEMORY
    return ERROR


def final_metrics(results: Any, objective: keras_tuner.Objective) -> tuple[dict[str, Any], int]:
    """The metrics at the end of training, and the index of the last epoch, from 0.

    Args:
        results: what `Tuner.run_trial` or `HyperModel.fit` may return: a `History`, a number, a dictionary of metrics,
            or a list of these, of which the mean is taken. KerasTuner takes a `History` at its best epoch, which
            flatters.
    """
    if isinstance(results, list):
        metrics, steps = zip(*(final_metrics(result, objective) for result in results), strict=True)
        return mean_metrics(metrics), round(statistics.mean(steps))
    if not isinstance(results, keras.callbacks.History):
        return dict(metrics_of(results, objective)), 0
    metrics = {name: float(values[-1]) for name, values in results.history.items() if values}
    if objective.name not in metrics and objective.has_value(metrics):  # several objectives, their signed sum
        metrics[objective.name] = objective.get_value(metrics)
    return metrics, max((len(values) for values in results.history.values()), default=1) - 1
