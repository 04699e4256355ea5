"""The trials of a study drawn: over their order, their size, their epochs and time.

Only trained trials are shown: refused proposals stand in the study as PRUNED trials, but say nothing of accuracy.
Optuna's own plots are not used: they change matplotlib's style for the whole process, and do not set apart what was
stopped early.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, final

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox
from optuna.trial import FrozenTrial, TrialState

from .figures import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    CannotDraw,
    heading,
    legend_below,
    new_axes,
    outer_fence,
    widen_towards_one,
)
from .records import counts, leaderboard, trial_record
from .study import IDENTITY, INTERRUPTED, LAST_SEEN, REASON, is_maximized, is_trained

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

    @property
    def params(self) -> int:
        return self.trial.user_attrs["params"]


@final
@dataclass(frozen=True)
class StudyView:
    """A study as its figures see it, read once.

    Attributes:
        objective: the metric's name.
        trials: every one, refused and failed ones too.
        points: the trained ones, by number.
        best: the complete trial with the best value; None when none is complete.
        note: what the figures rest on.
    """

    objective: str
    maximize: bool
    trials: Sequence[FrozenTrial]
    points: Sequence[Point]
    best: FrozenTrial | None
    note: str

    @property
    def complete(self) -> list[Point]:
        """At least one; raises CannotDraw when there is none."""
        points = [point for point in self.points if point.complete]
        if not points:
            raise CannotDraw("no trial is complete yet")
        return points

    @property
    def best_label(self) -> str:
        return f"trial {self.best.number}: {self.best.value:.4f}" if self.best else ""

    def best_so_far(self, values: Sequence[float]) -> list[float]:
        """The best of `values` up to each."""
        return list((np.maximum if self.maximize else np.minimum).accumulate(values))


def view_of(study: optuna.Study, objective: str) -> StudyView:
    """The trials of `study`, whose metric is called `objective`."""
    trials = study.get_trials(deepcopy=False)
    trained = [(t, value) for t in trials if is_trained(t) and (value := trial_record(t)["value"]) is not None]
    number, identity = counts(trials), study.user_attrs.get(IDENTITY, {})
    images, epochs = identity.get("data", {}).get("images"), identity.get("epochs")
    note = [
        study.study_name if len(study.study_name) <= 40 else f"{study.study_name[:39]}...",
        f"{number['complete']} complete trials, {number['pruned']} stopped early",
        *([f"{images:,} training images, {epochs} epochs, one seed each"] if images and epochs else []),
    ]
    board = leaderboard(trials, maximize=is_maximized(study))
    return StudyView(
        objective=objective,
        maximize=is_maximized(study),
        trials=trials,
        points=[Point(place, trial, value) for place, (trial, value) in enumerate(trained, start=1)],
        best=board[0] if board else None,
        note="; ".join(note),
    )


def pareto_front(points: Iterable[Point], *, maximize: bool) -> list[Point]:
    """Those that are better than every smaller or equally large one, smallest first."""
    sign = -1 if maximize else 1
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.params, sign * point.value, point.trial.number)):
        if not front or sign * point.value < sign * front[-1].value:
            front.append(point)
    return front


def draw_optimization_history(view: StudyView) -> Figure:
    """The value of every trained trial, in the order in which they began, and the best so far."""
    figure, axes = new_axes()
    best = view.best_so_far([point.value for point in view.complete])
    places = [point.place for point in view.complete]
    _draw_points(axes, view, lambda point: point.place)
    label = f"best so far ({view.best_label})"
    ends = [*places, len(view.points)], [*best, best[-1]]
    axes.step(*ends, where="post", color=BLACK, linewidth=1.2, label=label, gid="best_so_far")
    axes.set_xlabel("trained trial, in the order in which they began")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return _finish(figure, axes, view, "Optimisation history")


def draw_params_vs_accuracy(view: StudyView, budget: int | None) -> Figure:
    """The value of every trained trial over its parameters, with the budget and the front of what is not dominated."""
    complete = view.complete
    if any("params" not in point.trial.user_attrs for point in view.points):
        raise CannotDraw("the parameters of the networks were not counted")
    figure, axes = new_axes()
    _draw_points(axes, view, lambda point: point.params)
    front = pareto_front(complete, maximize=view.maximize)
    xs, ys = [point.params for point in front], [point.value for point in front]
    axes.step(xs, ys, where="post", color=GREEN, linewidth=1.2, gid="pareto_front")
    rings: dict[str, Any] = {"color": GREEN, "markersize": 9, "markerfacecolor": "none"}
    axes.plot(xs, ys, "o", **rings, label="Pareto front, with trial numbers")
    if budget is not None:
        axes.axvline(budget, color=BLACK, linestyle="--", label=f"budget {budget:,}", gid="budget")
    largest = max(budget or 1, *(point.params for point in view.points))
    axes.set_xlim(-0.05 * largest, 1.05 * largest)
    axes.set_xlabel("parameters")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    _finish(figure, axes, view, f"Parameters against {view.objective}")
    _number_points(figure, axes, front, maximize=view.maximize)
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
    labels = {"complete": "complete", "stopped": "stopped early, at the cross", "best": f"best ({view.best_label})"}
    for point in sorted(view.points, key=lambda point: (point.trial is view.best, not point.complete)):
        if line := lines.get(point.trial.number):
            kind = "best" if point.trial is view.best else "complete" if point.complete else "stopped"
            axes.plot(*zip(*line, strict=True), **styles[kind], label=labels.pop(kind, None), gid=kind)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if view.maximize:
        widen_towards_one(axes, (value for line in lines.values() for _, value in line))
    return _finish(figure, axes, view, "Intermediate values")


def draw_incumbent_over_time(view: StudyView) -> Figure:
    """The best so far over the time since the first trial began, less the pauses between two searches."""
    complete = view.complete
    seconds, pauses = _search_clock(view.trials)
    points = sorted(complete, key=lambda point: seconds(point.trial))
    last = seconds(points[-1].trial)
    unit, length = ("hours", 3600) if last > 7200 else ("minutes", 60) if last > 120 else ("seconds", 1)
    times, values = [seconds(point.trial) / length for point in points], [point.value for point in points]
    figure, axes = new_axes()
    _draw_points(axes, view, lambda point: seconds(point.trial) / length, complete_only=True)
    label = f"best so far ({view.best_label})"
    axes.step(times, view.best_so_far(values), where="post", color=BLACK, linewidth=1.2, label=label, gid="incumbent")
    axes.set_xlim(0)
    cut = f", {pauses} pause{'s' if pauses > 1 else ''} between searches cut out" if pauses else ""
    axes.set_xlabel(f"wall-clock time in {unit}{cut}")
    return _finish(figure, axes, view, "Best so far over time")


def _draw_points(axes: Axes, view: StudyView, x: Callable[[Point], float], *, complete_only: bool = False) -> None:
    """A point for every trained trial.

    The vertical axis ends where the values of complete trials become outliers, so that the good ones can be told apart;
    points beyond it are marked at its end, and counted in the legend.
    """
    limit = outer_fence([point.value for point in view.complete], maximize=view.maximize)
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
    margin = 0.05 * (max(kept) - min(kept)) or 0.01 * abs(kept[0]) or 0.01
    axes.set_ylim(min(kept) - margin, max(kept) + margin)


def _finish(figure: Figure, axes: Axes, view: StudyView, title: str) -> Figure:
    axes.set_ylabel(view.objective, labelpad=8, parse_math=False)
    heading(figure, title, view.note)
    legend_below(figure, axes)
    return figure


def _number_points(figure: Figure, axes: Axes, front: Sequence[Point], *, maximize: bool) -> None:
    """The trial's number beside each point of `front`, on the side where no trial lies, where there is room for it."""
    up = 1 if maximize else -1
    figure.canvas.draw()  # only a figure that is laid out knows where its points are
    rings = axes.transData.transform([(point.params, point.value) for point in front])
    taken: list[Bbox] = []
    for point, (x, y) in zip(reversed(front), reversed(rings), strict=True):
        label = axes.annotate(
            str(point.trial.number),
            (point.params, point.value),
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
