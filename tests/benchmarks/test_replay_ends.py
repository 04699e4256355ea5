"""The networks where searches ended, trained in earnest."""

import statistics
from dataclasses import replace

import pytest
from replay.ends import ends_of, verdicts
from replay.measures import paired
from replay.table import END, End, Table
from replay_support import HEADER, table, training

MADE = table(14).trainings
BEFORE, LATER = MADE[:6], [replace(one, source=END) for one in MADE[6:]]


def ends(name: str, *places: int, told: float = 0.9, trainings: int = 6) -> list[End]:
    """Of searches with the seeds 1, 2, ...: the places of their networks in the table."""
    return [End(name, seed, trainings, told, MADE[place].values) for seed, place in enumerate(places, 1)]


def finals(*places: int) -> dict[int, float]:
    return {seed: MADE[place].curve[-1] for seed, place in enumerate(places, 1)}


def test_a_contender_is_judged_by_what_was_trained_where_its_searches_ended() -> None:
    own, default = (6, 7, 8, 9, 10, 11), (12, 13, 12, 12, 13, 6)  # an end that searches share counts for each
    entries = [*ends("tpe", *default, told=0.97), *ends("random", *own)]
    first, second = verdicts(Table(HEADER, [*BEFORE, *LATER], entries))
    assert (first.contender, first.trainings, first.searches, first.told) == ("random", 6, 6, pytest.approx(0.9))
    assert first.trained == pytest.approx(sum(finals(*own).values()) / 6)
    assert first.difference is not None
    assert first.difference == paired(finals(*own), finals(*default))
    assert (second.contender, second.told, second.difference) == ("tpe", pytest.approx(0.97), None)
    assert second.trained == pytest.approx(sum(finals(*default).values()) / 6)
    assert second.deviation == pytest.approx(statistics.stdev(finals(*default).values()))


def test_trainings_before_the_search_do_not_judge_it() -> None:
    lucky = replace(training(MADE[6].values, more=0.09), seed=7)
    [verdict] = verdicts(Table(HEADER, [*BEFORE, lucky, *LATER], ends("random", 6, 3, trainings=7)))
    assert (verdict.searches, verdict.trained) == (1, MADE[6].curve[-1])
    assert verdict.deviation is None


def test_searches_on_tables_of_other_sizes_are_judged_apart() -> None:
    later = [*ends("tpe", 12, told=0.8, trainings=10), *ends("random", 13, trainings=10)]
    found = verdicts(Table(HEADER, [*BEFORE, *LATER], [*later, *ends("tpe", 6, 7)]))
    sizes = [(one.contender, one.trainings, one.searches) for one in found]
    assert sizes == [("tpe", 6, 2), ("random", 10, 1), ("tpe", 10, 1)]


def test_a_search_that_ran_again_counts_once_and_a_contender_that_is_gone_not_at_all() -> None:
    entries = [*ends("tpe", 6, told=0.5), *ends("tpe", 7), *ends("gone", 8)]
    [verdict] = verdicts(Table(HEADER, [*BEFORE, *LATER], entries))
    assert (verdict.searches, verdict.told, verdict.trained) == (1, 0.9, MADE[7].curve[-1])


def test_a_search_without_an_end_has_none() -> None:
    search = {"contender": "tpe", "seed": 1, "trained": 0, "complete": 0, "refused": 0, "epochs": 0, "seconds": 0,
              "replaying": 0, "steps": [], "end": None}  # fmt: skip
    assert ends_of({"trainings": 6, "searches": [search]}, 9, None) == []
