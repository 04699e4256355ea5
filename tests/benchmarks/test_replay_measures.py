"""What is measured of replayed searches."""

import math
from dataclasses import asdict

import pytest
from replay.clock import Trial
from replay.measures import (
    CHANCE,
    Search,
    Step,
    difference,
    epochs_to,
    incumbent_at,
    paired,
    quartiles,
    search_from_json,
    steps_of,
)


def trial(at: int, observed: float, expected: float, complete: bool = True) -> Trial:
    return Trial({"a": at}, 5, complete, at, 2.0 * at, observed, expected)


def search(seed: int, *steps: tuple[int, float]) -> Search:
    return Search("tpe", seed, 9, 5, 30, 60, 600.0, 1.0, [Step(at, 1.0, value, value) for at, value in steps], {"a": 1})


def test_the_best_network_is_the_complete_one_that_looks_best() -> None:
    trials = [trial(2, 0.9, 0.9, False), trial(7, 0.5, 0.4), trial(12, 0.45, 0.6), trial(17, 0.6, 0.3)]
    steps = steps_of(trials)
    assert [(step.at, step.observed, step.expected) for step in steps] == [(7, 0.5, 0.4), (17, 0.6, 0.3)]
    assert steps[0].seconds == 14.0


def test_the_best_network_after_some_epochs() -> None:
    one = search(1, (10, 0.8), (30, 0.9))
    assert [incumbent_at(one, at) for at in (9, 10, 29, 30, 99)] == [CHANCE, 0.8, 0.8, 0.9, 0.9]
    assert [epochs_to(one, goal) for goal in (0.7, 0.8, 0.85)] == [10, 10, 30]
    assert math.isinf(epochs_to(one, 0.95))


def test_quartiles_know_infinity() -> None:
    assert quartiles([5, 1, 3, 2, 4]) == (2, 3, 4)
    assert quartiles([1, 2]) == (1.25, 1.5, 1.75)
    assert quartiles([1, 2, math.inf, math.inf, math.inf]) == (2, math.inf, math.inf)
    assert quartiles([1, math.inf]) == (1, 1, math.inf)


def test_differences_are_between_searches_with_the_same_seed() -> None:
    ours = [search(seed, (1, 0.5 + seed / 100)) for seed in range(1, 8)]
    theirs = [search(seed, (1, 0.4 + seed / 100)) for seed in range(1, 7)]
    assert difference(ours, theirs, 10) == pytest.approx((0.1, 0.0))
    theirs[0] = search(1, (1, 0.35))
    mean, half = difference(ours, theirs, 10) or (0, 0)
    assert (mean, half) == pytest.approx((0.11, 0.0257), rel=0.01)
    assert difference(ours, theirs[:5], 10) is None
    known = {seed: 0.1 * seed for seed in range(1, 7)}
    assert paired({**known, 9: 7.0}, dict.fromkeys(known, 0.0)) == pytest.approx((0.35, 0.196), rel=0.01)


def test_a_search_is_read_as_it_was_written() -> None:
    one = search(1, (10, 0.8), (30, 0.9))
    assert search_from_json(asdict(one)) == one
