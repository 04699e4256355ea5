"""Training one model: its epochs, why it may end before its time, and what it scores."""

import math
import numbers
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import keras
import keras_tuner

from ..compat.keras_tuner import mean_metrics, metrics_of
from ..study.reasons import BUILD_ERROR, ERROR, INTERRUPTED, NOT_FINITE, OUT_OF_MEMORY, TIMEOUT, TRIAL_TIMEOUT
from .failures import TrialLimit, TrialTimeout, is_of_a_build
from .interruption import stop_if_told, was_told_to_stop
from .kept_weights import ValidatedWeights
from .metric_values import number_of, numbers_in

EpochMetrics = Mapping[str, float]
"""Metrics of one epoch by Keras's names, with "learning_rate" and "seconds" (training and validation together).

The first one has "compile_seconds" too, where an engine compiled the network before it.
"""

Report = Callable[[int, EpochMetrics, int | None], bool]
"""Called with the epoch, from 1, its metrics, and the epochs of the whole training; returns whether to stop.

The epochs are None where the training must not be stopped: at its last epoch, when it is ending already, and when
nobody knows how long it is.
"""


BatchReport = Callable[[int, int, int | None], None]
"""Called within a long epoch, with the epoch, from 1, its batches so far, and all of them, None where nobody knows."""

LONG_EPOCH = 10.0
"""An epoch that takes more seconds tells of its batches."""
BETWEEN_REPORTS = 2.0
"""Seconds between two reports of batches."""


@final
class NotFinite(keras_tuner.errors.FailedTrialError):
    """The loss or the objective became NaN or infinite."""


@final
class OutOfTime(keras_tuner.errors.FailedTrialError):
    """The time for the search ran out within a trial."""


@final
class EpochReporter(keras.callbacks.Callback):
    """Reports every epoch, and stops the training when it is told to or when the numbers have become useless.

    A training loop of a `HyperModel`'s own may call `on_epoch_end` alone. One that takes no notice of
    `model.stop_training`, and goes on, was not stopped: it is not told again. A `HyperModel.fit` may train several
    times, one after the other: the epochs of a later training follow those of the one before, and a training that
    begins after one was stopped is stopped too.

    Args:
        report: told of every epoch.
        watched: names of the metrics that must stay finite, besides the loss in training and validation.
        deadline: on the clock of `time.monotonic`, looked at before the first epoch, which raises OutOfTime then, and
            after every one; None for no limit.
        limit: of the trial, looked at after every batch of Keras's `fit` and after every epoch; None for none.
        epochs: of a training whose callbacks are not told their number; None where it is not known.
        check: called with the metrics of the first epoch as they were reported; may raise an error.
        report_batches: told of the batches of a long epoch.

    Attributes:
        history: of every epoch, the metrics that are numbers.
        stopped: whether `report` said so, and the training ended.
        failure: to be raised once the training is over; None when nothing is wrong.
        taken_over: how many epochs were trained in another process.
    """

    def __init__(
        self,
        report: Report,
        watched: tuple[str, ...],
        deadline: float | None = None,
        *,
        limit: TrialLimit | None = None,
        epochs: int | None = None,
        check: Callable[[Mapping[str, Any]], None] = lambda metrics: None,
        report_batches: BatchReport = lambda epoch, done, batches: None,
    ) -> None:
        super().__init__()
        self._report = report
        self._watched = {"loss", "val_loss", *watched}
        self._deadline = deadline
        self._limit = limit
        self._epochs = epochs
        self._check = check
        self._report_batches = report_batches
        self._began = time.monotonic()
        self._told_batches = self._began
        self._last = 0  # the epoch, from 1, that was reported last
        self._goes_on_regardless = False
        self._is_over = False
        self.failure: NotFinite | OutOfTime | TrialTimeout | None = None
        self.stopped = False
        self.taken_over = 0
        self.history: list[EpochMetrics] = []
        self._weights = ValidatedWeights()

    @property
    def epochs_since_kept(self) -> int | None:
        """How many epochs before the last one the weights were validated that the model has now; None if never."""
        return self._weights.epochs_since(self.model)

    def take_over(self, history: Sequence[EpochMetrics]) -> None:
        """Report the epochs that this training had before it was interrupted; it was not stopped in any of them."""
        self.taken_over = len(history)
        for epoch, metrics in enumerate(history):
            self.history.append(metrics)
            self._weights.epoch_passes()
            self._last = epoch + 1
            self._report(self._last, metrics, self._length(epoch))

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._weights.test_begins(self.model)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self._is_over = self._must_end

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._began = time.monotonic()
        if self._deadline is not None and self._began > self._deadline and self._last == self.taken_over:
            self.failure = OutOfTime("the time for the search ran out before the first epoch")
            raise self.failure
        if self._is_over:  # Keras forgets it at the beginning of every training
            self._stop_training(True)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        # At the end of a batch Keras would wait for its metrics.
        stop_if_told()
        if self.failure is None and self._limit is not None and (failure := self._limit.failure()) is not None:
            self.failure = failure
            raise failure
        now = time.monotonic()
        if now > max(self._began + LONG_EPOCH, self._told_batches + BETWEEN_REPORTS):
            self._told_batches = now
            steps = (self.params or {}).get("steps")
            self._report_batches(self._last + 1, batch, int(steps) if isinstance(steps, numbers.Integral) else None)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        stop_if_told()
        if self._is_over or isinstance(self.failure, NotFinite | TrialTimeout):
            return
        if self._must_end:
            self.stopped, self.failure, self._goes_on_regardless = False, None, True
            self._stop_training(False)
        if not self.history:
            self._check(logs or {})
        metrics = numbers_in(logs or {})
        if "learning_rate" not in metrics and (rate := _learning_rate(self.model)) is not None:
            metrics["learning_rate"] = rate
        now = time.monotonic()
        metrics["seconds"], self._began = now - self._began, now
        if not self.history and (compiling := (self.params or {}).get("compile_seconds")) is not None:
            metrics["compile_seconds"] = float(compiling)
        self.history.append(metrics)
        self._weights.epoch_ends(self.model)
        self._last = max(epoch, self._last) + 1
        epochs = self._length(epoch)
        is_last = self._last == epochs or bool(getattr(self.model, "stop_training", False))
        may_stop = not (is_last or self._goes_on_regardless)
        self.stopped = self._report(self._last, metrics, epochs if may_stop else None)
        broken = sorted(name for name in self._watched if not math.isfinite(metrics.get(name, 0.0)))
        if broken:
            self.failure = NotFinite(f"{broken[0]} is {metrics[broken[0]]} after epoch {self._last}")
        elif self._deadline is not None and now > self._deadline and not is_last and not self.stopped:
            self.failure = OutOfTime(f"the time for the search ran out after epoch {self._last}")
        elif self._limit is not None and not is_last and not self.stopped:
            self.failure = self._limit.failure()
        if self._must_end:
            self._stop_training(True)

    @property
    def _must_end(self) -> bool:
        return self.stopped or self.failure is not None

    def _stop_training(self, stop: bool) -> None:
        model: Any = self.model
        if model is not None:
            model.stop_training = stop

    def _length(self, epoch: int) -> int | None:
        """The last epoch of this training, counted like those that are reported; None where it is not known."""
        told = (self.params or {}).get("epochs")
        epochs = int(told) if isinstance(told, numbers.Integral) else self._epochs
        return None if epochs is None else max(epochs, epoch + 1) + self._last - (epoch + 1)


