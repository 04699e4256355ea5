"""The goals of a study: the best value of a metric, a Pareto front, or the smallest network that reaches a target."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from ..messages import counted, figure
from .attributes import IDENTITY, is_trained
from .budget import SHORT_NAMES, UNITS, Budget, as_budget
from .goal_base import Goal, Quantity, Rank, enumeration, score_of

__all__ = [
    "BestMetric",
    "Goal",
    "ParetoFront",
    "Quantity",
    "Rank",
    "SmallestNetwork",
    "budget_of",
    "described_goal",
    "goal_of",
    "score_of",
]


@final
@dataclass(frozen=True)
class BestMetric(Goal):
    """The best value of the metric."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (self.metric,)

    @property
    def compares_by_metric(self) -> bool:
        return True

    @property
    def value_names(self) -> None:
        return None

    def description(self) -> None:
        return None

    def settings(self) -> dict[str, str]:
        return {}

    def rank(self, score: float, costs: Mapping[str, Any]) -> Rank:
        return (self.metric.sign * score,)

    @property
    def aim(self) -> str:
        return self.metric.name

    @property
    def selection(self) -> str:
        return f"by {self.metric.name}"

    def selected(self, count: int) -> str:
        return f"the best {count} of them"

    def title(self, board: Sequence[FrozenTrial], shown: int) -> str:
        return f"best {shown} of {counted(len(board), 'complete trial')}"


