"""Trained models on the test set: the metric that was optimised, and what else their answers tell."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import keras
import numpy as np

from ..datasets.answers import Answers
from ..datasets.task import Task
from ..training.answers import metrics_of
from .ledger import Opening


@final
@dataclass(frozen=True)
class TestResult:
    """What one opening showed.

    Attributes:
        metric: Keras's name of it, without "val_".
        values: of the metric, one for the model of every seed.
        standard_error: of a value, from the number of samples, the mean over the models; None where it is unknown.
        targets: as the data set has them, (n, ...).
        answers: of the model that ships, as `Answers.read` gives them, float64 (n, outputs).
        figures: what else is told of these answers.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    metric: str
    values: tuple[float, ...]
    standard_error: float | None
    targets: np.ndarray
    answers: np.ndarray
    figures: Mapping[str, Any]

    def record(self, opening: Opening) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "metric": self.metric,
            "values": list(self.values),
            "mean": statistics.fmean(self.values),
            "std": spread(self.values),
            "min": min(self.values),
            "max": max(self.values),
            "n": len(self.values),
            "standard_error": self.standard_error,
            "images": len(self.targets),
            "opening": opening.opening,
            **self.figures,
        }


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation of a sample; None where there is one value, which has none."""
    return statistics.stdev(values) if len(values) > 1 else None


def evaluate(
    models: Sequence[keras.Model],
    x: np.ndarray,
    y: np.ndarray,
    task: Task,
    answers: Answers,
    metric: str,
    batch_size: int = 512,
) -> TestResult:
    """What every model scores on the samples `x` with targets `y`.

    The value is that of `metric`: computed from the answers where the task knows it, else as the models report it. It
    is that of the task's own `main_metric` where neither is possible.

    Args:
        models: of one architecture, the one that ships first.
        x: float32 (n, ...); y: as the task's targets are.
        task: that the models are trained for.
        answers: how their answers are read.
        metric: Keras's name of it, without "val_".
        batch_size: of the predictions.
    """
    read = [
        answers.read(np.asarray(model.predict(x, batch_size=batch_size, verbose=0)))  # pyright: ignore[reportArgumentType]
        for model in models
    ]
    values = [task.metric(metric, y, one) for one in read]
    if None in values:
        values = [metrics_of(model, x, y, batch_size).get(metric) for model in models]
    if None in values:
        metric = task.main_metric
        values = [task.metric(metric, y, one) for one in read]
    errors = [error for one in read if (error := task.standard_error(metric, y, one)) is not None]
    return TestResult(
        metric,
        values=tuple(value for value in values if value is not None),
        standard_error=statistics.fmean(errors) if errors else None,
        targets=y,
        answers=read[0],
        figures=task.figures(y, read[0]),
    )
