"""Metrics as a training reports them: which are numbers, and whether the objective is among them."""

from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np


def number_of(value: Any) -> float | None:
    """A metric that is one number, such as a float or a tensor with one element; None for any other."""
    try:
        array = np.asarray(keras.ops.convert_to_numpy(value))
    except (TypeError, ValueError):  # nothing that NumPy knows, such as a list of lists of several lengths
        return None
    return float(array.item()) if array.size == 1 and array.dtype.kind in "biuf" else None


def numbers_in(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those metrics that are numbers. A metric for each class, such as Keras's F1Score, is left out."""
    found = {name: number_of(value) for name, value in metrics.items()}
    return {name: value for name, value in found.items() if value is not None}


def objective_problem(names: Collection[str], metrics: Mapping[str, Any]) -> str | None:
    """What is wrong with `metrics`, in one line; None when all of the `names` are numbers in it.

    Args:
        names: of the metrics that are optimised.
        metrics: of one epoch or of a whole training, as they were reported.
    """
    for name in names:
        if name not in metrics:
            return _missing(name, metrics)
        if number_of(metrics[name]) is None:
            shape = getattr(metrics[name], "shape", None)
            kind = type(metrics[name]).__name__ if shape is None else f"an array of shape {tuple(shape)}"
            return (
                f"{name!r}, which is optimised, is not a number but {kind}: give a metric that is one number, such as "
                'F1Score(average="macro")'
            )
    return None


def _missing(name: str, metrics: Mapping[str, Any]) -> str:
    told = f"no metric is called {name!r}, which is optimised; there are {', '.join(sorted(metrics)) or 'none'}"
    if name.startswith("val_") and not any(other.startswith("val_") for other in metrics):
        return f"{told}: give validation_data= or validation_split="
    return f"{told}: {'optimise one of these, or ' if metrics else ''}add the metric to compile(metrics=...)"
