"""The contenders by name, in the order in which they are shown. Imports nothing heavy."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, final


@final
@dataclass(frozen=True)
class Contender:
    """Who searches.

    Attributes:
        title: in the table and the figure.
        module, function: of this package; the function searches, and returns the proposals.
        is_peer: whether Kerastuna is compared with it.
        every_core: whether it trains in a process for each core.
    """

    title: str
    module: str
    function: str
    is_peer: bool = True
    every_core: bool = False

    def load(self) -> Any:
        """The function; imports Keras."""
        return getattr(import_module(f".{self.module}", __package__), self.function)


CONTENDERS = {
    "random": Contender("KerasTuner RandomSearch", "keras_tuner_peers", "random_search"),
    "bayesian": Contender("KerasTuner BayesianOptimization", "keras_tuner_peers", "bayesian_optimization"),
    "hyperband": Contender("KerasTuner Hyperband", "keras_tuner_peers", "hyperband"),
    "optuna": Contender("Optuna, Keras fit, pruning", "plain_optuna", "plain_optuna"),
    "kerastuna": Contender("Kerastuna, one worker", "kerastuna_searches", "one_worker", is_peer=False),
    "kerastuna_all": Contender(
        "Kerastuna, all cores", "kerastuna_searches", "all_cores", is_peer=False, every_core=True
    ),
    "kerastuna_warm": Contender(
        "Kerastuna, one worker, from the reference networks", "kerastuna_searches", "warm_start", is_peer=False
    ),
}
MAIN = tuple(name for name in CONTENDERS if name != "kerastuna_warm")
"""The comparison. Reference networks that are known to be good would make it unfair."""
