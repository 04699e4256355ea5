"""Axes that show trials: as points, by their numbers, over the time of a search."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from optuna.trial import FrozenTrial

from ..study.attributes import LAST_SEEN, REASON
from ..study.reasons import INTERRUPTED
from .study_view import Point, StudyView
from .style import BLUE, GREEN, ORANGE, heading, legend_below, outer_fence

PAUSE = timedelta(minutes=1)
"""A longer time without any trial lies between two searches on one study."""


RING = 8
"""Pixels from the centre of a marked point to its rim."""


@final
@dataclass(frozen=True)
class SearchTime:
    """When trials ended, as an axis shows it.

    Attributes:
        of: the time of a point.
        label: of the axis, with the unit.
    """

    of: Callable[[Point], float]
    label: str


def search_time(view: StudyView, points: Sequence[Point]) -> SearchTime:
    """The time since the first trial began, less the pauses, in a unit that suits `points`."""
    seconds, pauses = _search_clock(view.trials)
    last = max(seconds(point.trial) for point in points)
    unit, length = ("hours", 3600) if last > 7200 else ("minutes", 60) if last > 120 else ("seconds", 1)
    cut = f", {pauses} pause{'s' if pauses > 1 else ''} between searches cut out" if pauses else ""
    return SearchTime(lambda point: seconds(point.trial) / length, f"wall-clock time in {unit}{cut}")


def show_places(axes: Axes) -> None:
    """The horizontal axis as the places of trials."""
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
    """A point for every trained trial; returns the values that are shown in their place.

    The vertical axis ends where the values of complete trials become outliers, so that the good ones can be told apart,
    but not before those of `shown`; points beyond it are marked at its end, and counted in the legend.
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
    kept += [] if view.target is None else [view.target]
    margin = 0.05 * (max(kept) - min(kept)) or 0.01 * abs(kept[0]) or 0.01
    axes.set_ylim(min(kept) - margin, max(kept) + margin)
    return kept


def finish(figure: Figure, axes: Axes, view: StudyView, title: str) -> Figure:
    """`figure` with its heading and legend, the metric on the vertical axis."""
    axes.set_ylabel(view.objective, labelpad=8, parse_math=False)
    heading(figure, title, view.note)
    legend_below(figure, axes)
    return figure


def number_points(axes: Axes, front: Sequence[Point], places: Sequence[tuple[float, float]], *, maximize: bool) -> None:
    """The trial's number beside each point of `front`, on the side where no trial lies, where there is room for it.

    The figure has to be laid out, by `draw_without_rendering`: only then does it know where its points are.
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


def _search_clock(trials: Iterable[FrozenTrial]) -> tuple[Callable[[FrozenTrial], float], int]:
    """The seconds from the first trial's beginning to the end of a trial, less the pauses; and how many those are."""
    spans = sorted((t.datetime_start, _end(t)) for t in trials if t.datetime_start and t.datetime_complete)
    first = busy_until = spans[0][0]
    pauses: list[tuple[datetime, timedelta]] = []
    for start, end in spans:
        if start - busy_until > PAUSE:
            pauses.append((start, start - busy_until))
        busy_until = max(busy_until, end)

    def seconds(trial: FrozenTrial) -> float:
        end = _end(trial)
        return (end - first - sum((length for at, length in pauses if at < end), timedelta())).total_seconds()

    return seconds, len(pauses)


def _end(trial: FrozenTrial) -> datetime:
    """When a trial ended; one whose worker died is told so only when its study is resumed, and ended when last seen."""
    end = trial.datetime_complete
    assert end is not None
    if trial.user_attrs.get(REASON) == INTERRUPTED and LAST_SEEN in trial.user_attrs:
        end = min(end, datetime.fromtimestamp(trial.user_attrs[LAST_SEEN]))
    return end
