"""The look of all figures: size, colours, axes, headings. Global state of matplotlib is neither used nor changed.

Functions that draw or write figures are wrapped by `in_own_style`.
"""

import functools
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullLocator

P = ParamSpec("P")
Result = TypeVar("Result")

DPI = 120
WIDTH = 9.0
"""Inches: 1,080 pixels, which fit on the screen of a laptop."""
TITLE_SIZE, NOTE_SIZE = 12, 9
NOTE_DEPTH = 0.35
"""Inches from the top of a figure to its note."""
LETTERS = 130
"""The number of characters of NOTE_SIZE that fit on one line."""

# Okabe and Ito (2008): can be told apart with all common colour vision deficiencies.
BLUE, ORANGE, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"
GREY, PALE = "#555555", "#DDDDDD"
COLOURS = "cividis_r"
"""The colour map for values, high ones dark; also safe with colour vision deficiencies (Nunez et al., 2018)."""
COST_LABELS = {
    "params": "parameters",
    "macs": "MACs for one image",
    "ram": "RAM of the int8 network",
    "flash": "flash of the int8 network",
    "activations": "activations at the peak",
}
"""The labels of cost axes."""
COST_TITLES = {"params": "parameters", "macs": "MACs", "ram": "RAM", "flash": "flash", "activations": "activations"}
"""The costs as they are called in headings."""
BYTES = ("ram", "flash", "activations")
"""The costs that are bytes."""
TICKS = (
    *(1, 0.9995, 0.999, 0.998, 0.997, 0.995, 0.993, 0.99, 0.985, 0.98, 0.97, 0.96, 0.95, 0.93, 0.9),
    *(0.88, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0),
)
"""Possible ticks of an axis that `widen_towards_one` has scaled."""


def in_own_style(function: Callable[P, Result]) -> Callable[P, Result]:
    """Run `function` with matplotlib's defaults. Optuna's own plots change the style of the whole process."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        with matplotlib.style.context("default"):
            return function(*args, **kwargs)

    return call


def new_figure(height: float = 4.8) -> Figure:
    """An empty figure, `height` inches high, with a layout that makes room for labels."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.06)
    FigureCanvasAgg(figure)
    return figure


def new_axes(height: float = 4.8) -> tuple[Figure, Axes]:
    """A figure, `height` inches high, with one pair of plain axes."""
    figure = new_figure(height)
    return figure, plain(figure.add_subplot())


def plain(axes: Axes) -> Axes:
    """Give `axes` a light grid and no frame; returns them."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def widen_towards_one(axes: Axes, values: Iterable[float]) -> None:
    """If all `values` are shares, scale the vertical axis so that 0.9 to 0.99 is as long as 0 to 0.9."""
    shares = np.array([value for value in values if math.isfinite(value)])
    if not shares.size or shares.min() < 0 or shares.max() > 1:
        return
    almost = 1.0005  # keeps 1 itself at a finite place
    scale: Any = (lambda y: -np.log10(almost - np.minimum(y, 1)), lambda z: almost - 10.0**-z)
    axes.set_yscale("function", functions=scale)
    low, high = scale[0](shares.min()), scale[0](shares.max())
    margin = 0.05 * (high - low) or 0.1
    axes.set_ylim(max(0.0, scale[1](low - margin)), min(1.0, scale[1](high + margin)))
    bottom, top = axes.get_ylim()
    ticks: list[float] = []
    for tick in TICKS:
        if bottom <= tick <= top and (not ticks or scale[0](ticks[-1]) - scale[0](tick) >= 0.05 * (high - low)):
            ticks.append(tick)
    axes.set_yticks(ticks)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.set_title("vertical axis not linear: wider towards 1", loc="left", fontsize=8, color=GREY, gid="not linear")


def show_cost(axis: Axis, name: str, ends: tuple[float, float], ticks: int = 8) -> None:
    """Label an axis of the cost `name` from `ends[0]` to `ends[1]`, with about `ticks` ticks: 12,000, 1.2 M, 64 KiB."""
    axis.set_label_text(COST_LABELS[name])
    binary = name in BYTES
    if axis.get_scale() == "log":
        fine = 3 * math.log10(ends[1] / ends[0]) <= ticks
        axis.set_major_locator(LogLocator(base=2) if binary else LogLocator(subs=(1, 2, 5) if fine else (1,)))
        axis.set_minor_locator(NullLocator())
    elif binary:
        axis.set_major_locator(MultipleLocator(2 ** math.ceil(math.log2(ends[1] / ticks))))
    else:
        axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    if name == "macs":
        axis.set_major_formatter(EngFormatter(sep=" "))
    elif binary:
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1024:g} KiB"))
    else:
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def heading(figure: Figure, title: str, note: str = "") -> None:
    """A title at the left and, in smaller type below it, `note`: the data behind the figure, in lines that fit."""
    lines = textwrap.wrap(note, int(LETTERS * figure.get_figwidth() / WIDTH)) or [""]
    # The empty lines below the title make the layout leave room for the note.
    text = title + "\n" * len(lines)
    figure.suptitle(text, x=0.01, ha="left", fontsize=TITLE_SIZE, fontweight="bold", parse_math=False)
    below = 1 - NOTE_DEPTH / figure.get_figheight()
    text = "\n".join(lines)
    figure.text(0.01, below, text, ha="left", va="top", fontsize=NOTE_SIZE, color=GREY, parse_math=False)


def legend_below(figure: Figure, axes: Axes) -> None:
    """Put the legend of `axes` at the bottom of `figure`, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    columns = next(count for count in (4, 3, 2, 1) if count == 1 or _letters(labels, count) <= LETTERS)
    box = figure.legend(handles, labels, loc="outside lower left", ncols=columns, frameon=False, fontsize=NOTE_SIZE)
    for text in box.get_texts():
        text.set_parse_math(False)


def _letters(labels: Sequence[str], columns: int) -> int:
    """The width of a legend in characters: the longest label of each column plus room for its marker."""
    return sum(8 + max(map(len, column)) for column in np.array_split(np.array(labels), columns) if len(column))


def outer_fence(values: Sequence[float] | np.ndarray, *, maximize: bool) -> float:
    """The value beyond which bad values are outliers: three interquartile ranges from the quartile (Tukey)."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(low - 3 * (high - low)) if maximize else float(high + 3 * (high - low))
