"""The figure of a Pareto front: its metric against each of its other parts."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial

from ..study.attributes import HISTORY
from ..study.goal import ParetoFront, Quantity
from ..study.goal_base import enumeration
from .study_view import Point, StudyView
from .style import (
    BLACK,
    BYTES,
    COST_TITLES,
    GREEN,
    heading,
    legend_below,
    new_figure,
    plain,
    show_cost,
    widen_towards_one,
)
from .trial_axes import draw_points, number_points

PANELS_IN_A_ROW = 3
WIDE = 20
"""An axis of costs is logarithmic if the largest is more than this many times the smallest."""


def draw_pareto_front(view: StudyView, goal: ParetoFront) -> Figure:
    """Every trained trial, in one panel for each part but the metric, with limits and a ring around the front's trials.

    The front is that of all parts together: in a single panel, other trials may seem to beat one that is on it.
    Raises CannotDraw if no trial is complete.
    """
    complete = view.complete
    numbers = {trial.number for trial in goal.leaderboard(view.trials)}
    front = [point for point in complete if point.trial.number in numbers]
    others = [part for part in goal.parts if part != goal.metric]
    columns = min(len(others), PANELS_IN_A_ROW)
    rows = -(-len(others) // PANELS_IN_A_ROW)
    figure = new_figure(1.2 + 3.6 * rows)
    panels = [plain(figure.add_subplot(rows, columns, place)) for place in range(1, len(others) + 1)]
    for place, (axes, part) in enumerate(zip(panels, others, strict=True)):
        _draw_panel(axes, view, goal, part, front, len(others))
        if place % columns == 0:
            axes.set_ylabel(view.objective, labelpad=8, parse_math=False)
    names = [COST_TITLES.get(part.name, part.name) for part in goal.parts]
    title = f"Pareto front of {enumeration(names)}: {len(front)} of {len(complete)} complete trials"
    heading(figure, title, view.note)
    legend_below(figure, max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[1])))
    figure.draw_without_rendering()
    for axes, part in zip(panels, others, strict=True):
        places = [(_amount(goal, point.trial, part), point.value) for point in front]
        number_points(axes, front, places, maximize=view.maximize)
    return figure


def _draw_panel(
    axes: Axes, view: StudyView, goal: ParetoFront, part: Quantity, front: Sequence[Point], panels: int
) -> None:
    values = draw_points(axes, view, lambda point: _amount(goal, point.trial, part), shown=front)
    if view.maximize:
        widen_towards_one(axes, values)
    ringed = sorted((_amount(goal, point.trial, part), point.value) for point in front)
    if panels == 1:
        step = "post" if part.direction == "min" else "pre"
        axes.step(*zip(*ringed, strict=True), where=step, color=GREEN, linewidth=1.2, gid="front_line")
    rings: dict[str, Any] = {"color": GREEN, "markersize": 9, "markerfacecolor": "none", "gid": "front"}
    axes.plot(*zip(*ringed, strict=True), "o", **rings, label="on the front, with trial numbers")
    limit = view.limits.get(part.name)
    if limit is not None:
        axes.axvline(limit, color=BLACK, linestyle="--", label="limit", gid="limit")
    amounts = [amount for point in view.points if (amount := _amount(goal, point.trial, part)) == amount]
    if part.is_cost:
        _show_costs(axes, part.name, amounts, limit, ticks=9 - 2 * min(panels, PANELS_IN_A_ROW))
    else:
        axes.set_xlabel(part.name, parse_math=False)


def _show_costs(axes: Axes, name: str, amounts: Sequence[float], limit: int | None, ticks: int) -> None:
    """Make the horizontal axis one of costs, with room at its low end for the numbers of trials."""
    low, high = min(amounts), max(*amounts, limit or 0)
    if high > WIDE * low > 0:
        axes.set_xscale("log")
        axes.set_xlim(low / (high / low) ** 0.2, high * (high / low) ** 0.05)
    else:
        axes.set_xlim(-0.05 * high, 1.05 * high)
    show_cost(axes.xaxis, name, axes.get_xlim(), ticks)
    if limit is not None:
        unit = " bytes" if name in BYTES else ""
        axes.set_xlabel(f"{axes.get_xlabel()}\nat most {limit:,}{unit}")


def _amount(goal: ParetoFront, trial: FrozenTrial, part: Quantity) -> float:
    """The value of `part` for `trial`; NaN if unknown."""
    if trial.values is not None:
        return trial.values[goal.parts.index(part)]
    if part.is_cost:
        known = trial.user_attrs.get(part.name)
    else:
        known = (trial.user_attrs.get(HISTORY) or [{}])[-1].get(part.name)
    return math.nan if known is None else float(known)
