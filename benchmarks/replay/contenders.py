"""The contenders of a replay, by name, in the order in which they are shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, final

from . import keras_tuner_searches
from .clock import Clock
from .kerastuna_searches import kerastuna_search, references

Run = Callable[[Clock, int], int]
"""From a clock and a search seed to the number of refused proposals; what was trained is in the clock."""


@final
@dataclass(frozen=True)
class Contender:
    """A way to search.

    Attributes:
        title: in tables and figures.
        run: searches.
        needs: a package that is not installed with Kerastuna; None for none.
        by_name: whether it only searches where it is named.
    """

    title: str
    run: Run
    needs: str | None = None
    by_name: bool = False

    @property
    def is_possible(self) -> bool:
        """Whether the package that it needs is installed."""
        return self.needs is None or find_spec(self.needs) is not None


def _own(
    title: str, *, warm: bool = False, needs: str | None = None, by_name: bool = False, **arguments: Any
) -> Contender:
    return Contender(title, partial(_warm if warm else kerastuna_search, **arguments), needs, by_name)


def _warm(clock: Clock, seed: int, **arguments: Any) -> int:
    return kerastuna_search(clock, seed, first=list(references().values()), **arguments)


BASELINE, DEFAULT = "random", "tpe"
CONTENDERS: Mapping[str, Contender] = {
    BASELINE: _own("random", sampler="random", pruner="none"),
    "random_pruned": _own("random, pruned", sampler="random"),
    "random_warm": _own("random, references first", sampler="random", pruner="none", warm=True),
    DEFAULT: _own("TPE, the default"),
    "tpe_learn": _own("TPE, refusals shown", infeasible="learn"),
    "tpe_no_narrowing": _own("TPE, not narrowed", narrows=False),
    "tpe_learn_no_narrowing": _own("TPE, not narrowed, refusals shown", narrows=False, infeasible="learn"),
    "tpe_warm_no_narrowing": _own("TPE, not narrowed, references first", narrows=False, warm=True),
    "tpe_no_start": _own("TPE, not narrowed, no start proposals", starts=False),
    "tpe_no_pruning": _own("TPE, not pruned", pruner="none"),
    "tpe_learn_no_pruning": _own("TPE, refusals shown, not pruned", pruner="none", infeasible="learn"),
    "tpe_plain": _own("TPE, not narrowed, no start, not pruned", starts=False, pruner="none"),
    "tpe_median": _own("TPE, median pruner", pruner="median"),
    "tpe_hyperband": _own("TPE, Hyperband's pruner", pruner="hyperband"),
    "tpe_warm": _own("TPE, references first", warm=True),
    "tpe_learn_warm": _own("TPE, refusals shown, references first", infeasible="learn", warm=True),
    "gp": _own("GP", sampler="gp", needs="torch", by_name=True),  # a search takes minutes
    "cmaes": _own("CMA-ES", sampler="cmaes", needs="cmaes"),
    "nsga2": _own("NSGA-II", sampler="nsga2"),
    "qmc": _own("quasi-random", sampler="qmc"),
    "kt_random": Contender("KerasTuner RandomSearch", keras_tuner_searches.random_search),
    # Up to 81 complete trials it proposes what RandomSearch proposes.
    "kt_bayesian": Contender(
        "KerasTuner BayesianOptimization", keras_tuner_searches.bayesian_optimization, by_name=True
    ),
    "kt_hyperband": Contender("KerasTuner Hyperband", keras_tuner_searches.hyperband),
}
