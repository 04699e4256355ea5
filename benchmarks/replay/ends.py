"""The verdict on the contenders: the networks where their replayed searches ended, trained in earnest afterwards."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from kerastuna.search.proposals.distributions import values_key

from .contenders import CONTENDERS, DEFAULT
from .measures import paired, search_from_json
from .table import End, Table


@final
@dataclass(frozen=True)
class Verdict:
    """What the replays told of the ends of a contender, and what training them gave.

    Attributes:
        contender: by name.
        trainings: of the table that its searches were replayed on.
        searches: whose ends were trained.
        told, trained: the mean accuracy after all epochs, in the replay and in earnest.
        deviation: the standard deviation of the latter between the searches; None for one search.
        difference: of the latter to the default, as `paired` tells it; None for the default itself.
    """

    contender: str
    trainings: int
    searches: int
    told: float
    trained: float
    deviation: float | None
    difference: tuple[float, float] | None


def verdicts(table: Table) -> list[Verdict]:
    """The verdict on each contender, for each size of the table that searches with trained ends were replayed on.

    Only trainings after the replay count: an earlier one may be the luck for which the search chose the network. An end
    that several searches share counts for each of them.
    """
    found: list[Verdict] = []
    for trainings in sorted({end.trainings for end in table.ends}):
        later: dict[str, list[float]] = {}
        for training in table.trainings[trainings:]:
            later.setdefault(values_key(training.values), []).append(training.curve[-1])
        by_contender: dict[str, dict[int, End]] = {name: {} for name in CONTENDERS}
        for end in table.ends:
            if end.trainings == trainings and values_key(end.values) in later:
                by_contender.setdefault(end.contender, {})[end.search_seed] = end
        trained = {
            name: {seed: statistics.fmean(later[values_key(end.values)]) for seed, end in ends.items()}
            for name, ends in by_contender.items()
        }
        for name in CONTENDERS:
            if by_seed := trained[name]:
                found.append(
                    Verdict(
                        name,
                        trainings,
                        len(by_seed),
                        statistics.fmean(end.told for end in by_contender[name].values()),
                        statistics.fmean(by_seed.values()),
                        statistics.stdev(by_seed.values()) if len(by_seed) > 1 else None,
                        None if name == DEFAULT else paired(by_seed, trained[DEFAULT]),
                    )
                )
    return found


def ends_of(run: Mapping[str, Any], count: int, contenders: Sequence[str] | None) -> list[End]:
    """Where the first `count` searches of a run ended, of these contenders or of all; a search may have no end."""
    searches = [search_from_json(values) for values in run["searches"]]
    return [
        End(search.contender, search.seed, run["trainings"], search.steps[-1].expected, search.end)
        for search in searches
        if search.end is not None and search.seed <= count and (contenders is None or search.contender in contenders)
    ]
