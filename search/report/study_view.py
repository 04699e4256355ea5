"""The data of a study that its figures show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from ..datasets.task import unit_of
from ..errors import CannotDraw
from ..messages import counted
from ..study.attributes import IDENTITY, is_trained
from ..study.budget import UNITS, Budget
from ..study.goal import Goal, budget_of, goal_of, score_of
from ..study.records import counts, trial_record


@final
@dataclass(frozen=True)
class Point:
    """A trained trial, its place among the trained trials (from 1), and the metric at its last epoch."""

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
    """The data of a study that its figures show, read once.

    Attributes:
        goal: the goal of the study.
        trials: all trials, including refused and failed ones.
        points: the trained trials, by number.
        best: the first trial of the leaderboard; None if the leaderboard is empty.
        limits: the limits on the networks, by the name of the cost.
        note: the data behind the figures, in one line.
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
        """The complete trials, at least one; raises CannotDraw if there is none."""
        points = [point for point in self.points if point.complete]
        if not points:
            raise CannotDraw("no trial is complete yet")
        return points

    @property
    def best_is(self) -> str:
        """What makes the best trial the best, such as "smallest that reaches 0.99"; empty if there is none."""
        return "" if self.best is None else self.goal.superlative(score_of(self.best))

    @property
    def best_label(self) -> str:
        """The best trial with its number and what the goal compares; empty if there is none."""
        if self.best is None:
            return ""
        return f"trial {self.best.number}: {self.goal.amounts(score_of(self.best), self.best.user_attrs)}"

    def check_counted(self, cost: str) -> None:
        """Raise CannotDraw unless `cost` is known for every trained network."""
        if any(point.trial.user_attrs.get(cost) is None for point in self.points):
            raise CannotDraw(f"the {UNITS[cost]} of the networks were not counted")

    def best_so_far(self, values: Sequence[float]) -> list[float]:
        """For each of `values` the best up to it."""
        return list((np.maximum if self.maximize else np.minimum).accumulate(values))


def view_of(study: optuna.Study, budget: Budget | None = None) -> StudyView:
    """Read `study`. `budget` gives the limits to draw; None means those of the study."""
    trials = study.get_trials(deepcopy=False)
    trained = [(t, value) for t in trials if is_trained(t) and (value := trial_record(t)["value"]) is not None]
    number, identity = counts(trials), study.user_attrs.get(IDENTITY, {})
    data = identity.get("data", {})
    images, unit, epochs = data.get("images"), _unit(data), identity.get("epochs")
    note = [
        study.study_name if len(study.study_name) <= 40 else f"{study.study_name[:39]}...",
        f"{counted(number['complete'], 'complete trial')}, {number['pruned']} stopped early",
        *([f"{images:,} training {unit}, {counted(epochs, 'epoch')}, one seed each"] if images and epochs else []),
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


def _unit(data: Mapping[str, Any]) -> str:
    # A study of 0.1.0 does not tell the shape: it is of images.
    return unit_of(data["input_shape"]) if "input_shape" in data else "images"


def pareto_front(points: Iterable[Point], *, maximize: bool, cost: str = "params") -> list[Point]:
    """The points that are better than all points of the same or lower cost, lowest cost first."""
    sign = -1 if maximize else 1
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost(cost), sign * point.value, point.trial.number)):
        if not front or sign * point.value < sign * front[-1].value:
            front.append(point)
    return front
