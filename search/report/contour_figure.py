"""The value of the trials over two hyperparameters at once."""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import final

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.tri import Triangulation

from ..errors import CannotDraw
from ..messages import shortened
from .hyperparameter_axes import MOST_AXES, Importances, is_logarithmic, is_number, most_telling_first, scale
from .study_view import Point, StudyView
from .style import BLACK, COLOURS, GREEN, GREY, ORANGE, heading, legend_below, new_axes, outer_fence

FEWEST_PLACES = 4
"""Three make one triangle, which shows nothing that the points do not."""
FEWEST_SHARE = 0.25
"""So many of the complete trials must have both hyperparameters."""
FLAT = 1e-6
"""Points that leave a line by no more than this share of their extent are on it."""
ROUNDING = 1e-9
"""Values that differ by less, as a share of the largest, are equal."""
MOST_LEVELS = 9
LONGEST_NAME = 44
"""Characters that fit beside an axis."""
BETWEEN = "between the points: interpolated, from the mean where several trials are at one place (the best is on top)"


@final
@dataclass(frozen=True)
class _Map:
    """The trained trials that have two hyperparameters, on the axes of these.

    Attributes:
        names: of the horizontal and of the vertical axis.
        points: the trials.
        places: of shape (points, 2), from 0 to 1.
        ticks: of each axis, as `scale` gives them.
    """

    names: tuple[str, str]
    points: list[Point]
    places: np.ndarray
    ticks: list[list[tuple[float, str]]]

    @property
    def complete(self) -> np.ndarray:
        """Whether each trial is complete, of shape (points,)."""
        return np.array([point.complete for point in self.points])

    @property
    def spans_an_area(self) -> bool:
        """Whether triangles between the complete trials show more than these trials alone."""
        different = np.unique(self.places[self.complete], axis=0)
        if len(different) < FEWEST_PLACES:
            return False
        length, width = np.linalg.svd(different - different.mean(axis=0), compute_uv=False)
        return bool(width > FLAT * length)


def draw_contour(view: StudyView, importances_of: Importances) -> Figure:
    """The value of the trials over the two most important numbers that a quarter of the complete trials have.

    Each complete trial is a point in the colour of its value. Between them the values are interpolated, and those of
    trials at the same place are averaged before. A hyperparameter that is one of several choices is not shown, even if
    these are numbers. Without importances, the numbers that most trials have are shown. A value far worse than the
    others gets the last colour, which the legend tells.

    Raises CannotDraw for fewer than four complete trials, if all are equally good, and if the values of no two numbers
    span an area.
    """
    complete = view.complete
    if len(complete) < FEWEST_PLACES:
        raise CannotDraw(f"a contour needs {FEWEST_PLACES} complete trials, there are {len(complete)}")
    drawn = _most_important(view, importances_of)
    points = [point for point in drawn.points if point.complete]
    raw = np.array([point.value for point in points])
    edge = outer_fence([point.value for point in complete], maximize=view.maximize)
    values = np.maximum(raw, edge) if view.maximize else np.minimum(raw, edge)
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        raise CannotDraw("a contour needs complete trials with different values")
    remarks = [f"{len(points)} of {len(complete)} have both"] if len(points) < len(complete) else []
    if (values != raw).any():
        remarks.append(f"{'below' if view.maximize else 'above'} {edge:.4g}: as {edge:.4g}")
    label = f"complete ({'; '.join(remarks)})" if remarks else "complete"

    figure, axes = new_axes(5.6)
    _draw_values(axes, drawn.places[drawn.complete], values, view, label)
    if not drawn.complete.all():
        xs, ys = drawn.places[~drawn.complete].T
        axes.plot(xs, ys, "x", color=ORANGE, markersize=5, label="stopped early, without a colour", gid="stopped")
    for place, point in zip(drawn.places, drawn.points, strict=True):
        if point.trial is view.best:
            ring = {"color": GREEN, "markersize": 15, "markeredgewidth": 2, "markerfacecolor": "none"}
            axes.plot(*place, "o", **ring, label=f"{view.best_is} ({view.best_label})", gid="best")
    for axis, name, ticks in zip((axes.xaxis, axes.yaxis), drawn.names, drawn.ticks, strict=True):
        axis.set_ticks(*zip(*ticks, strict=True), fontsize=9, parse_math=False)
        is_log = is_logarithmic(name, [point.trial for point in drawn.points])
        suffix = " (logarithmic axis)" if is_log else ""
        axis.set_label_text(shortened(name, LONGEST_NAME) + suffix, parse_math=False)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.04, 1.04)
    axes.set_title(BETWEEN, loc="left", fontsize=8, color=GREY)
    heading(figure, "Contour of two hyperparameters", view.note)
    legend_below(figure, axes)
    return figure


def _most_important(view: StudyView, importances_of: Importances) -> _Map:
    """The map of the first two numbers that can be drawn; raises CannotDraw if there are none."""
    complete = [point.trial for point in view.complete]
    names = [name for name in most_telling_first(complete, importances_of) if is_number(name, complete)]
    if len(names) < 2:
        raise CannotDraw(f"a contour needs 2 numeric hyperparameters with several values, there are {len(names)}")
    for pair in combinations(names[:MOST_AXES], 2):
        points = [point for point in view.points if all(name in point.trial.params for name in pair)]
        if sum(point.complete for point in points) < max(FEWEST_PLACES, FEWEST_SHARE * len(complete)):
            continue
        scales = [scale(name, [point.trial for point in points]) for name in pair]
        drawn = _Map(pair, points, np.array([places for places, _ in scales]).T, [ticks for _, ticks in scales])
        if drawn.spans_an_area:
            return drawn
    raise CannotDraw(
        f"a contour needs 2 numeric hyperparameters with {FEWEST_PLACES} different pairs of values that are not on a "
        f"line, in {FEWEST_SHARE:.0%} of the complete trials"
    )


def _draw_values(axes: Axes, places: np.ndarray, values: np.ndarray, view: StudyView, label: str) -> None:
    """Fill the area between `places` by `values`, and draw these as points, better ones over others."""
    levels = MaxNLocator(MOST_LEVELS, steps=[1, 2, 5, 10]).tick_values(values.min(), values.max())
    shades = colormaps[COLOURS if view.maximize else COLOURS.removesuffix("_r")]
    colours = {"cmap": shades, "norm": BoundaryNorm(levels, shades.N)}
    different, group = np.unique(places, axis=0, return_inverse=True)
    means = np.bincount(group.ravel(), values) / np.bincount(group.ravel())
    filled = axes.tricontourf(Triangulation(*different.T), means, levels, **colours)
    filled.set_gid("filled")
    order = np.argsort(values if view.maximize else -values)
    # A white edge is seen on dark colours, and a black one around it on light ones.
    edge = {"edgecolors": "white", "linewidths": 1, "path_effects": [withStroke(linewidth=3, foreground=BLACK)]}
    axes.scatter(*places[order].T, s=40, c=values[order], **colours, **edge, zorder=3, label=label, gid="complete")
    bar = axes.figure.colorbar(filled, ax=axes, pad=0.02)
    bar.set_label(shortened(view.objective, LONGEST_NAME), parse_math=False)
    digits = max(0, -math.floor(math.log10(levels[1] - levels[0])))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda level, _: f"{level:.{digits}f}"))
