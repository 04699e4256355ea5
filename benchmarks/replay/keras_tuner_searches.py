"""KerasTuner's own tuners, replayed: their loops and oracles, where a trial trains in the simulated clock.

A network over the budget, or whose layers do not fit, is a failed trial, as in `side_by_side/keras_tuner_peers.py`,
and costs no epochs here. BayesianOptimization proposes at random until 81 trials are complete, as that module tells.
Hyperband goes on with a network where its last round left it, and pays for the epochs that follow.

KerasTuner counts its seed up by one for every network that it draws, so that searches with consecutive seeds try the
same networks. Here it is given seeds that are far apart.
"""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import keras_tuner
from keras_tuner.errors import FailedTrialError

from kerastuna.search.compat.keras_tuner import tracebacks_hidden
from kerastuna.search.study.seeds import derive_seed

from .clock import Clock, Spent
from .kerastuna_searches import METRIC
from .networks import declared, is_allowed

NEVER = 10**9
OWN = "tuner/"
"""How the names of Hyperband's own hyperparameters begin."""


class Replayed(keras_tuner.Tuner):
    """Trains in a clock; the base of those below, before KerasTuner's own class."""

    clock: Clock
    refused: int = 0

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Mapping[str, float]:
        told: Mapping[str, Any] = trial.hyperparameters.values
        values = {name: told[name] for name in active(trial.hyperparameters)}
        if not is_allowed(values):
            self.refused += 1
            raise FailedTrialError("over the budget, or infeasible")
        value = 0.0
        first, last = told.get(f"{OWN}initial_epoch", 0) + 1, told.get(f"{OWN}epochs")
        for _, value in self.clock.training(values, first, last):  # noqa: B007  the last one counts
            pass
        self.clock.end()
        return {METRIC: value}


class ReplayedRandomSearch(Replayed, keras_tuner.RandomSearch):
    pass


class ReplayedBayesianOptimization(Replayed, keras_tuner.BayesianOptimization):
    pass


class ReplayedHyperband(Replayed, keras_tuner.Hyperband):
    pass


def active(hyperparameters: keras_tuner.HyperParameters) -> list[str]:
    """The names of the active hyperparameters of the space."""
    values = hyperparameters.values
    names: list[str] = []
    for hp in hyperparameters.space:
        if hp.name in values and hp.name not in names and all(one.is_active(values) for one in hp.conditions):
            names.append(hp.name)
    return names


def random_search(clock: Clock, seed: int) -> int:
    """Search at random; returns the number of networks that were refused."""
    return _search(clock, seed, ReplayedRandomSearch, max_trials=NEVER)


def bayesian_optimization(clock: Clock, seed: int) -> int:
    """Search with a Gaussian process; returns the number of networks that were refused."""
    return _search(clock, seed, ReplayedBayesianOptimization, max_trials=NEVER)


def hyperband(clock: Clock, seed: int) -> int:
    """Search with Hyperband; returns the number of networks that were refused."""
    return _search(clock, seed, ReplayedHyperband, max_epochs=clock.epochs, hyperband_iterations=NEVER)


def _search(clock: Clock, seed: int, kind: Any, **arguments: Any) -> int:
    with tempfile.TemporaryDirectory() as folder:
        tuner = kind(
            None,
            objective=keras_tuner.Objective(METRIC, "max"),
            hyperparameters=declared(),
            seed=derive_seed(seed, "keras_tuner"),
            max_consecutive_failed_trials=NEVER,
            directory=folder,
            project_name="replay",
            **arguments,
        )
        tuner.clock = clock
        with tracebacks_hidden(True), suppress(Spent):
            tuner.search(verbose=0)
        return tuner.refused
