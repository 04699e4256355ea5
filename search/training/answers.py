"""How a Keras model's answers are to be read, found out from the model and checked against its own metric."""

from typing import Any

import keras
import numpy as np

from ..datasets.answers import Answers
from ..datasets.task import Task
from ..errors import SpaceError
from ..messages import cause, figure
from .interruption import stop_if_told

CHECKED_SAMPLES = 256
TOLERANCE = 1e-3
"""Between Keras's figure and ours, relative for those above 1: both are computed in float32 or better."""
MEASURED_TOLERANCE = 0.05
"""Between our figure and that of a user's own `fit`, relative: it may be a mean over batches."""
CLASS_NUMBER_LOSSES = frozenset({"sparse_categorical_crossentropy", "categorical_generalized_cross_entropy"})
"""Keras's losses that take class numbers with answers of several columns."""


def answers_of(model: keras.Model, task: Task, x: np.ndarray, y: np.ndarray, metric: str) -> Answers:
    """How the answers of `model` are read.

    Where the model reports `metric` or the task's main metric itself, and the task knows it too, both are computed for
    some samples and must agree: else the model's loss and metric take its answers for different things, and every
    figure would be doubtful.

    Answers are logits where the loss says so, and where they are not between 0 and 1: a loss of the user's own does not
    tell.

    Args:
        model: trained or not.
        task: it is trained for.
        x, y: samples and their targets; `CHECKED_SAMPLES` of them are used.
        metric: Keras's name of it, without "val_".

    Raises SpaceError when the answers cannot be read for the task, the model's own metrics cannot be computed for `y`,
    or the figures differ.
    """
    chosen = np.linspace(0, len(x) - 1, min(len(x), CHECKED_SAMPLES)).astype(int)  # they may be sorted by class
    x, y = x[chosen], y[chosen]
    raw: Any = model.predict(x, batch_size=len(x), verbose=0)  # pyright: ignore[reportArgumentType]
    if not isinstance(raw, np.ndarray):
        raise SpaceError(
            f"the model answers a {type(raw).__name__} of {len(raw)}: a network for this command has one output, an "
            "array; search such models with OptunaTuner in Python"
        )
    answers = task.answers(raw.shape[1:], takes_logits(model) or bool((np.abs(raw - 0.5) > 0.5 + TOLERANCE).any()))
    reported = metrics_of(model, x, y)
    for name in dict.fromkeys((metric, task.main_metric)):
        own, told = task.metric(name, y, answers.read(raw)), reported.get(name)
        if own is not None and told is not None and abs(own - told) > _tolerance(name, own, y):
            raise SpaceError(
                f"the model reports {name} {figure(told, name)} where its answers, read as {answers.meaning}, give "
                f"{figure(own, name)}: "
                "let its last layer, loss and metric agree, such as from_logits of the loss and threshold of the metric"
            )
    return answers


def _tolerance(metric: str, own: float, y: np.ndarray) -> float:
    """How far Keras's figure of `metric` may be from ours."""
    tolerance = TOLERANCE * max(1.0, abs(own))
    if metric != "r2_score":
        return tolerance
    # Keras subtracts two sums of squares in float32, which are large where the mean is far from 0.
    numbers = y.reshape(len(y), -1).astype(float)
    lost = np.mean(numbers**2, axis=0) / np.maximum(np.var(numbers, axis=0), np.finfo(float).tiny)
    return tolerance + float(4 * np.finfo(np.float32).eps * lost.max() * abs(1 - own))


def check_measured(
    model: keras.Model, task: Task, answers: Answers, x: np.ndarray, y: np.ndarray, metric: str, measured: float
) -> None:
    """Compare what the user's own `fit` measured on samples with what the model answers to them as they are.

    Args:
        model, task, answers, metric: as for `answers_of`.
        x, y: the samples that were measured, all of them, and their targets.
        measured: the metric, as `fit` reported it.

    Raises SpaceError when they differ by more than averages over batches may, or cannot be computed.
    """
    raw: Any = model.predict(x, verbose=0)  # pyright: ignore[reportArgumentType]
    own = task.metric(metric, y, answers.read(raw))
    found = metrics_of(model, x, y).get(metric) if own is None else own
    if found is None or abs(found - measured) <= MEASURED_TOLERANCE * max(abs(found), abs(measured)) + TOLERANCE:
        return
    raise SpaceError(
        f"fit measured {metric} {figure(measured, metric)} on samples for which the model, given them as they are, has "
        f"{figure(found, metric)}: let the model itself change samples and answers (with layers), and let fit end with "
        "the weights that it measured"
    )


def metrics_of(model: keras.Model, x: np.ndarray, y: np.ndarray, batch_size: int = 512) -> dict[str, float]:
    """The metrics that the model itself computes and that are numbers; none when it is not compiled.

    Raises SpaceError when they cannot be computed for the targets `y`, (n,) or (n, k).
    """
    if not getattr(model, "compiled", False):
        return {}
    try:
        reported: Any = model.evaluate(x, y, batch_size=batch_size, verbose=0, return_dict=True)  # pyright: ignore
    except Exception as error:  # losses and metrics may be of the user's own
        stop_if_told()  # TensorFlow may have made an error of a signal
        shape = f"(n, {', '.join(map(str, y.shape[1:]))})" if y.ndim > 1 else "(n,)"
        raise SpaceError(
            f"the model's loss and metrics cannot be computed for the targets, which are {y.dtype} {shape} "
            f"({cause(error)}): give targets of the form that it was trained on, or compile it for these "
            "(sparse_categorical_crossentropy takes class numbers, categorical_crossentropy one-hot rows)"
        ) from error
    return {name: float(value) for name, value in reported.items() if np.ndim(value) == 0}


def takes_one_hot(model: keras.Model, columns: int) -> bool | None:
    """Whether the model's loss takes one-hot rows, and not class numbers; None where that is not known.

    It is known of Keras's own losses: all but `CLASS_NUMBER_LOSSES` want a target for each number of an answer.

    Args:
        columns: of the model's answers, (n, columns).
    """
    losses = keras.tree.flatten(getattr(model, "loss", None))
    if len(losses) != 1 or losses[0] in (None, "crossentropy", "ce"):  # Keras chooses these two by the targets
        return None
    loss: Any = keras.losses.get(losses[0])
    function = getattr(loss, "fn", loss)
    if not str(function.__module__).startswith("keras."):
        return None
    return columns > 1 and getattr(function, "__name__", "") not in CLASS_NUMBER_LOSSES


def takes_logits(model: keras.Model) -> bool:
    """Whether the model's loss takes its answers for logits; without one, they are taken for probabilities."""
    losses = keras.tree.flatten(getattr(model, "loss", None))
    return any(getattr(loss, "from_logits", False) for loss in losses)
