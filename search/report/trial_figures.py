"""Figures of the trials of a study: by order, by cost, by epoch and over time.

Only trained trials are shown: refused proposals are PRUNED trials in the study, but were never measured. Optuna's own
plots are not used: they change matplotlib's style for the whole process, and do not distinguish trials that were
stopped early.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..errors import CannotDraw
from ..study.budget import UNITS
from ..study.int8_names import is_in_int8
from ..study.records import own_values
from .search_time import search_time
from .study_view import Point, StudyView, pareto_front
from .style import (
    BLACK,
    BLUE,
    COST_TITLES,
    GREEN,
    ORANGE,
    heading,
    legend_below,
    new_axes,
    show_cost,
    widen_towards_one,
)
from .trial_axes import MANY_LINES, draw_lines, draw_points, number_points, show_places


def draw_optimization_history(view: StudyView) -> Figure:
    """The value of every trained trial in the order of their starts, and the best so far."""
    figure, axes = new_axes()
    best = view.best_so_far([point.value for point in view.complete])
    places = [point.place for point in view.complete]
    draw_points(axes, view, lambda point: point.place)
    label = f"{view.best_is} so far ({view.best_label})"
    ends = [*places, len(view.points)], [*best, best[-1]]
    axes.step(*ends, where="post", color=BLACK, linewidth=1.2, label=label, gid="best_so_far")
    show_places(axes)
    return _finish(figure, axes, view, "Optimisation history")


def draw_cost_vs_metric(view: StudyView, cost: str = "params") -> Figure:
    """The value of every trained trial against the cost of its network, with the Pareto front of these two.

    The limit on the cost and the target of the metric are drawn if there are any. Raises CannotDraw if no trial is
    complete or the cost is not known for all.
    """
    complete = view.complete
    view.check_counted(cost)
    figure, axes = new_axes()
    draw_points(axes, view, lambda point: point.cost(cost))
    front = pareto_front(complete, maximize=view.maximize, cost=cost)
    xs, ys = [point.cost(cost) for point in front], [point.value for point in front]
    axes.step(xs, ys, where="post", color=GREEN, linewidth=1.2, gid="pareto_front")
    rings: dict[str, Any] = {"color": GREEN, "markersize": 9, "markerfacecolor": "none"}
    of = "" if view.goal.has_winner else " of these two"
    axes.plot(xs, ys, "o", **rings, label=f"Pareto front{of}, with trial numbers")
    limit = view.limits.get(cost)
    if limit is not None:
        label = f"budget {limit:,}" if cost == "params" else f"at most {limit:,} {UNITS[cost]}"
        axes.axvline(limit, color=BLACK, linestyle="--", label=label, gid="budget")
    _draw_target(axes, view)
    largest = max(limit or 1, *(point.cost(cost) for point in view.points))
    axes.set_xlim(-0.05 * largest, 1.05 * largest)
    show_cost(axes.xaxis, cost, (0, largest))
    name = COST_TITLES[cost]
    _finish(figure, axes, view, f"{name[0].upper()}{name[1:]} against {view.objective}")
    figure.draw_without_rendering()
    number_points(axes, front, [(point.cost(cost), point.value) for point in front], maximize=view.maximize)
    return figure


def draw_intermediate_values(view: StudyView) -> Figure:
    """The value of every trained trial over its epochs; those stopped early end with a cross."""
    lines = {point.trial.number: epochs for point in view.points if (epochs := own_values(point.trial))}
    if not lines:
        raise CannotDraw("no trial has reported an epoch")
    figure, axes = new_axes()
    styles: dict[str, dict[str, Any]] = {
        "complete": {"color": BLUE, "linewidth": 0.9, "alpha": 0.6, "marker": ".", "markersize": 4},
        "stopped": {"color": ORANGE, "linewidth": 0.9, "alpha": 0.8, "marker": "x", "markevery": [-1]},
        "best": {"color": BLACK, "linewidth": 2.2, "marker": "."},
    }
    labels = {
        "complete": "complete",
        "stopped": "stopped early, at the cross",
        "best": f"{view.best_is} ({view.best_label})",
    }
    many = len(lines) > MANY_LINES
    for kind, style in styles.items():
        drawn = [
            lines[point.trial.number]
            for point in view.points
            if _kind(point, view) == kind and point.trial.number in lines
        ]
        if many and drawn and kind != "best":
            width, alpha = style["linewidth"], style["alpha"]
            draw_lines(axes, drawn, style["color"], linewidth=width, alpha=alpha, gid=kind)
            ends = [line[-1] for line in drawn]
            own = style | {"linestyle": "none", "markersize": 3, "markevery": None}
            axes.plot(*zip(*ends, strict=True), **own, label=labels[kind], gid=f"ends of {kind}")
            continue
        for line in drawn:
            axes.plot(*zip(*line, strict=True), **style, label=labels.pop(kind, None), gid=kind)
    _draw_target(axes, view)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if view.maximize:
        values = [value for line in lines.values() for _, value in line]
        widen_towards_one(axes, values if view.goal.target is None else [*values, view.goal.target])
    in_what = " in float: the score alone is in int8" if is_in_int8(view.objective) else ""
    return _finish(figure, axes, view, f"Intermediate values{in_what}")


def _kind(point: Point, view: StudyView) -> str:
    return "best" if point.trial is view.best else "complete" if point.complete else "stopped"


def draw_incumbent_over_time(view: StudyView) -> Figure:
    """The best so far over wall-clock time, without the pauses between two searches."""
    complete = view.complete
    time = search_time(view, complete)
    points = sorted(complete, key=time.of)
    times, values = [time.of(point) for point in points], [point.value for point in points]
    figure, axes = new_axes()
    draw_points(axes, view, time.of, complete_only=True)
    label = f"{view.best_is} so far ({view.best_label})"
    axes.step(times, view.best_so_far(values), where="post", color=BLACK, linewidth=1.2, label=label, gid="incumbent")
    axes.set_xlim(0)
    axes.set_xlabel(time.label)
    return _finish(figure, axes, view, "Best so far over time")


def _draw_target(axes: Axes, view: StudyView) -> None:
    if view.goal.target is not None:
        axes.axhline(view.goal.target, color=GREEN, linestyle="--", label=f"target {view.goal.target:g}", gid="target")


def _finish(figure: Figure, axes: Axes, view: StudyView, title: str) -> Figure:
    """Add the heading, the legend and the metric as the label of the vertical axis."""
    axes.set_ylabel(view.objective, labelpad=8, parse_math=False)
    heading(figure, title, view.note)
    legend_below(figure, axes)
    return figure
