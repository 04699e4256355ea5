"""Axes with one point for each trial."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from .study_view import Point, StudyView
from .style import BLUE, GREEN, ORANGE, outer_fence

RING = 8
"""Radius in pixels of the ring around a marked point."""


MANY_LINES = 500
"""More lines than this are drawn as one object: one object for each takes matplotlib milliseconds."""


def draw_lines(axes: Axes, lines: Sequence[Any], colours: Any, *, linewidth: float, alpha: float, gid: str) -> None:
    """Draw many lines, later ones over earlier ones.

    Args:
        lines: each an array or a list of points, of shape (points, 2).
        colours: one for all lines, or one for each.
    """
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=linewidth, alpha=alpha, gid=gid))
    axes.autoscale_view()


def show_places(axes: Axes) -> None:
    """Label the horizontal axis as the places of trials, with whole numbers."""
    axes.set_xlabel("trained trial, in the order in which they began")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_points(
    axes: Axes,
    view: StudyView,
    x: Callable[[Point], float],
    *,
    complete_only: bool = False,
    shown: Iterable[Point] = (),
) -> list[float]:
    """Draw a point for every trained trial; returns the values that lie within the axis.

    Outliers among the bad values would squeeze the good ones together. The vertical axis therefore ends at the outer
    fence of the complete trials, or at the worst of `shown` if that is further. Points beyond the end are drawn as
    arrows there, and the legend counts them.
    """
    fence = outer_fence([point.value for point in view.complete], maximize=view.maximize)
    limit = (min if view.maximize else max)([fence, *(point.value for point in shown)])
    edge, arrow, where = (0, "v", "below") if view.maximize else (1, "^", "above")
    kinds = [(True, "o", BLUE, "complete")]
    if not complete_only:
        kinds.append((False, "x", ORANGE, "stopped early, at its last epoch"))
    kept: list[float] = []
    for complete, marker, colour, label in kinds:
        points = [point for point in view.points if point.complete == complete]
        inside = [point for point in points if (point.value >= limit if view.maximize else point.value <= limit)]
        beyond = [point for point in points if (point.value < limit if view.maximize else point.value > limit)]
        kept += [point.value for point in inside]
        if points:
            name = f"{label} ({len(beyond)} {where} the axis)" if beyond else label
            xs, ys = [x(point) for point in inside], [point.value for point in inside]
            axes.plot(xs, ys, marker, color=colour, markersize=5, label=name, gid=label.split()[0])
        if beyond:
            ends: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "gid": "beyond"}
            axes.plot([x(point) for point in beyond], [edge] * len(beyond), arrow, color=colour, markersize=5, **ends)
    kept += [] if view.goal.target is None else [view.goal.target]
    margin = 0.05 * (max(kept) - min(kept)) or 0.01 * abs(kept[0]) or 0.01
    axes.set_ylim(min(kept) - margin, max(kept) + margin)
    return kept


def number_points(axes: Axes, front: Sequence[Point], places: Sequence[tuple[float, float]], *, maximize: bool) -> None:
    """Write the trial's number beside each point of `front`, at `places`, wherever there is room.

    Call `draw_without_rendering` on the figure first: the positions of its points are not known before.
    """
    up = 1 if maximize else -1
    rings = axes.transData.transform(places)
    taken: list[Bbox] = []
    for point, place, (x, y) in zip(reversed(front), reversed(places), reversed(rings), strict=True):
        label = axes.annotate(
            str(point.trial.number),
            place,
            xytext=(-4, 4 * up),
            textcoords="offset points",
            ha="right",
            va="bottom" if maximize else "top",
            fontsize=9,
            color=GREEN,
            gid="number",
            annotation_clip=True,
        )
        box = label.get_window_extent()
        others = rings[np.abs(rings - (x, y)).max(axis=1) > 0]
        if box.count_overlaps(taken) or any(box.padded(RING).contains(*other) for other in others):
            label.remove()
        else:
            taken.append(box)
