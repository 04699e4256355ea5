"""Figures of predicted numbers on the test set: against the targets, and their errors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..datasets.task import Regression
from ..messages import number, shortened
from .style import BLACK, BLUE, heading, new_figure, plain

MOST_NUMBERS = 4
"""The most numbers that get a panel of their own."""
MOST_LETTERS = 24
"""The most characters of a number's name."""
FEW = 300
"""Up to so many samples, points are drawn large and dark."""
BINS = 40


def draw_scatter(targets: np.ndarray, predictions: np.ndarray, names: Sequence[str], note: str) -> Figure:
    """Each prediction against its target, one panel for each of the first four numbers, with the line of no error.

    Args:
        targets: float (n,) or (n, numbers); predictions: float (n, numbers); names: of the numbers, their places where
            it is empty.
    """
    figure, panels = _panels("Predictions against targets", targets, predictions, names, note)
    for axes, name, true, predicted, errors in panels:
        few = len(true) <= FEW
        axes.plot(
            true, predicted, "o", color=BLUE, markersize=4 if few else 2, alpha=0.6 if few else 0.25, gid="predictions"
        )
        ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
        axes.plot(ends, ends, color=BLACK, linewidth=1, linestyle="--", gid="no_error")
        axes.set_xlabel("target")
        axes.set_ylabel("prediction")
        axes.set_title(_told(name, mae=errors["mae"], r2=errors["r2"]), fontsize=10, parse_math=False)
    return figure


def draw_residuals(targets: np.ndarray, predictions: np.ndarray, names: Sequence[str], note: str) -> Figure:
    """How often each error, prediction minus target, occurs, one panel for each of the first four numbers.

    Takes what `draw_scatter` takes.
    """
    figure, panels = _panels("Errors: prediction minus target", targets, predictions, names, note)
    for axes, name, true, predicted, errors in panels:
        differences = predicted - true
        low, high = float(differences.min()), float(differences.max())
        margin = max(0.0, 1e-6 * max(1.0, abs(low)) - (high - low))  # equal errors need a bin of some width too
        axes.hist(differences, bins=BINS, range=(low - margin, high + margin), color=BLUE)
        axes.axvline(0, color=BLACK, linewidth=1, linestyle="--", gid="no_error")
        axes.set_xlabel("error")
        axes.set_ylabel("samples")
        axes.set_title(_told(name, bias=errors["bias"], rmse=errors["rmse"]), fontsize=10, parse_math=False)
    return figure


def _panels(
    title: str, targets: np.ndarray, predictions: np.ndarray, names: Sequence[str], note: str
) -> tuple[Figure, list[tuple[Axes, str, np.ndarray, np.ndarray, dict[str, Any]]]]:
    """A figure, and for each panel its axes, the number's name, its targets, its predictions and its errors."""
    numbers = predictions.shape[1]
    shown = min(numbers, MOST_NUMBERS)
    columns = min(shown, 2)
    rows = -(-shown // columns)
    figure = new_figure(0.9 + (3.9 if columns > 1 else 4.8) * rows)
    told = Regression(numbers, tuple(names)).figures(targets, predictions)["per_number"]
    panels = [
        (plain(figure.add_subplot(rows, columns, place + 1)), one["name"] if numbers > 1 or names else "", y, read, one)
        for place, (one, y, read) in enumerate(
            zip(told[:shown], targets.reshape(len(targets), -1).T, predictions.T, strict=False)
        )
    ]
    for axes, *_ in panels:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    more = f", the first {shown} of {numbers} numbers" if shown < numbers else ""
    heading(figure, f"{title}{more}", note)
    return figure, panels


def _told(name: str, **values: float) -> str:
    figures = ", ".join(f"{key} {number(value)}" for key, value in values.items())
    return f"{shortened(name, MOST_LETTERS)}: {figures}" if name else figures