@final
@dataclass(frozen=True)
class ParetoFront(Goal):
    """The networks that no other network beats in one of `parts` while being as good in all others.

    Attributes:
        parts: at least two quantities, one of them the metric.
    """

    parts: tuple[Quantity, ...]

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return self.parts

    @property
    def has_winner(self) -> bool:
        return False

    def description(self) -> dict[str, Any]:
        return {"pareto": [[part.name, part.direction] for part in self.parts]}

    def settings(self) -> dict[str, str]:
        return {"pareto": self._names}

    @property
    def _names(self) -> str:
        return ", ".join(part.name for part in self.parts)

    @property
    def mark(self) -> str:
        return "front"

    def marks(self, trials: Iterable[FrozenTrial]) -> dict[int, str]:
        trials = list(trials)
        front = {trial.number for trial in self.results(trials)}
        return {trial.number: "yes" if trial.number in front else "no" for trial in trials if is_trained(trial)}

    def rank(self, score: float, costs: Mapping[str, Any]) -> Rank:
        return (self.metric.sign * score,)

    def leaderboard(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """The front, sorted by the metric, best first; of trials that are equal in all parts only the first."""
        front: list[FrozenTrial] = []
        # Sorted by place, a trial that beats another comes before it: comparing with the front so far is enough.
        for trial in sorted(self.ranked(trials), key=self._place):
            if not any(_is_as_good(self._place(other), self._place(trial)) for other in front):
                front.append(trial)
        return front

    def _place(self, trial: FrozenTrial) -> Rank:
        """The values of a complete trial, the metric first; smaller is better."""
        values = dict(zip(self.parts, trial.values, strict=True))
        return tuple(part.sign * values[part] for part in (self.metric, *self.parts))

    @property
    def aim(self) -> str:
        return "coming close to the front"

    @property
    def selection(self) -> str:
        return f"from a front, by {self.metric.name}"

    def selected(self, count: int) -> str:
        parts = enumeration([UNITS.get(part.name, part.name) for part in self.parts])
        return f"{_the(count)} with the best {self.metric.name} on the front of {parts}"

    def title(self, board: Sequence[FrozenTrial], shown: int) -> str:
        return f"{shown} of {counted(len(board), 'trial')} on the front of {self._names}"

    def superlative(self, score: float) -> str:
        return f"best {self.metric.name}"


@final
@dataclass(frozen=True)
class SmallestNetwork(Goal):
    """The network with the lowest cost among those whose metric reaches the target.

    Attributes:
        cost: one of `COSTS`.
        reach: the value that the metric must reach.
    """

    cost: str
    reach: float

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (Quantity(self.cost, "min"),)

    @property
    def target(self) -> float:
        return self.reach

    def description(self) -> dict[str, Any]:
        return {"minimize": self.cost, "reach": [self.metric.name, self.target]}

    def settings(self) -> dict[str, str]:
        return {"minimize": self.cost, "reach": json.dumps({self.metric.name: self.target})}

    @property
    def order(self) -> tuple[str, Literal["maximize", "minimize"]]:
        return self._cost_if_reached, "minimize"

    @property
    def _cost_if_reached(self) -> str:
        """The recorded metric that sorts the trials that reach the target; other trials do not have it."""
        return f"{self.cost}_if_reached"

    def recorded(
        self, state: str, score: float | None, costs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        if score is None:
            return {}, {}
        if state != "COMPLETE" or not self.is_met(score):
            return {}, {self.mark: "no"}
        return {self._cost_if_reached: costs[self.cost]}, {self.mark: "yes"}

    @property
    def mark(self) -> str:
        return "reached"

    def rank(self, score: float, costs: Mapping[str, Any]) -> Rank:
        """First the networks that reach the target, by cost; then the others, by their distance from it."""
        distance, cost = self.distance(score), float(costs[self.cost])
        return (0.0, cost, distance) if distance <= 0 else (1.0, distance, cost)

    def distance(self, score: float) -> float:
        """How far `score` is from the target; 0 or less if it is reached."""
        return self.metric.sign * (score - self.target)

    def constraints(self, score: float) -> dict[str, float]:
        return {self.metric.name: self.distance(score)}

    @property
    def aim(self) -> str:
        return f"{self._demand} with least {self.cost}"

    @property
    def _demand(self) -> str:
        return f"{self.metric.name} {self.target:g}"

    @property
    def selection(self) -> str:
        return f"by the fewest {UNITS[self.cost]}, of those that reach {self._demand}"

    def selected(self, count: int) -> str:
        return f"{_the(count)} with the fewest {UNITS[self.cost]} among those that reached {self._demand}"

    def title(self, board: Sequence[FrozenTrial], shown: int) -> str:
        reached = sum(self.is_met(score_of(trial)) for trial in board)
        verb = "reaches" if reached == 1 else "reach"
        order = f"least {SHORT_NAMES[self.cost]} first" if reached else "the closest first"
        return f"{shown} of {counted(len(board), 'complete trial')}; {reached} {verb} {self._demand}, {order}"

    def superlative(self, score: float) -> str:
        return f"smallest that reaches {self.target:g}" if self.is_met(score) else f"closest to {self.target:g}"

    def reason(self, score: float) -> str:
        if self.is_met(score):
            return f"the one with the fewest {UNITS[self.cost]} whose mean reaches {self.target:g}"
        return f"the one whose mean comes closest to {self.target:g}"

    def amounts(self, score: float, costs: Mapping[str, Any]) -> str:
        return f"{figure(score, self.metric.name)}, {self._amount(costs)}"

    def _amount(self, costs: Mapping[str, Any]) -> str:
        return f"{costs[self.cost]:,} {UNITS[self.cost]}"

    def note(self, score: float, costs: Mapping[str, Any]) -> str:
        if self.is_met(score):
            return f"reaches {self.target:g} with {self._amount(costs)}"
        beyond = "short of" if self.metric.direction == "max" else "above"
        return f"{figure(self.distance(score), self.metric.name)} {beyond} {self.target:g}"

    def unmet(self) -> str:
        return f"none reached {self._demand}"


def described_goal(metric: Quantity, description: Mapping[str, Any] | None) -> Goal:
    """The goal with this metric and this `Goal.description`."""
    match description:
        case {"pareto": parts}:
            return ParetoFront(metric, tuple(Quantity(*part) for part in parts))
        case {"minimize": cost, "reach": [_, target]}:
            return SmallestNetwork(metric, cost, target)
        case _:
            return BestMetric(metric)


def goal_of(study: optuna.Study) -> Goal:
    """The goal that `study` was created with; of another program's study, what Optuna knows about it."""
    identity = study.user_attrs.get(IDENTITY)
    if identity is not None:
        return described_goal(Quantity(*identity["objective"][:2]), identity.get("goal"))
    names = study.metric_names or [f"value {index}" for index in range(len(study.directions))]
    parts = tuple(map(_quantity, names, study.directions))
    return BestMetric(parts[0]) if len(parts) == 1 else ParetoFront(parts[0], parts)


def budget_of(study: optuna.Study) -> Budget | None:
    """The limits that `study` was created with."""
    return as_budget(study.user_attrs.get(IDENTITY, {}).get("budget"))


def _quantity(name: str, direction: StudyDirection) -> Quantity:
    return Quantity(name, "max" if direction == StudyDirection.MAXIMIZE else "min")


def _is_as_good(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(mine <= theirs for mine, theirs in zip(one, other, strict=True))


def _the(count: int) -> str:
    return "the one" if count == 1 else f"the {count}"
