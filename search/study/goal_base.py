"""What every goal of a study has in common."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

from optuna.trial import FrozenTrial, TrialState

from ..messages import figure
from .attributes import SCORE
from .budget import COSTS
from .directions import Direction

Rank = tuple[float, ...]
"""Smaller is better."""


@final
@dataclass(frozen=True)
class Quantity:
    """A metric that the training reports, or one of `COSTS`, and whether to maximise or minimise it."""

    name: str
    direction: Direction

    @property
    def is_cost(self) -> bool:
        return self.name in COSTS

    @property
    def sign(self) -> int:
        """The factor that makes the smaller of two values the better one."""
        return -1 if self.direction == "max" else 1


@dataclass(frozen=True)
class Goal(ABC):
    """What a study searches for.

    Methods that take `costs` accept any mapping that has the costs by name, such as the attributes of a trial.

    Attributes:
        metric: what the training reports; the score of a trial is the metric's value at its last epoch.
    """

    metric: Quantity

    # What the study optimises

    @property
    @abstractmethod
    def quantities(self) -> tuple[Quantity, ...]:
        """What the Optuna study optimises, one quantity for each of its values."""

    @property
    def costs(self) -> tuple[str, ...]:
        """The names of the costs among `quantities`."""
        return tuple(quantity.name for quantity in self.quantities if quantity.is_cost)

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """Of each of `quantities`, "maximize" or "minimize", as Optuna expects it."""
        return ["maximize" if quantity.direction == "max" else "minimize" for quantity in self.quantities]

    @property
    def value_names(self) -> list[str] | None:
        """Names for the study's values in Optuna's own plots; None if the only value is the metric."""
        return [quantity.name for quantity in self.quantities]

    @property
    def compares_by_metric(self) -> bool:
        """Whether the metric alone decides between trials, so that a pruner can compare them during training."""
        return False

    @property
    def has_winner(self) -> bool:
        """Whether there is one best trial. A front has none: the user chooses."""
        return True

    @property
    def target(self) -> float | None:
        """The value that the metric has to reach; None if there is no such value."""
        return None

    # Records

    @abstractmethod
    def description(self) -> dict[str, Any] | None:
        """The goal without its metric, in a form that JSON can hold; `described_goal` reads it back."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The goal as text, by the names of the arguments that ask for it; empty for the best metric."""

    @property
    def order(self) -> tuple[str, Literal["maximize", "minimize"]]:
        """The recorded metric that a table of trials is sorted by, and its direction; "value" is the score."""
        return "value", "maximize" if self.metric.direction == "max" else "minimize"

    def recorded(
        self, state: str, score: float | None, costs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The metrics and tags that this goal adds to the record of a trial that ended in the Optuna state `state`."""
        return {}, {}

    @property
    def mark(self) -> str | None:
        """The name of the tag or column that tells `results` from other trials; None if all complete are."""
        return None

    def marks(self, trials: Iterable[FrozenTrial]) -> dict[int, str]:
        """The value of `mark` for each trained trial, by trial number, if it depends on the other trials."""
        return {}

    # Ranking

    @abstractmethod
    def rank(self, score: float, costs: Mapping[str, Any]) -> Rank:
        """The rank of a network with this score and these costs."""

    def constraints(self, score: float) -> dict[str, float]:
        """How far `score` violates each demand, as Optuna's constraints: a value above 0 means not met."""
        return {}

    def is_met(self, score: float) -> bool:
        """Whether a trial with this score counts as a result of the study."""
        return all(violation <= 0 for violation in self.constraints(score).values())

    def ranked(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """The complete trials with a finite score, best first; ties: fewer parameters first, then the earlier trial.

        A trial that another program added has no score of its own, but the values of the study. It is left out where
        the first of these is not the metric.
        """
        is_first = self.quantities[0] == self.metric
        complete = [
            trial
            for trial in trials
            if trial.state == TrialState.COMPLETE
            and (is_first or SCORE in trial.user_attrs)
            and math.isfinite(score_of(trial))
        ]

        def place(trial: FrozenTrial) -> tuple[Rank, float, int]:
            attributes = trial.user_attrs
            return self.rank(score_of(trial), attributes), attributes.get("params") or math.inf, trial.number

        return sorted(complete, key=place)

    def leaderboard(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """The complete trials to show to the user, best first."""
        return self.ranked(trials)

    def results(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """The trials of the leaderboard that meet the goal."""
        return [trial for trial in self.leaderboard(trials) if self.is_met(score_of(trial))]

    # In words

    @property
    @abstractmethod
    def aim(self) -> str:
        """The goal as a noun phrase, such as "val_accuracy"."""

    @property
    @abstractmethod
    def selection(self) -> str:
        """How one network is selected, such as "by val_accuracy"."""

    @abstractmethod
    def selected(self, count: int) -> str:
        """The `count` best trials of the search, such as "the best 3 of them"."""

    @abstractmethod
    def title(self, board: Sequence[FrozenTrial], shown: int) -> str:
        """The title of a table of the first `shown` trials of the leaderboard `board`."""

    def superlative(self, score: float) -> str:
        """What makes the first trial of the leaderboard the best, given its score: "best"."""
        return "best"

    def reason(self, score: float) -> str:
        """Why the first of several retrained networks was selected, given its mean score: "by the mean"."""
        return "by the mean"

    def amounts(self, score: float, costs: Mapping[str, Any]) -> str:
        """The numbers that the goal compares, such as "0.9912"."""
        return figure(score, self.metric.name)

    def note(self, score: float, costs: Mapping[str, Any]) -> str:
        """A remark on a trained trial in addition to its score, in a few words; may be empty."""
        return ""

    def unmet(self) -> str:
        """Why a study with this goal has no result yet."""
        return "none is complete"


def score_of(trial: FrozenTrial) -> float:
    """The metric of a complete trial at its last epoch."""
    return float(trial.user_attrs[SCORE] if SCORE in trial.user_attrs else trial.values[0])


def enumeration(names: Sequence[str]) -> str:
    """At least two names as in a sentence: "accuracy, loss and parameters"."""
    return f"{', '.join(names[:-1])} and {names[-1]}"
