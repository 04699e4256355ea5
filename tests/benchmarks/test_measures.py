"""What is measured of a search, from the ends of its proposals and epochs."""

import json
import math
from dataclasses import asdict, replace

import pytest
from side_by_side.measures import (
    RUNNING,
    Epoch,
    Proposal,
    best_at,
    compiling_seconds,
    curve,
    search_from_json,
    search_of,
    time_to,
    training_seconds,
)

PROPOSALS = [
    Proposal("over_budget", 1, 0.002),
    Proposal("over_budget", 2, 0.004),
    Proposal("infeasible", 3, 9.0),
    Proposal("over_budget", 3.5),
    Proposal("complete", 10, 6.5, 0.8, 14_000),
    Proposal("stopped_early", 12, 2, None, 9_000),
    Proposal("complete", 15, 3, 0.7, 15_001),
    Proposal("failed", 16),
    Proposal("complete", 19, 3, 0.9, 100),
    Proposal("complete", 21, 2, 0.99, 15_500),
    Proposal("failed", RUNNING),
]
EPOCHS = [
    Epoch("a", 3.5, 4, 8),
    Epoch("a", 3.5, 8, 9),
    Epoch("a", 3.5, 9, 10),
    Epoch("b", 11, 11, 12),
    Epoch("c", 17, 18, 19),
    Epoch("c", 17, 19, 22),
]


def test_a_search_is_summed_up() -> None:
    search = search_of("optuna", 3, 20, PROPOSALS, EPOCHS, budget=15_000)
    assert search.proposals == {
        "over_budget": 3,
        "infeasible": 1,
        "complete": 3,
        "stopped_early": 1,
        "failed": 1,
        "unfinished": 2,
    }
    assert (search.asked, search.trained, search.rejected) == (11, 4, 4)
    assert (search.over_budget_ms, search.over_budget_measured) == (pytest.approx(3), 2)
    assert search.over_total == 1
    assert (search.epochs, search.first_epoch) == (5, 4)
    assert (search.trained_a_minute, search.epochs_a_minute) == (12, 15)
    assert search.curve == [(10, 0.8), (19, 0.9)]
    assert search.accuracy == 0.9
    # a: 0.5 before its first epoch and 6 in epochs; b: 1; c: 1 before, 1, and the second one until the end
    assert search.training_seconds == pytest.approx(6.5 + 1 + 3)
    assert search.outside_share == pytest.approx(1 - 10.5 / 20)
    assert search.outside_seconds == pytest.approx(9.5 / 4)


def test_every_worker_has_the_seconds() -> None:
    search = search_of("kerastuna_all", 1, 20, PROPOSALS, EPOCHS, budget=15_000, workers=2)
    assert search.outside_share == pytest.approx(1 - 10.5 / 40)
    assert search.outside_seconds == pytest.approx(29.5 / 4)


def test_what_ended_after_the_search_does_not_count() -> None:
    search = search_of("random", 1, 9.5, PROPOSALS, EPOCHS, budget=15_000)
    assert (search.trained, search.accuracy, search.epochs) == (0, None, 2)
    assert search.outside_seconds == math.inf
    assert search.training_seconds == pytest.approx(6)


def test_a_search_of_nothing() -> None:
    search = search_of("random", 1, 20, [], [], budget=15_000)
    assert (search.asked, search.accuracy, search.first_epoch, search.over_budget_ms) == (0, None, None, None)
    assert search.outside_share == 1


def test_unknown_sizes_are_not_counted() -> None:
    proposals = [*PROPOSALS, replace(PROPOSALS[4], params=None)]
    assert search_of("random", 1, 20, proposals, [], budget=15_000).over_total is None


def test_a_search_is_read_as_it_was_written() -> None:
    search = search_of("optuna", 3, 20, PROPOSALS, EPOCHS, budget=15_000, load=0.5)
    assert search_from_json(json.loads(json.dumps(asdict(search), allow_nan=False))) == search


def test_the_curve_follows_time_and_only_rises() -> None:
    proposals = [Proposal("complete", ended, None, score) for ended, score in ((9, 0.9), (2, 0.5), (4, 0.4), (6, 0.5))]
    assert curve(proposals) == [(2, 0.5), (9, 0.9)]


def test_the_best_by_a_time_and_the_time_of_a_score() -> None:
    points = [(2.0, 0.5), (9.0, 0.9)]
    assert [best_at(points, seconds) for seconds in (1, 2, 8.9, 9)] == [None, 0.5, 0.5, 0.9]
    assert [time_to(points, score) for score in (0.4, 0.5, 0.6, 0.9, 0.91)] == [2, 2, 9, 9, math.inf]


def test_compiling_is_what_later_epochs_do_not_have() -> None:
    assert compiling_seconds(EPOCHS[:4]) == [pytest.approx(0.5 + 3)]
    assert compiling_seconds([Epoch("a", 0, 1, 2), Epoch("a", 0, 2, 4)]) == [1]  # a faster first epoch compiles nothing


def test_an_epoch_beyond_the_end_counts_until_the_end() -> None:
    assert training_seconds([Epoch("a", 2, 3, 9)], 5) == 3
    assert training_seconds([Epoch("a", 7, 8, 9)], 5) == 0
