"""Kerastuna against the best peer, seed by seed. Pure functions."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from .contenders import CONTENDERS
from .measures import Search, median, time_to


@final
@dataclass(frozen=True)
class Spread:
    """A value over the search seeds: its median, its extremes, and the number of seeds it is known of.

    Infinite is what never happened.
    """

    median: float
    low: float
    high: float
    n: int


@final
@dataclass(frozen=True)
class Ratio:
    """How many times better Kerastuna is than the best peer.

    Attributes:
        measure: what is compared.
        peer: the name of the peer that is best in it.
        spread: of the ratios in each seed; None where no seed has one.
        reached: the seeds in which Kerastuna got as far, the others count as 0 times; None where nothing is to be
            reached.
        seeds: in which both searched.
        goal: that the project has set itself, as a number of times.
    """

    measure: str
    peer: str
    spread: Spread | None
    reached: int | None
    seeds: int
    goal: float


def spread(values: Sequence[float | None]) -> Spread | None:
    """The spread of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    middle = median(known)
    return None if middle is None else Spread(middle, min(known), max(known), len(known))


def of(searches: Sequence[Search], name: str) -> dict[int, Search]:
    """The searches of a contender by seed."""
    return {search.seed: search for search in searches if search.contender == name}


def best_peer(searches: Sequence[Search], key: Callable[[Search], float | None]) -> str | None:
    """The peer whose median of `key` over the seeds is highest, of equal ones the mean; None where none has a value."""
    found: dict[str, tuple[float, float]] = {}
    for peer in (name for name, contender in CONTENDERS.items() if contender.is_peer):
        values = [value for value in map(key, of(searches, peer).values()) if value is not None]
        if values:
            found[peer] = statistics.median(values), statistics.fmean(values)
    return max(found, key=lambda peer: found[peer], default=None)


def seconds_to_peer(searches: Sequence[Search], name: str) -> list[float]:
    """For each seed in which the best peer has a score: when the contender `name` has as good a one; or infinite."""
    peer = best_peer(searches, accuracy)
    goals = {} if peer is None else {seed: one.accuracy for seed, one in of(searches, peer).items()}
    pairs = [(one, goals.get(seed)) for seed, one in of(searches, name).items()]
    return [time_to(one.curve, goal) for one, goal in pairs if goal is not None]


def accuracy(search: Search) -> float:
    """The best score at the end; 0 for none."""
    return search.accuracy or 0.0


def ratios(searches: Sequence[Search], name: str) -> list[Ratio]:
    """The ratios of the contender `name`, each against the peer that is best in that measure over all seeds."""
    measures: list[tuple[str, Callable[[Search], float | None], Callable[[Search, Search], float | None], float]] = [
        ("time to the best peer's final accuracy", accuracy, sooner, 5),
        ("trained trials a minute", lambda one: one.trained_a_minute, more_trained, 2.5),
        ("an over-budget proposal", quick_refusal, cheaper, 50),
    ]
    found: list[Ratio] = []
    for measure, key, compare, goal in measures:
        if (best := best_peer(searches, key)) is None:
            continue
        of_best = of(searches, best)
        pairs = [(own, of_best[seed]) for seed, own in of(searches, name).items() if seed in of_best]
        values = [compare(own, peer) for own, peer in pairs]
        reached = sum(bool(value) for value in values) if compare is sooner else None
        found.append(Ratio(measure, best, spread(values), reached, len(pairs), goal))
    return found


def sooner(own: Search, peer: Search) -> float | None:
    """How many times sooner `own` has the peer's final accuracy; 0 for never, None where the peer has none."""
    if peer.accuracy is None:
        return None
    return time_to(peer.curve, peer.accuracy) / time_to(own.curve, peer.accuracy)


def more_trained(own: Search, peer: Search) -> float | None:
    return own.trained_a_minute / peer.trained_a_minute if peer.trained else None


def quick_refusal(search: Search) -> float | None:
    return None if search.over_budget_ms is None else -search.over_budget_ms


def cheaper(own: Search, peer: Search) -> float | None:
    if own.over_budget_ms is None or peer.over_budget_ms is None:
        return None
    return peer.over_budget_ms / own.over_budget_ms
