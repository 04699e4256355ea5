"""Kerastuna against the best peer, seed by seed. Pure functions."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from .contenders import CONTENDERS
from .measures import Search, time_to


@final
@dataclass(frozen=True)
class Spread:
    """A value over the search seeds: its median, its extremes, and the number of seeds it is known of."""

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
        spread: over the seeds, both with the same one; None where no seed has both.
        never: the seeds in which Kerastuna did not get as far; they count as 0 times.
        goal: that issue of the project asks for, as a number of times.
    """

    measure: str
    peer: str
    spread: Spread | None
    never: int
    goal: float


def spread(values: Sequence[float | None]) -> Spread | None:
    """The spread of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known), len(known)) if known else None


def of(searches: Sequence[Search], name: str) -> dict[int, Search]:
    """The searches of a contender by seed."""
    return {search.seed: search for search in searches if search.contender == name}


def best_peer(searches: Sequence[Search], key: Callable[[Search], float]) -> str | None:
    """The peer whose mean of `key` over the seeds is highest; None where no peer has searched."""
    peers = [peer for peer, contender in CONTENDERS.items() if contender.is_peer and of(searches, peer)]
    return max(peers, key=lambda peer: statistics.mean(map(key, of(searches, peer).values())), default=None)


def seconds_to_peer(searches: Sequence[Search], name: str) -> list[float | None]:
    """For each seed, when the contender `name` has the accuracy that the best peer ends with; None for never."""
    peer = best_peer(searches, accuracy)
    goals = {} if peer is None else {seed: one.accuracy for seed, one in of(searches, peer).items()}
    pairs = [(one, goals.get(seed)) for seed, one in of(searches, name).items()]
    return [time_to(one.curve, goal) for one, goal in pairs if goal is not None]


def accuracy(search: Search) -> float:
    """The best score at the end; 0 for none."""
    return search.accuracy or 0.0


def ratios(searches: Sequence[Search], name: str) -> list[Ratio]:
    """The ratios of the contender `name`, each against the peer that is best in that measure over all seeds."""
    measures: list[tuple[str, Callable[[Search], float], Callable[[Search, Search], float | None], float]] = [
        ("time to the best peer's final accuracy", accuracy, sooner, 5),
        ("trained trials a minute", lambda one: one.trained_a_minute, more_trained, 2.5),
        ("an over-budget proposal", lambda one: -(one.over_budget_ms or float("inf")), cheaper, 50),
    ]
    found: list[Ratio] = []
    for measure, key, compare, goal in measures:
        if (best := best_peer(searches, key)) is None:
            continue
        of_best = of(searches, best)
        pairs = [(own, of_best[seed]) for seed, own in of(searches, name).items() if seed in of_best]
        values = [compare(own, peer) for own, peer in pairs]
        found.append(Ratio(measure, best, spread(values), sum(value == 0 for value in values), goal))
    return found


def sooner(own: Search, peer: Search) -> float | None:
    """How many times sooner `own` has the peer's final accuracy; 0 for never, None where the peer has none."""
    if peer.accuracy is None:
        return None
    reached, by_peer = time_to(own.curve, peer.accuracy), time_to(peer.curve, peer.accuracy)
    assert by_peer is not None
    return 0.0 if reached is None else by_peer / reached


def more_trained(own: Search, peer: Search) -> float | None:
    return own.trained_a_minute / peer.trained_a_minute if peer.trained else None


def cheaper(own: Search, peer: Search) -> float | None:
    if own.over_budget_ms is None or peer.over_budget_ms is None:
        return None
    return peer.over_budget_ms / own.over_budget_ms
