"""Figures of a search for the smallest network that reaches a target: the costs, and the lowest so far."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import CannotDraw
from ..study.goal import SmallestNetwork
from .search_time import search_time
from .study_view import Point, StudyView
from .style import BLACK, BLUE, GREY, heading, legend_below, new_axes, show_cost
from .trial_axes import show_places


def draw_cost_history(view: StudyView, goal: SmallestNetwork) -> Figure:
    """The cost of every trained network in the order of their starts, and the lowest so far that reaches the target."""
    reaching = _reaching(view, goal)
    figure, axes = new_axes()
    _draw_costs(axes, view, goal, reaching, lambda point: point.place, view.points[-1].place)
    show_places(axes)
    return _finish(figure, axes, view, goal, f"Networks that reach {goal.metric.name} {goal.target:g}")


def draw_smallest_over_time(view: StudyView, goal: SmallestNetwork) -> Figure:
    """The lowest cost so far that reaches the target, over wall-clock time without pauses."""
    reaching = _reaching(view, goal)
    time = search_time(view, view.points)
    figure, axes = new_axes()
    _draw_costs(axes, view, goal, sorted(reaching, key=time.of), time.of, max(map(time.of, view.points)))
    axes.set_xlim(0)
    axes.set_xlabel(time.label)
    return _finish(figure, axes, view, goal, f"Smallest that reaches {goal.metric.name} {goal.target:g} over time")


def _reaching(view: StudyView, goal: SmallestNetwork) -> list[Point]:
    points = [point for point in view.complete if goal.is_met(point.value)]
    if not points:
        raise CannotDraw(f"no trial has reached {goal.metric.name} {goal.target:g}; the closest is {view.best_label}")
    view.check_counted(goal.cost)
    return points


def _draw_costs(
    axes: Axes,
    view: StudyView,
    goal: SmallestNetwork,
    reaching: Sequence[Point],
    x: Callable[[Point], float],
    last: float,
) -> None:
    xs, costs = _places(reaching, goal, x)
    axes.plot(xs, costs, "o", color=BLUE, markersize=5, label=f"reaches it ({len(reaching)})", gid="reaching")
    met = {point.place for point in reaching}
    short = [point for point in view.points if point.place not in met]
    if short:
        stopped = sum(not point.complete for point in short)
        label = f"falls short of it ({len(short)}, {stopped} of them stopped early)"
        axes.plot(*_places(short, goal, x), "x", color=GREY, alpha=0.45, markersize=5, label=label, gid="short")
    least = list(np.minimum.accumulate(costs))
    label = f"smallest so far ({view.best_label})"
    ends = [*xs, last], [*least, least[-1]]
    axes.step(*ends, where="post", color=BLACK, linewidth=1.2, label=label, gid="smallest_so_far")
    axes.set_ylim(0, 1.05 * max(point.cost(goal.cost) for point in view.points))


def _places(
    points: Sequence[Point], goal: SmallestNetwork, x: Callable[[Point], float]
) -> tuple[list[float], list[int]]:
    return [x(point) for point in points], [point.cost(goal.cost) for point in points]


def _finish(figure: Figure, axes: Axes, view: StudyView, goal: SmallestNetwork, title: str) -> Figure:
    show_cost(axes.yaxis, goal.cost, axes.get_ylim())
    heading(figure, title, view.note)
    legend_below(figure, axes)
    return figure
