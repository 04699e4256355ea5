"""What a study is after: the best value of a metric, a Pareto front, or the smallest network that reaches a target."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .attributes import IDENTITY, SCORE, is_trained
from .budget import COSTS, UNITS, Budget, as_budget

Direction = Literal["max", "min"]


Rank = tuple[float, ...]
"""Of two, the smaller is the better one."""


@final
@dataclass(frozen=True)
class Quantity:
    """A metric that the training reports, or one of `COSTS`, and whether it is to be large or small."""

    name: str
    direction: Direction

    @property
    def is_cost(self) -> bool:
        return self.name in COSTS

    @property
    def sign(self) -> int:
        """What makes the smaller one of two values the better one."""
        return -1 if self.direction == "max" else 1


@dataclass(frozen=True)
class Goal(ABC):
    """What a study is after.

    Attributes:
        metric: what the training reports; a trial's score is its value at the last epoch.
    """

    metric: Quantity

    @property
    @abstractmethod
    def quantities(self) -> tuple[Quantity, ...]:
        """What the Optuna study optimises, one for each of its values."""

    @abstractmethod
    def rank(self, score: float, costs: Mapping[str, Any]) -> Rank:
        """Where a network with this score, and these costs by name, stands among others."""

    @abstractmethod
    def description(self) -> dict[str, Any] | None:
        """What identifies the goal besides its metric, JSON-able."""

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs that the study optimises."""
        return tuple(quantity.name for quantity in self.quantities if quantity.is_cost)

    @property
    def directions(self) -> list[str]:
        """Of the study's values, in Optuna's words."""
        return ["maximize" if quantity.direction == "max" else "minimize" for quantity in self.quantities]

    def settings(self) -> dict[str, str]:
        """The goal as text, by name, for a record of what a search was asked to do; empty for the best metric."""
        return {}

    @property
    def target(self) -> float | None:
        """The value that the metric has to reach; None where the best there is will do."""
        return None

    @property
    def has_winner(self) -> bool:
        """Whether one trial is the best of all; of a front it is for the user to choose."""
        return True

    @property
    def compares_by_metric(self) -> bool:
        """Whether trials are compared by the metric alone, so that a pruner can do so while they train."""
        return False

    @property
    def value_names(self) -> list[str] | None:
        """Names of the study's values, for Optuna's own figures; None where the one value is the metric."""
        return [quantity.name for quantity in self.quantities]

    @property
    def order(self) -> tuple[str, Literal["maximize", "minimize"]]:
        """The recorded metric that puts the trials of a table in order, and in which way: "value" is the score."""
        return "value", "maximize" if self.metric.direction == "max" else "minimize"

    def note(self, score: float, costs: Mapping[str, Any]) -> str:
        """What to tell of a trained trial besides its score, in a few words; empty where that is all."""
        return ""

    def recorded(
        self, state: str, score: float | None, costs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Metrics and tags of one trial that are about this goal, once it has ended in `state` (of Optuna)."""
        return {}, {}

    def marks(self, trials: Iterable[FrozenTrial]) -> dict[int, str]:
        """The value of the tag `mark` for each trained trial by number, where that takes a look at all of them."""
        return {}

    @property
    def mark(self) -> str | None:
        """What sets `results` apart from the other trials, in a word; None where every complete trial is one."""
        return None

    def unmet(self) -> str:
        """Why a study with this goal has no result yet."""
        return "none is complete"

    def constraints(self, score: float) -> dict[str, float]:
        """How far `score` is from what is demanded, in the form of Optuna's constraints: above 0 it is not met."""
        return {}

    def is_met(self, score: float) -> bool:
        """Whether a trial with this score is a result of the study at all."""
        return all(violation <= 0 for violation in self.constraints(score).values())

    def ranked(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """The complete trials, best first; of equals the one with fewer parameters, then the earlier one."""
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and math.isfinite(score_of(trial))]

        def place(trial: FrozenTrial) -> tuple[Rank, float, int]:
            attributes = trial.user_attrs
            return self.rank(score_of(trial), attributes), attributes.get("params") or math.inf, trial.number

        return sorted(complete, key=place)

    def leaderboard(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """The complete trials that are worth a look, best first."""
        return self.ranked(trials)

    def results(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """Those of the leaderboard that meet the goal."""
        return [trial for trial in self.leaderboard(trials) if self.is_met(score_of(trial))]


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

    def rank(self, score: float, costs: Mapping[str, Any]) -> Rank:
        return (self.metric.sign * score,)

    def description(self) -> None:
        return None


@final
@dataclass(frozen=True)
class ParetoFront(Goal):
    """The networks of which none is better in one of `parts` without being worse in another.

    Attributes:
        parts: at least two, the metric among them.
    """

    parts: tuple[Quantity, ...]

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return self.parts

    def rank(self, score: float, costs: Mapping[str, Any]) -> Rank:
        return (self.metric.sign * score,)

    @property
    def mark(self) -> str:
        return "front"

    @property
    def has_winner(self) -> bool:
        return False

    def marks(self, trials: Iterable[FrozenTrial]) -> dict[int, str]:
        trials = list(trials)
        front = {trial.number for trial in self.results(trials)}
        return {trial.number: "yes" if trial.number in front else "no" for trial in trials if is_trained(trial)}

    def settings(self) -> dict[str, str]:
        return {"pareto": ", ".join(part.name for part in self.parts)}

    def description(self) -> dict[str, Any]:
        return {"pareto": [[part.name, part.direction] for part in self.parts]}

    def leaderboard(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """The front, in the order of the metric, the best first; of networks that are equal in all parts the first."""
        front: list[FrozenTrial] = []
        # In this order whoever is as good in every part comes first, so that only the front has to be looked at.
        for trial in sorted(self.ranked(trials), key=self._place):
            if not any(_is_as_good(self._place(other), self._place(trial)) for other in front):
                front.append(trial)
        return front

    def _place(self, trial: FrozenTrial) -> Rank:
        """The parts of a complete trial, the metric first, the smaller the better."""
        values = dict(zip(self.parts, trial.values, strict=True))
        return tuple(part.sign * values[part] for part in (self.metric, *self.parts))


@final
@dataclass(frozen=True)
class SmallestNetwork(Goal):
    """The network that costs least among those whose metric reaches the target.

    Attributes:
        cost: one of `COSTS`.
        reach: the value of the metric that must be reached.
    """

    cost: str
    reach: float

    @property
    def target(self) -> float:
        return self.reach

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (Quantity(self.cost, "min"),)

    @property
    def mark(self) -> str:
        return "reached"

    @property
    def order(self) -> tuple[str, Literal["maximize", "minimize"]]:
        return self._cost_if_reached, "minimize"

    @property
    def _cost_if_reached(self) -> str:
        """The metric that orders the trials that reach the target; the others do not have it."""
        return f"{self.cost}_if_reached"

    def note(self, score: float, costs: Mapping[str, Any]) -> str:
        if self.is_met(score):
            return f"reaches {self.target:g} with {costs[self.cost]:,} {UNITS[self.cost]}"
        return f"{self.distance(score):.4f} short of {self.target:g}"

    def recorded(
        self, state: str, score: float | None, costs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        if score is None:
            return {}, {}
        if state != "COMPLETE" or not self.is_met(score):
            return {}, {self.mark: "no"}
        return {self._cost_if_reached: costs[self.cost]}, {self.mark: "yes"}

    def distance(self, score: float) -> float:
        """How far `score` falls short of the target; 0 and below where it is reached."""
        return self.metric.sign * (score - self.target)

    def unmet(self) -> str:
        return f"none reached {self.metric.name} {self.target:g}"

    def constraints(self, score: float) -> dict[str, float]:
        return {self.metric.name: self.distance(score)}

    def rank(self, score: float, costs: Mapping[str, Any]) -> Rank:
        """First those that reach the target, the smallest first; then the others, the closest first."""
        distance, cost = self.distance(score), float(costs[self.cost])
        return (0.0, cost, distance) if distance <= 0 else (1.0, distance, cost)

    def settings(self) -> dict[str, str]:
        return {"minimize": self.cost, "reach": json.dumps({self.metric.name: self.target})}

    def description(self) -> dict[str, Any]:
        return {"minimize": self.cost, "reach": [self.metric.name, self.target]}


def goal_of(study: optuna.Study) -> Goal:
    """The goal that `study` was made with; that of another program's study as far as Optuna knows it."""
    identity = study.user_attrs.get(IDENTITY)
    if identity is None:
        names = study.metric_names or [f"value {index}" for index in range(len(study.directions))]
        parts = tuple(map(_quantity, names, study.directions))
        return BestMetric(parts[0]) if len(parts) == 1 else ParetoFront(parts[0], parts)
    metric = Quantity(*identity["objective"][:2])
    match identity.get("goal"):
        case {"pareto": parts}:
            return ParetoFront(metric, tuple(Quantity(*part) for part in parts))
        case {"minimize": cost, "reach": [_, target]}:
            return SmallestNetwork(metric, cost, target)
        case _:
            return BestMetric(metric)


def budget_of(study: optuna.Study) -> Budget | None:
    """The limits that `study` was made with."""
    return as_budget(study.user_attrs.get(IDENTITY, {}).get("budget"))


def score_of(trial: FrozenTrial) -> float:
    """The metric of a complete trial at its last epoch."""
    return float(trial.user_attrs[SCORE] if SCORE in trial.user_attrs else trial.values[0])


def _quantity(name: str, direction: StudyDirection) -> Quantity:
    return Quantity(name, "max" if direction == StudyDirection.MAXIMIZE else "min")


def _is_as_good(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
