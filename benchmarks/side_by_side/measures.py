"""What is measured of a search, from the ends of its proposals and epochs. Pure functions; times are in seconds."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

TRAINED = ("complete", "stopped_early")
"""Outcomes of a proposal that was trained: to its end, or until a pruner stopped it."""
REJECTED = ("over_budget", "infeasible", "duplicate")
"""Outcomes of a proposal that was not trained."""
RUNNING = math.inf
"""The end of a proposal that was still running at the end of its search."""

Point = tuple[float, float]
"""Seconds since the begin of the search, and the best validation accuracy by then."""


@final
@dataclass(frozen=True)
class Proposal:
    """A proposal that ended.

    Attributes:
        outcome: one of `TRAINED` or `REJECTED`, or "failed".
        ended: seconds since the begin of the search, or `RUNNING`.
        seconds: from its request to its recorded end; None where that is not known.
        score: its validation accuracy, as the contender itself scores it; only of a complete one.
        params: of its network, those that are not trained included; None where it was not built.
    """

    outcome: str
    ended: float
    seconds: float | None = None
    score: float | None = None
    params: int | None = None


@final
@dataclass(frozen=True)
class Epoch:
    """An epoch, with its validation.

    Attributes:
        training: what tells one training from another, over all processes.
        fit_began: when its training began, in seconds since the begin of the search.
        began, ended: the epoch, on the same clock.
    """

    training: str
    fit_began: float
    began: float
    ended: float


@final
@dataclass(frozen=True)
class Search:
    """A search of one contender with one seed. What ended after `seconds` does not count.

    Attributes:
        contender, seed: which search it is.
        seconds: that it had, from making the tuner on, without importing and loading.
        workers: processes that train.
        proposals: the number that was asked for, by outcome; "unfinished" is what was running at the end.
        epochs: that were trained.
        training_seconds: of all workers: epochs with their validation, and what `fit` did before the first.
        compiling_seconds: the median over trainings, of which it is a part: what comes before the first epoch, and
            what the first epoch took longer than the median of the others; None where no training had two epochs.
        over_budget_ms: the median, from asking for a proposal to its recorded refusal; None where there is none.
        over_budget_measured: the number of refusals it is of.
        over_total: trained networks that are over the budget when all their parameters count; None where not known.
        first_epoch: when the first epoch began; None where none did.
        curve: the best score after every improvement.
        load: of the machine, when the search began.
    """

    contender: str
    seed: int
    seconds: float
    workers: int
    proposals: Mapping[str, int]
    epochs: int
    training_seconds: float
    compiling_seconds: float | None
    over_budget_ms: float | None
    over_budget_measured: int
    over_total: int | None
    first_epoch: float | None
    curve: Sequence[Point] = field(repr=False)
    load: float = 0.0

    @property
    def asked(self) -> int:
        """Proposals that were asked for."""
        return sum(self.proposals.values())

    @property
    def trained(self) -> int:
        """Proposals that were trained, to their end or until a pruner stopped them."""
        return sum(self.proposals.get(outcome, 0) for outcome in TRAINED)

    @property
    def rejected(self) -> int:
        """Proposals that were refused, before or after their network was built."""
        return sum(self.proposals.get(outcome, 0) for outcome in REJECTED)

    @property
    def accuracy(self) -> float | None:
        """The best score at the end; None where no training was complete."""
        return self.curve[-1][1] if self.curve else None

    @property
    def trained_a_minute(self) -> float:
        return 60 * self.trained / self.seconds

    @property
    def epochs_a_minute(self) -> float:
        return 60 * self.epochs / self.seconds

    @property
    def outside_share(self) -> float:
        """The share of the workers' time outside training: 0 to 1."""
        return 1 - self.training_seconds / (self.seconds * self.workers)

    @property
    def outside_seconds(self) -> float:
        """A worker's seconds outside training for a trained trial, refused ones included; infinite where none was."""
        if not self.trained:
            return math.inf
        return (self.seconds * self.workers - self.training_seconds) / self.trained


def search_of(
    contender: str,
    seed: int,
    seconds: float,
    proposals: Iterable[Proposal],
    epochs: Iterable[Epoch],
    *,
    budget: int,
    workers: int = 1,
    load: float = 0.0,
) -> Search:
    """The measures of a search that was stopped after `seconds`."""
    proposals, epochs = list(proposals), list(epochs)
    ended = [one for one in proposals if one.ended <= seconds]
    outcomes = Counter(one.outcome for one in ended)
    if len(proposals) > len(ended):
        outcomes["unfinished"] = len(proposals) - len(ended)
    refusals = [one.seconds for one in ended if one.outcome == "over_budget" and one.seconds is not None]
    sizes = [one.params for one in ended if one.outcome in TRAINED]
    return Search(
        contender,
        seed,
        seconds,
        workers,
        dict(outcomes),
        epochs=sum(epoch.ended <= seconds for epoch in epochs),
        training_seconds=training_seconds(epochs, seconds),
        compiling_seconds=median(compiling_seconds(epochs)),
        over_budget_ms=1000 * statistics.median(refusals) if refusals else None,
        over_budget_measured=len(refusals),
        over_total=None if None in sizes else sum(size > budget for size in sizes if size is not None),
        first_epoch=min((epoch.began for epoch in epochs), default=None),
        curve=curve(ended),
        load=load,
    )


def curve(proposals: Iterable[Proposal]) -> list[Point]:
    """The best score so far, whenever it improved."""
    points: list[Point] = []
    for one in sorted(proposals, key=lambda proposal: proposal.ended):
        if one.score is not None and (not points or one.score > points[-1][1]):
            points.append((one.ended, one.score))
    return points


def best_at(points: Sequence[Point], seconds: float) -> float | None:
    """The best score of a curve after `seconds`; None where there is none yet."""
    return max((score for ended, score in points if ended <= seconds), default=None)


def time_to(points: Sequence[Point], score: float) -> float:
    """When a curve first has `score`; infinite where it never has."""
    return next((ended for ended, reached in points if reached >= score), math.inf)


def training_seconds(epochs: Iterable[Epoch], end: float) -> float:
    """Seconds of training until `end`, over all workers."""
    total = 0.0
    for of_one in _trainings(epochs):
        began = min(of_one[0].began, end)
        total += began - min(of_one[0].fit_began, end)
        total += sum(min(epoch.ended, end) - min(epoch.began, end) for epoch in of_one)
    return total


def compiling_seconds(epochs: Iterable[Epoch]) -> list[float]:
    """For each training of two epochs or more: the seconds before its first epoch, and what that took longer."""
    found: list[float] = []
    for first, *others in _trainings(epochs):
        if others:
            usual = statistics.median(epoch.ended - epoch.began for epoch in others)
            found.append(first.began - first.fit_began + max(0.0, first.ended - first.began - usual))
    return found


def median(values: Iterable[float | None]) -> float | None:
    """The median of those that are known; None where none is.

    They may be infinite. In the middle between a finite and an infinite value lies the finite one.
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    low, high = known[(len(known) - 1) // 2], known[len(known) // 2]
    return low if math.isinf(high) else (low + high) / 2


def _trainings(epochs: Iterable[Epoch]) -> list[list[Epoch]]:
    by_training: dict[str, list[Epoch]] = defaultdict(list)
    for epoch in sorted(epochs, key=lambda epoch: epoch.began):
        by_training[epoch.training].append(epoch)
    return list(by_training.values())


def search_from_json(values: Mapping[str, Any]) -> Search:
    """A search as it was written to a file."""
    return Search(**{**values, "curve": [(ended, score) for ended, score in values["curve"]]})
