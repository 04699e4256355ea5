"""The trials of a study drawn: over their order, their size, their epochs and time.

Only trained trials are shown: refused proposals stand in the study as PRUNED trials, but say nothing of accuracy.
Optuna's own plots are not used: they change matplotlib's style for the whole process, and do not set apart what was
stopped early.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, final

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from optuna.trial import FrozenTrial, TrialState

from .budget import UNITS, Budget
from .figures import (
    BLACK,
    BLUE,
    COST_TITLES,
    GREEN,
    ORANGE,
    CannotDraw,
    heading,
    legend_below,
    new_axes,
    outer_fence,
    show_cost,
    widen_towards_one,
)
from .goal import Goal, ParetoFront, SmallestNetwork, budget_of, goal_of, score_of
from .records import counts, trial_record
from .study import IDENTITY, INTERRUPTED, LAST_SEEN, REASON, is_trained

PAUSE = timedelta(minutes=1)
"""A longer time without any trial lies between two searches on one study."""
RING = 8
"""Pixels from the centre of a marked point to its rim."""


@final
@dataclass(frozen=True)
class Point:
    """A trained trial: its place among them, from 1, and its value at its last epoch."""

    place: int
    trial: FrozenTrial
    value: float

    @property
    def complete(self) -> bool:
        return self.trial.state == TrialState.COMPLETE

    def cost(self, name: str) -> int:
        return self.trial.user_attrs[name]


@final
@dataclass(frozen=True)
class StudyView:
    """A study as its figures see it, read once.

    Attributes:
        goal: of the study.
        trials: every one, refused and failed ones too.
        points: the trained ones, by number.
        best: the first of the leaderboard; None when it is empty.
        limits: on the networks, by name.
        note: what the figures rest on.
    """

    goal: Goal
    trials: Sequence[FrozenTrial]
    points: Sequence[Point]
    best: FrozenTrial | None
    limits: Mapping[str, int]
    note: str

    @property
    def objective(self) -> str:
        """The metric's name."""
        return self.goal.metric.name

    @property
    def maximize(self) -> bool:
        return self.goal.metric.direction == "max"

    @property
    def complete(self) -> list[Point]:
        """At least one; raises CannotDraw when there is none."""
        points = [point for point in self.points if point.complete]
        if not points:
            raise CannotDraw("no trial is complete yet")
        return points

    @property
    def target(self) -> float | None:
        """What the metric has to reach."""
        return self.goal.target if isinstance(self.goal, SmallestNetwork) else None

    @property
    def best_is(self) -> str:
        """In which way the best trial is the best."""
        match self.goal:
            case SmallestNetwork() if self.best and self.goal.is_met(score_of(self.best)):
                return f"smallest that reaches {self.goal.target:g}"
            case SmallestNetwork():
                return f"closest to {self.goal.target:g}"
            case ParetoFront():
                return f"best {self.objective}"
            case _:
                return "best"

    @property
    def best_label(self) -> str:
        if self.best is None:
            return ""
        size = ""
        if isinstance(self.goal, SmallestNetwork):
            size = f", {self.best.user_attrs[self.goal.cost]:,} {UNITS[self.goal.cost]}"
        return f"trial {self.best.number}: {score_of(self.best):.4f}{size}"

    def check_counted(self, cost: str) -> None:
        """Raises CannotDraw when `cost` is not known of every trained network."""
        if any(point.trial.user_attrs.get(cost) is None for point in self.points):
            raise CannotDraw(f"the {UNITS[cost]} of the networks were not counted")

    def best_so_far(self, values: Sequence[float]) -> list[float]:
        """The best of `values` up to each."""
        return list((np.maximum if self.maximize else np.minimum).accumulate(values))


