"""What is measured of a replayed search, and of the searches of a contender. Pure functions."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from .clock import Trial

CHANCE = 0.1
"""The accuracy of a search without a complete trial: that of guessing among ten classes."""
T_95 = {5: 2.57, 10: 2.23, 15: 2.13, 19: 2.09, 30: 2.04}
"""Student's t for 95 % from this many degrees of freedom; the next lower one is taken."""


@final
@dataclass(frozen=True)
class Step:
    """The best network of a search changed.

    Attributes:
        at: epochs of the search.
        seconds: simulated.
        observed: its accuracy as the search saw it.
        expected: its accuracy without noise.
    """

    at: int
    seconds: float
    observed: float
    expected: float


@final
@dataclass(frozen=True)
class Search:
    """One replayed search.

    Attributes:
        contender, seed: which one.
        trained, complete, refused: trials that were trained in part or wholly, those that trained to their last epoch,
            and proposals that were not trained.
        epochs: that were trained.
        seconds: simulated, of all trainings.
        replaying: seconds that the replay itself took, of the processor: the proposals.
        steps: the best network, from the first complete trial on.
        end: the hyperparameters of the last one; None where no trial was complete.
    """

    contender: str
    seed: int
    trained: int
    complete: int
    refused: int
    epochs: int
    seconds: float
    replaying: float
    steps: Sequence[Step]
    end: Mapping[str, Any] | None


def search_from_json(values: Mapping[str, Any]) -> Search:
    """A search from what `asdict` made of it."""
    return Search(**{**values, "steps": [Step(**step) for step in values["steps"]]})


def steps_of(trials: Sequence[Trial]) -> list[Step]:
    """The best network after each trial that changed it: of the complete ones, the one that looked best."""
    steps: list[Step] = []
    for trial in trials:
        if trial.complete and (not steps or trial.observed > steps[-1].observed):
            steps.append(Step(trial.at, trial.seconds, trial.observed, trial.expected))
    return steps


def incumbent_at(search: Search, epochs: float) -> float:
    """The accuracy, without noise, of the network that looked best after so many epochs of the search."""
    known = [step.expected for step in search.steps if step.at <= epochs]
    return known[-1] if known else CHANCE


def epochs_to(search: Search, accuracy: float) -> float:
    """The epochs after which the best network had this accuracy for the first time; infinite for never."""
    return next((float(step.at) for step in search.steps if step.expected >= accuracy), math.inf)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile; values may be infinite.

    Between a finite and an infinite value lies the nearer one, and in the middle the finite one.
    """
    ranked = sorted(values)

    def at(share: float) -> float:
        place = share * (len(ranked) - 1)
        low, high = ranked[math.floor(place)], ranked[math.ceil(place)]
        if math.isinf(high):
            return low if place % 1 <= 0.5 else high
        return low + (high - low) * (place % 1)

    return at(0.25), at(0.5), at(0.75)


def difference(searches: Sequence[Search], others: Sequence[Search], epochs: float) -> tuple[float, float] | None:
    """How much better `searches` are than `others`, as `paired` tells it."""
    ours, theirs = ({search.seed: incumbent_at(search, epochs) for search in group} for group in (searches, others))
    return paired(ours, theirs)


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[float, float] | None:
    """The mean of how much more `ours` are than `theirs` of the same seed, and half of its 95 % interval.

    None where fewer than six seeds are in both.
    """
    pairs = [value - theirs[seed] for seed, value in ours.items() if seed in theirs]
    if len(pairs) - 1 < min(T_95):
        return None
    factor = T_95[max(degrees for degrees in T_95 if degrees <= len(pairs) - 1)]
    return statistics.fmean(pairs), factor * statistics.stdev(pairs) / math.sqrt(len(pairs))
