"""Kerastuna against the best peer, seed by seed."""

from side_by_side.comparison import Spread, ratios, seconds_to_peer, spread
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
    assert (sooner.peer, sooner.spread, sooner.never) == ("optuna", Spread(2.5, 0, 5, 2), 1)
    assert (more.peer, more.spread) == ("random", Spread((14 / 6 + 14 / 8) / 2, 1.75, 14 / 6, 2))
    assert (cheaper.peer, cheaper.spread) == ("random", Spread(30, 30, 30, 2))
    assert (sooner.goal, more.goal, cheaper.goal) == (5, 2.5, 50)


def test_seeds_without_both_are_left_out() -> None:
    without = [one for one in SEARCHES if (one.contender, one.seed) != ("optuna", 1)]
    [sooner, *_] = ratios([*without, search("kerastuna", 3, [(1, 1)])], "kerastuna")
    assert (sooner.peer, sooner.spread) == ("optuna", Spread(0, 0, 0, 1))


def test_a_peer_without_a_score_or_a_refusal_gives_no_ratio() -> None:
    found = ratios([search("random", 1, [], 0, None), search("kerastuna", 1, [(1, 0.9)], 5, None)], "kerastuna")
    assert [(one.spread, one.never) for one in found] == [(None, 0)] * 3


def test_without_peers_there_is_nothing_to_compare() -> None:
    assert ratios(SEARCHES[4:], "kerastuna") == []


def test_when_a_contender_has_what_the_best_peer_ends_with() -> None:
    assert seconds_to_peer(SEARCHES, "kerastuna") == [10, None]
    assert seconds_to_peer(SEARCHES, "optuna") == [50, 30]
    assert seconds_to_peer(SEARCHES, "random") == [None, None]
    assert seconds_to_peer(SEARCHES[4:], "kerastuna") == []


def test_the_spread_of_what_is_known() -> None:
    assert spread([3.0, None, 1.0, 2.0]) == Spread(2, 1, 3, 3)
    assert spread([None]) is None
