"""What the networks of a confirmation reach in int8: a figure of every model, and what a record tells of several."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from ..datasets.answers import Answers
from ..datasets.data import Dataset
from ..export.int8_models import Int8Models, NotQuantised
from ..training.interruption import stop_if_told
from ..training.saved_model import modules_of
from ..tuning.int8_objective import int8_figure

Figure = Mapping[str, Any]
"""Of one model: {"metric", "value", "float"}, or {"missing": why}."""


@contextmanager
def in_int8(models: Sequence[keras.Model], dataset: Dataset) -> Iterator[Int8Models]:
    """The trained `models` in int8 within the block, calibrated on training samples of `dataset`."""
    with Int8Models(models, dataset.x_train, modules_of) as quantised:
        stop_if_told()  # a signal of the terminal ends the converter, too
        yield quantised


def figures_of(
    quantised: Int8Models, x: np.ndarray, y: np.ndarray, dataset: Dataset, answers: Answers, metric: str
) -> list[Figure]:
    """The figure of every model on the samples `x` with targets `y`; a single one where they have none.

    Args:
        dataset: that they were trained on.
        answers: how those of the models are read.
        metric: Keras's name of it, without "val_".
    """
    try:
        return [figure.record() for figure in quantised.figures(x, y, dataset.task, answers, metric)]
    except NotQuantised as error:
        stop_if_told()
        return [{"missing": str(error)}]


def validation_figure(model: keras.Model, dataset: Dataset, metric: str) -> Figure:
    """What a trained model reaches in int8 on the validation samples; arguments as for `figures_of`."""
    try:
        x, y = dataset.x_validation, dataset.y_validation
        return int8_figure(model, dataset.x_train, x, y, dataset.task, metric).record()
    except NotQuantised as error:
        return {"missing": str(error)}


def int8_record(figures: Sequence[Figure | None], asked: bool = False) -> dict[str, Any] | None:
    """What a champion's record tells of the figures of several models, of which None were not measured.

    Args:
        figures: of the models.
        asked: whether this confirmation measures in int8; an earlier one, whose results it takes over, may not have.

    Returns {"metric", "values", "mean", "float_mean", "change"}, of which "change" is the mean in int8 minus that in
    float; {"missing": why}; None where nothing was measured, and was not to be.
    """
    measured = [figure for figure in figures if figure is not None]
    if not measured and not asked:
        return None
    if len(measured) < len(figures):
        return {"missing": f"{len(figures) - len(measured)} of {len(figures)} trainings were not measured in int8"}
    for figure in measured:
        if "missing" in figure:
            return {"missing": figure["missing"]}
    values = [figure["value"] for figure in measured]
    mean, float_mean = statistics.fmean(values), statistics.fmean(figure["float"] for figure in measured)
    metric = measured[0]["metric"]
    return {"metric": metric, "values": values, "mean": mean, "float_mean": float_mean, "change": mean - float_mean}
