"""Accuracy of trained models on labelled images."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import keras
import numpy as np

from .ledger import Opening


@final
@dataclass(frozen=True)
class TestResult:
    """What one opening showed.

    Attributes:
        values: accuracy of every seed's model.
        predictions: of the model that ships, float32 (n, classes); `labels`: int32 (n,).
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    values: tuple[float, ...]
    predictions: np.ndarray
    labels: np.ndarray

    def record(self, opening: Opening) -> dict[str, Any]:
        """The figures as plain values; `standard_error` is that of the mean accuracy on so many test images."""
        mean = statistics.fmean(self.values)
        said = self.predictions.argmax(axis=1)
        return {
            "values": list(self.values),
            "mean": mean,
            "std": spread(self.values),
            "min": min(self.values),
            "max": max(self.values),
            "n": len(self.values),
            "standard_error": math.sqrt(mean * (1 - mean) / len(self.labels)),
            "images": len(self.labels),
            "opening": opening.opening,
            "per_class": [
                {
                    "label": int(label),
                    "images": int((self.labels == label).sum()),
                    "accuracy": float((said[self.labels == label] == label).mean()),
                }
                for label in np.unique(self.labels)
            ],
        }


def spread(values: Sequence[float]) -> float:
    """The standard deviation of a sample; 0 where there is one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def evaluate(models: Sequence[keras.Model], x: np.ndarray, y: np.ndarray, batch_size: int = 512) -> TestResult:
    """Accuracy of every model on images x, float32 (n, height, width, channels), with labels y, int32 (n,)."""
    predictions = [
        np.asarray(model.predict(x, batch_size=batch_size, verbose=0))  # pyright: ignore[reportArgumentType]
        for model in models
    ]
    values = tuple(float((prediction.argmax(axis=1) == y).mean()) for prediction in predictions)
    return TestResult(values, predictions[0], y)
