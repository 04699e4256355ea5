"""Kerastuna against the best peer, seed by seed."""

import math

from side_by_side.comparison import Spread, accuracy, best_peer, ratios, seconds_to_peer, spread
from side_by_side.measures import Search


def search(
    contender: str, seed: int, curve: list[tuple[float, float]], trained: int = 4, ms: float | None = 50
) -> Search:
    """A search of 60 seconds."""
    return Search(contender, seed, 60, 1, {"complete": trained}, 3 * trained, 30.0, 1.0, ms, 5, 0, 1.0, curve)


SEARCHES = [
    search("random", 1, [(10, 0.5), (40, 0.9)], trained=6, ms=60),
    search("random", 2, [(20, 0.8)], trained=8, ms=60),
    search("optuna", 1, [(50, 0.95)], trained=5, ms=40),
    search("optuna", 2, [(30, 0.9)], trained=5, ms=100),
    search("kerastuna", 1, [(5, 0.5), (10, 0.96)], trained=14, ms=2),
    search("kerastuna", 2, [(5, 0.89)], trained=14, ms=2),
]


def test_each_ratio_is_against_the_best_peer_of_its_measure() -> None:
    sooner, more, cheaper = ratios(SEARCHES, "kerastuna")
    assert (sooner.peer, sooner.spread, sooner.reached) == ("optuna", Spread(2.5, 0, 5, 2), 1)
    assert (more.peer, more.spread) == ("random", Spread((14 / 6 + 14 / 8) / 2, 1.75, 14 / 6, 2))
    assert (cheaper.peer, cheaper.spread) == ("random", Spread(30, 30, 30, 2))
    assert [one.reached for one in (more, cheaper)] == [None, None]
    assert (sooner.goal, more.goal, cheaper.goal) == (5, 2.5, 50)


def test_seeds_without_both_are_left_out() -> None:
    without = [one for one in SEARCHES if (one.contender, one.seed) != ("optuna", 1)]
    [sooner, *_] = ratios([*without, search("kerastuna", 3, [(1, 1)])], "kerastuna")
    assert (sooner.peer, sooner.spread) == ("optuna", Spread(0, 0, 0, 1))


def test_the_best_peer_has_the_best_median_whatever_its_mean() -> None:
    random = [search("random", seed, [(9, score)]) for seed, score in enumerate((0.1, 0.6, 0.6), 1)]
    optuna = [search("optuna", seed, [(9, score)]) for seed, score in enumerate((0.5, 0.5, 0.9), 1)]
    assert best_peer([*random, *optuna], accuracy) == "random"
    assert ratios([*random, *optuna, search("kerastuna", 1, [(3, 0.2)])], "kerastuna")[0].peer == "random"


def test_of_peers_with_one_median_the_one_with_the_better_mean_is_best() -> None:
    trained = {"random": (3, 3, 2), "bayesian": (3, 3, 3), "optuna": (3, 3, 6)}
    searches = [search(name, seed, [], n) for name, each in trained.items() for seed, n in enumerate(each, 1)]
    assert best_peer(searches, lambda one: one.trained) == "optuna"


def test_a_peer_that_refused_nothing_is_not_the_best_at_refusing() -> None:
    searches = [search("random", 1, [], ms=None), search("random", 2, [], ms=90), search("optuna", 1, [], ms=None)]
    [_, _, cheaper] = ratios([*searches, search("kerastuna", 1, []), search("kerastuna", 2, [], ms=9)], "kerastuna")
    assert (cheaper.peer, cheaper.spread, cheaper.seeds) == ("random", Spread(10, 10, 10, 1), 2)


def test_a_peer_without_a_score_or_a_refusal_gives_no_ratio() -> None:
    found = ratios([search("random", 1, [], 0, None), search("kerastuna", 1, [(1, 0.9)], 5, None)], "kerastuna")
    assert [(one.spread, one.reached) for one in found] == [(None, 0), (None, None)]


def test_the_median_ratio_counts_the_seeds_in_which_it_is_never_reached() -> None:
    peers = [search("optuna", seed, [(40, 0.9)]) for seed in (1, 2, 3)]
    own = [search("kerastuna", 1, [(5, 0.95)]), search("kerastuna", 2, [(5, 0.8)]), search("kerastuna", 3, [])]
    [sooner, *_] = ratios([*peers, *own], "kerastuna")
    assert (sooner.spread, sooner.reached) == (Spread(0, 0, 8, 3), 1)


def test_without_peers_there_is_nothing_to_compare() -> None:
    assert ratios(SEARCHES[4:], "kerastuna") == []


def test_when_a_contender_has_what_the_best_peer_ends_with() -> None:
    assert seconds_to_peer(SEARCHES, "kerastuna") == [10, math.inf]
    assert seconds_to_peer(SEARCHES, "optuna") == [50, 30]
    assert seconds_to_peer(SEARCHES, "random") == [math.inf, math.inf]
    assert seconds_to_peer(SEARCHES[4:], "kerastuna") == []


def test_the_spread_of_what_is_known() -> None:
    assert spread([3.0, None, 1.0, 2.0]) == Spread(2, 1, 3, 3)
    assert spread([None]) is None


def test_never_counts_in_the_median() -> None:
    assert spread([3.0, math.inf, math.inf]) == Spread(math.inf, 3, math.inf, 3)
    assert spread([3.0, math.inf]) == Spread(3, 3, math.inf, 2)
    assert spread([math.inf, math.inf]) == Spread(math.inf, math.inf, math.inf, 2)
