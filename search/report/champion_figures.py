"""Figures of the champion: learning curves, its answers on the test set, architecture."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ...spaces.architecture import Architecture
from ..datasets.task import Classification, Regression, task_of, unit_of
from ..errors import CannotDraw
from ..messages import is_accuracy, shortened
from ..study.int8_names import in_float
from .architecture_figure import draw_architecture
from .figures import Figures
from .regression_figures import draw_residuals, draw_scatter
from .style import BLUE, COLOURS, GREY, NOTE_SIZE, ORANGE, heading, in_own_style, new_figure, plain, widen_towards_one

MOST_MISTAKES = 48
MISTAKES_IN_A_ROW = 12
MOST_NUMBERED_CLASSES = 20
"""With more classes, the cells of a confusion matrix are too small for numbers."""
MOST_CONFUSIONS = 10
MOST_LETTERS, LETTERS_OF_A_MISTAKE = 12, 8
"""The most characters of the name of a class: in a confusion matrix, and below a mistake."""
MOST_LETTERS_BELOW = 40
"""The most characters below a confusion matrix; where names have more, they are written upwards."""
WHY_BELOW = (
    "Training figures are means over the batches of an epoch, while the weights still change and with dropout; "
    "validation\nfigures are of its end, without dropout. So training may look worse."
)
LONG_NAME = 4
"""From so many characters on, two names have a line each below a mistake."""


@in_own_style
def champion_figures(
    record: Mapping[str, Any],
    *,
    architecture: Architecture | None = None,
    samples: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    answers: np.ndarray | None = None,
) -> Figures:
    """The figures of a champion.

    Args:
        record: the champion's record, as its confirmation has written it.
        architecture: the champion's architecture; None if its space cannot describe it.
        samples: of the test set, float32 (n, ...).
        targets: of these, as the task's are.
        answers: of the model that ships, as `Answers.read` gives them, float (n, outputs).

    Returns `learning_curves` and `architecture`; of a classifier also `confusion_matrix` and `mistakes`, of a network
    that predicts numbers `scatter` and `residuals`. A figure without data is left out, with the reason.
    """
    figures: dict[str, Callable[[], Figure]] = {"learning_curves": lambda: draw_learning_curves(record)}
    match task_of(record["data"]):
        case Regression(names=names):
            of_answers = {
                "scatter": lambda y, read, note: draw_scatter(y, read, names, note),
                "residuals": lambda y, read, note: draw_residuals(y, read, names, note),
            }
        case Classification(names=names) as task:
            of_answers = {
                "confusion_matrix": lambda y, read, note: draw_confusion_matrix(task.labels(y), read, note, names),
                "mistakes": lambda y, read, note: draw_mistakes(samples, task.labels(y), read, note, names),
            }
        case other:
            raise TypeError(f"no figures are known for {other}")

    def on_test(draw: Callable[[np.ndarray, np.ndarray, str], Figure]) -> Figure:
        if targets is None or answers is None:
            raise CannotDraw(f"no predictions on test {_unit(record)} are given")
        return draw(targets, answers, f"{_name(record)}; {_test_note(record)}")

    figures |= {name: partial(on_test, draw) for name, draw in of_answers.items()}
    figures["architecture"] = lambda: _draw_architecture(architecture, record)
    drawn: dict[str, Figure] = {}
    left_out: dict[str, str] = {}
    for name, draw in figures.items():
        try:
            drawn[name] = draw()
        except CannotDraw as reason:
            left_out[name] = str(reason)
    return Figures(drawn, left_out)


def _draw_architecture(architecture: Architecture | None, record: Mapping[str, Any]) -> Figure:
    if architecture is None:
        raise CannotDraw("the space of the champion has no closed form")
    return draw_architecture(architecture, _name(record))


def draw_learning_curves(record: Mapping[str, Any]) -> Figure:
    """The objective and the loss over the epochs of the confirmation: the mean over the seeds, their range as a band.

    Raises CannotDraw if the record has no history.
    """
    histories = record["histories"]
    if not histories or not histories[0]:
        raise CannotDraw("the record has no learning curves")
    figure = new_figure(4.4)
    seeds = f"{len(histories)} seeds, mean and range" if len(histories) > 1 else "1 seed"
    training = f"{record['data']['images']:,} training {_unit(record)}, profile {record['profile']}"
    heading(figure, "Learning curves", f"{_name(record)}; {seeds}; {training}")
    metrics = list(dict.fromkeys((in_float(record["objective"]).removeprefix("val_"), "loss")))
    for place, metric in enumerate(metrics, start=1):
        axes = plain(figure.add_subplot(1, len(metrics), place))
        shown: list[np.ndarray] = []
        for key, colour, label in ((metric, BLUE, "training"), (f"val_{metric}", ORANGE, "validation")):
            if key in histories[0][0]:
                curves = _padded([[epoch.get(key) for epoch in history] for history in histories])
                _draw_band(axes, curves, colour, label)
                shown.append(curves)
        axes.set_xlabel("epoch")
        axes.set_ylabel(metric, labelpad=8, parse_math=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if is_accuracy(metric) and shown:
            widen_towards_one(axes, np.concatenate(shown).ravel())
        if shown:
            axes.legend(frameon=False)
    figure.supxlabel(WHY_BELOW, x=0.01, ha="left", fontsize=NOTE_SIZE, color=GREY)
    return figure


def draw_confusion_matrix(labels: np.ndarray, predictions: np.ndarray, note: str, names: Sequence[str] = ()) -> Figure:
    """How often each class was mistaken for each other class, coloured by the share of the true class.

    Args:
        labels: int (n,); predictions: float (n, classes); names: of the classes, their numbers where it is empty.
    """
    classes = predictions.shape[1]
    called = _called(names, classes, MOST_LETTERS)
    predicted = predictions.argmax(axis=1)
    matrix = np.zeros((classes, classes), dtype=int)
    np.add.at(matrix, (labels, predicted), 1)
    errors = matrix * ~np.eye(classes, dtype=bool)
    shares = errors / np.maximum(matrix.sum(axis=1, keepdims=True), 1)

    figure = new_figure(6.2)
    heading(figure, "Confusion matrix", note)
    axes, list_axes = figure.subplots(1, 2, width_ratios=[3, 1])
    picture = axes.imshow(np.ma.masked_equal(shares, 0), cmap=COLOURS, vmin=0, vmax=max(shares.max(), 1e-9))
    figure.colorbar(picture, ax=axes, label="share of the true class", format=PercentFormatter(1), shrink=0.8)
    if classes <= MOST_NUMBERED_CLASSES:
        upwards = classes * max(map(len, called)) > MOST_LETTERS_BELOW
        axes.set_xticks(range(classes), called, rotation=90 if upwards else 0, parse_math=False)
        axes.set_yticks(range(classes), called, parse_math=False)
        for true, guess in np.argwhere(matrix):
            dark = errors[true, guess] and np.mean(colormaps[COLOURS](shares[true, guess] / shares.max())[:3]) < 0.5
            weight = "bold" if true == guess else "normal"
            axes.text(
                guess, true, str(matrix[true, guess]), ha="center", va="center", fontsize=9,
                color="white" if dark else "black", fontweight=weight,
            )  # fmt: skip
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    list_axes.set_axis_off()
    frequent = sorted(((int(errors[t, g]), int(t), int(g)) for t, g in np.argwhere(errors)), key=lambda e: (-e[0], e))
    rows = [f"{called[true]} taken for {called[guess]}: {count}" for count, true, guess in frequent[:MOST_CONFUSIONS]]
    text = "\n".join([f"{errors.sum():,} of {len(labels):,} wrong", "", *(["Most frequent:"] if rows else []), *rows])
    list_axes.text(0, 0.95, text, va="top", fontsize=10, linespacing=1.5, parse_math=False)
    return figure


def draw_mistakes(
    images: np.ndarray | None, labels: np.ndarray, predictions: np.ndarray, note: str, names: Sequence[str] = ()
) -> Figure:
    """Misclassified images, those with the highest probability first; at most 48.

    Args:
        images: float (n, height, width, channels); labels: int (n,); predictions: float (n, classes); names: of the
            classes, their numbers where it is empty.

    Raises CannotDraw if there are no images that can be shown, or no mistakes.
    """
    if images is None:
        raise CannotDraw("the images are not given")
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        shape = ", ".join(map(str, images.shape[1:]))
        raise CannotDraw(f"samples of shape ({shape}) are not images of 1 or 3 channels")
    called = _called(names, predictions.shape[1], LETTERS_OF_A_MISTAKE)
    predicted, sure = predictions.argmax(axis=1), predictions.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    if not wrong.size:
        raise CannotDraw(f"none of the {len(labels):,} images is taken for another class")
    shown = wrong[np.argsort(-sure[wrong], kind="stable")][:MOST_MISTAKES]
    rows = -(-len(shown) // MISTAKES_IN_A_ROW)
    long = max(map(len, called)) >= LONG_NAME
    step = 1.62 if long else 1.45
    figure = new_figure(0.9 + 0.725 * step * rows)
    axes = figure.add_subplot()
    axes.set_axis_off()
    low, high = float(images[shown].min()), float(images[shown].max())
    for place, index in enumerate(shown):
        row, column = divmod(place, MISTAKES_IN_A_ROW)
        top = -step * row
        image = (images[index] - low) / ((high - low) or 1)
        image = image if image.shape[-1] == 3 else image[..., 0]
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(column, column + 0.92, top - 0.92, top))
        classes = [called[labels[index]], called[predicted[index]]]
        text = ("\nas " if long else " as ").join(classes) + f"\n{sure[index]:.1%}"
        style: dict[str, Any] = {"ha": "center", "va": "top", "linespacing": 1.1, "parse_math": False}
        axes.text(column + 0.46, top - 0.96, text, fontsize=8, **style)
    axes.set_xlim(0, MISTAKES_IN_A_ROW)
    axes.set_ylim(-step * rows, 0.05)
    which = f"all {len(shown)}" if len(shown) == len(wrong) else f"the {len(shown)} surest of {len(wrong):,}"
    heading(figure, f"Mistakes: {which}, with the true class, what it was taken for, and how sure", note)
    return figure


def _padded(curves: Sequence[Sequence[float | None]]) -> np.ndarray:
    """Curves as float (seeds, epochs), NaN where a training had ended: the mean is drawn as far as all seeds go."""
    longest = max(map(len, curves))
    return np.array([[*curve, *[None] * (longest - len(curve))] for curve in curves], dtype=float)


def _draw_band(axes: Axes, curves: np.ndarray, colour: str, label: str) -> None:
    """Draw the mean of `curves` (seeds, epochs) and a band from the smallest to the largest value."""
    epochs = np.arange(1, curves.shape[1] + 1)
    axes.plot(epochs, curves.mean(axis=0), color=colour, marker="." if len(epochs) < 30 else "", label=label, gid=label)
    if len(curves) > 1:
        axes.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.2, linewidth=0)


def _called(names: Sequence[str], classes: int, letters: int) -> list[str]:
    """What the classes are called: their names, shortened, and the numbers of those without."""
    return [shortened(names[place], letters) if place < len(names) else str(place) for place in range(classes)]


def _unit(record: Mapping[str, Any]) -> str:
    return unit_of(record["data"]["input_shape"])


def _name(record: Mapping[str, Any]) -> str:
    study = record["study"]
    return f"{study if len(study) <= 40 else f'{study[:39]}...'}, trial {record['trial']}"


def _test_note(record: Mapping[str, Any]) -> str:
    """The data behind a figure of the test set. Every such figure names the opening of the test set."""
    test = record["test"]
    training = f"{record['train_images_final']:,} {_unit(record)}, profile {record['profile']}"
    return f"test set, opening {test['opening']}; the model that ships, trained on {training}"