def _learning_rate(model: Any) -> float | None:
    """The learning rate of the model's optimizer; None where it has none or several of its own."""
    return number_of(getattr(getattr(model, "optimizer", None), "learning_rate", None))


def failure_reason(error: BaseException) -> str:
    """Why a trial failed, in the words of the study."""
    if isinstance(error, NotFinite):
        return NOT_FINITE
    if isinstance(error, OutOfTime):
        return TIMEOUT
    if isinstance(error, TrialTimeout):
        return TRIAL_TIMEOUT
    # A fatal error is not the trial's own: it ends the search, and the trial is tried again once it is corrected.
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | keras_tuner.errors.FatalError):
        return INTERRUPTED
    if was_told_to_stop():  # TensorFlow makes errors of its own of an interruption
        return INTERRUPTED
    text = f"{type(error).__name__} {error}".lower()
    if (
        isinstance(error, MemoryError)
        or "resourceexhausted" in text
        or "resource_exhausted" in text
        or "out of memory" in text
    ):
        return OUT_OF_MEMORY
    return BUILD_ERROR if is_of_a_build(error) else ERROR


def final_metrics(results: Any, objective: keras_tuner.Objective) -> tuple[dict[str, float], int]:
    """The metrics at the end of training that are numbers, and the index of the last epoch, from 0.

    Args:
        results: what `Tuner.run_trial` or `HyperModel.fit` may return: a `History`, a number, a dictionary of metrics,
            or a list of these, of which the mean is taken. KerasTuner takes a `History` at its best epoch, which
            flatters.
    """
    if isinstance(results, list):
        metrics, steps = zip(*(final_metrics(result, objective) for result in results), strict=True)
        return mean_metrics(metrics), round(statistics.mean(steps))
    metrics = numbers_in(last_metrics(results, objective))
    if not isinstance(results, keras.callbacks.History):
        return metrics, 0
    if objective.name not in metrics and objective.has_value(metrics):  # several objectives, their signed sum
        metrics[objective.name] = objective.get_value(metrics)
    return metrics, max((len(values) for values in results.history.values()), default=1) - 1


def last_metrics(result: Any, objective: keras_tuner.Objective) -> Mapping[str, Any]:
    """The metrics at the end of one training, numbers or not, as `final_metrics` reads them."""
    if isinstance(result, keras.callbacks.History):
        return {name: values[-1] for name, values in result.history.items() if values}
    return metrics_of(result, objective)