def view_of(study: optuna.Study, budget: Budget | None = None) -> StudyView:
    """The trials of `study`; `budget` are the limits to draw, None for its own."""
    trials = study.get_trials(deepcopy=False)
    trained = [(t, value) for t in trials if is_trained(t) and (value := trial_record(t)["value"]) is not None]
    number, identity = counts(trials), study.user_attrs.get(IDENTITY, {})
    images, epochs = identity.get("data", {}).get("images"), identity.get("epochs")
    note = [
        study.study_name if len(study.study_name) <= 40 else f"{study.study_name[:39]}...",
        f"{number['complete']} complete trials, {number['pruned']} stopped early",
        *([f"{images:,} training images, {epochs} epochs, one seed each"] if images and epochs else []),
    ]
    goal = goal_of(study)
    board = goal.leaderboard(trials)
    budget = budget or budget_of(study)
    return StudyView(
        goal=goal,
        trials=trials,
        points=[Point(place, trial, value) for place, (trial, value) in enumerate(trained, start=1)],
        best=board[0] if board else None,
        limits={} if budget is None else budget.limits,
        note="; ".join(note),
    )


def pareto_front(points: Iterable[Point], *, maximize: bool, cost: str = "params") -> list[Point]:
    """Those that are better than every one that costs less or as much, the one of least cost first."""
    sign = -1 if maximize else 1
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost(cost), sign * point.value, point.trial.number)):
        if not front or sign * point.value < sign * front[-1].value:
            front.append(point)
    return front


def draw_optimization_history(view: StudyView) -> Figure:
    """The value of every trained trial, in the order in which they began, and the best so far."""
    figure, axes = new_axes()
    best = view.best_so_far([point.value for point in view.complete])
    places = [point.place for point in view.complete]
    draw_points(axes, view, lambda point: point.place)
    label = f"{view.best_is} so far ({view.best_label})"
    ends = [*places, len(view.points)], [*best, best[-1]]
    axes.step(*ends, where="post", color=BLACK, linewidth=1.2, label=label, gid="best_so_far")
    show_places(axes)
    return finish(figure, axes, view, "Optimisation history")


def draw_cost_vs_metric(view: StudyView, cost: str = "params") -> Figure:
    """The value of every trained trial over what its network costs, the limit, and what is not dominated in these two.

    Where there is a target it is drawn too.
    """
    complete = view.complete
    view.check_counted(cost)
    figure, axes = new_axes()
    draw_points(axes, view, lambda point: point.cost(cost))
    front = pareto_front(complete, maximize=view.maximize, cost=cost)
    xs, ys = [point.cost(cost) for point in front], [point.value for point in front]
    axes.step(xs, ys, where="post", color=GREEN, linewidth=1.2, gid="pareto_front")
    rings: dict[str, Any] = {"color": GREEN, "markersize": 9, "markerfacecolor": "none"}
    of = " of these two" if isinstance(view.goal, ParetoFront) else ""
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
    finish(figure, axes, view, f"{name[0].upper()}{name[1:]} against {view.objective}")
    figure.draw_without_rendering()
    number_points(axes, front, [(point.cost(cost), point.value) for point in front], maximize=view.maximize)
    return figure


def draw_intermediate_values(view: StudyView) -> Figure:
    """The value of every trained trial over its epochs; those stopped early end with a cross."""
    lines = {
        point.trial.number: sorted(point.trial.intermediate_values.items())
        for point in view.points
        if point.trial.intermediate_values
    }
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
    for point in sorted(view.points, key=lambda point: (point.trial is view.best, not point.complete)):
        if line := lines.get(point.trial.number):
            kind = "best" if point.trial is view.best else "complete" if point.complete else "stopped"
            axes.plot(*zip(*line, strict=True), **styles[kind], label=labels.pop(kind, None), gid=kind)
    _draw_target(axes, view)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if view.maximize:
        values = [value for line in lines.values() for _, value in line]
        widen_towards_one(axes, values if view.target is None else [*values, view.target])
    return finish(figure, axes, view, "Intermediate values")


def draw_incumbent_over_time(view: StudyView) -> Figure:
    """The best so far over the time since the first trial began, less the pauses between two searches."""
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
    return finish(figure, axes, view, "Best so far over time")


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


def _draw_target(axes: Axes, view: StudyView) -> None:
    if view.target is not None:
        axes.axhline(view.target, color=GREEN, linestyle="--", label=f"target {view.target:g}", gid="target")


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
