"""How long a proposal takes, and how long it takes to count a network's parameters.

    python benchmarks/proposals.py [--trials 0 100 1000 5000] [--samplers tpe random] [--repeats 30]

The space is `ConvNet` with its 27 hyperparameters and a budget of 15,000 parameters, the storage a journal file. A
refusal is a proposal that is asked for, counted, and recorded as over the budget or infeasible. A claim is one that is
asked for, counted and accepted. Nothing is trained: each claim gets a made-up accuracy at once. Counting in closed form
is compared with building the Keras model and counting its parameters.
"""

import argparse
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_tuner
import numpy as np
import optuna
from optuna.pruners import NopPruner

from kerastuna.search.proposals.distributions import ParameterSpace, Values
from kerastuna.search.proposals.proposer import Proposer
from kerastuna.search.proposals.samplers import sampler_for
from kerastuna.search.study.budget import Budget, Size
from kerastuna.search.study.events import Announcer, SearchObserver, TrialRecord
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.studies import open_study
from kerastuna.search.training.garbage import old_objects_passed_over
from kerastuna.search.tuning.hyperparameters import hyperparameters_at
from kerastuna.search.tuning.measure import NetworkMeasure
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.errors import InfeasibleArchitecture

BUDGET = Budget(15_000)

Times = list[np.ndarray]
"""Milliseconds, each of the wall clock and of the processor."""


def now() -> np.ndarray:
    """Seconds of the wall clock and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


class Networks:
    """`ConvNet`, and the cost of its networks."""

    def __init__(self) -> None:
        self.space = ConvNet()
        self._declared = keras_tuner.HyperParameters()
        self.space.declare_hyperparameters(self._declared)
        self.parameters = ParameterSpace(self._declared.space)
        self._measure = NetworkMeasure(self.space, self.space.build)

    def at(self, values: Values) -> keras_tuner.HyperParameters:
        """KerasTuner's hyperparameters with these values."""
        return hyperparameters_at(self._declared, values)

    def measure(self, values: Values) -> Size:
        """The size of the network at `values`, as `OptunaTuner` measures it."""
        size = self._measure(self.at(values), BUDGET.limits)
        assert size is not None
        return size

    def feasible(self, count: int) -> list[keras_tuner.HyperParameters]:
        """`count` random points whose layers fit the input."""
        draw = random.Random(0)
        found: list[keras_tuner.HyperParameters] = []
        while len(found) < count:
            values: dict[str, int | float | str | bool] = {}
            for hp in self._declared.space:
                if all(condition.is_active(values) for condition in hp.conditions):
                    values[hp.name] = hp.random_sample(draw.randrange(2**32))
            try:
                self.measure(values)
            except InfeasibleArchitecture:
                continue
            found.append(self.at(values))
        return found


class RefusalClock(SearchObserver):
    """Calls `lap` at every refused proposal."""

    def __init__(self, lap: Callable[[], None]) -> None:
        self._lap = lap

    def proposal_refused(self, record: TrialRecord) -> None:
        self._lap()


class Searched:
    """A study in a journal file, and the milliseconds of its refusals and claims."""

    def __init__(self, networks: Networks, path: Path, sampler: str, seed: int = 0) -> None:
        self._networks = networks
        storage = open_storage(path)
        self.study = open_study(storage, "s", directions=["maximize"], identity={}, pruner=NopPruner(), seed=seed)
        self._proposer = Proposer(
            StoredStudy(self.study, storage),
            sampler_for(sampler, seed),
            seed,
            budget=BUDGET,
            measure=networks.measure,
            announcer=Announcer([RefusalClock(lambda: self._lap(self.refusals))]),
        )
        self.refusals: Times = []
        self.claims: Times = []
        self._began = now()

    def _lap(self, times: Times) -> None:
        times.append((now() - self._began) * 1000)
        self._began = now()

    def claim(self) -> None:
        """Claim the next trial; its accuracy grows with the parameters and is highest at one learning rate."""
        self._began = now()
        claim = self._proposer.next(self._networks.parameters, None)
        self._lap(self.claims)
        assert claim is not None
        distance = math.log10(float(claim.values["learning_rate"])) + 2.5
        self.study.tell(claim.number, 0.9 + 0.008 * math.log10(claim.attributes["params"]) - 0.02 * distance**2)


def milliseconds(times: Times) -> str:
    """The median, the range of the middle 80 %, the median of the processor's time, and how many there are."""
    if len(times) < 3:
        return f"{'-':>8}{'':30}"
    walls, processor = zip(*times, strict=True)
    deciles = statistics.quantiles(walls, n=10)
    told = f"{statistics.median(walls):8.2f}  ({deciles[0]:.2f} to {deciles[-1]:.2f})".ljust(28)
    return f"{told}{statistics.median(processor):.2f}, {len(times)}".ljust(38)


def in_new_studies(networks: Networks, folder: Path, sampler: str, repeats: int) -> tuple[Times, Times]:
    """The times of the first claims of studies with different seeds."""
    studies = [Searched(networks, folder / f"{seed}.journal", sampler, seed) for seed in range(repeats)]
    for searched in studies:
        searched.claim()
    return [ms for searched in studies for ms in searched.refusals], [ms for one in studies for ms in one.claims]


def in_grown_study(
    networks: Networks, path: Path, sampler: str, trained: int, repeats: int
) -> tuple[tuple[Times, Times], float]:
    """The times in a study with `trained` trials, and the milliseconds from opening it to its first claim."""
    grown = Searched(networks, path, "random")
    complete = grown.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    for _ in range(trained - len(complete)):
        grown.claim()
    began = time.perf_counter()
    searched = Searched(networks, path, sampler)
    searched.claim()
    opening = 1000 * (time.perf_counter() - began)
    searched.refusals, searched.claims = [], []
    for _ in range(repeats):
        searched.claim()
    return (searched.refusals, searched.claims), opening


def print_proposals(networks: Networks, sampler: str, trials: list[int], repeats: int) -> None:
    """Print a line for each number of trained trials."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for trained in sorted(trials):
            times, opening = (
                in_grown_study(networks, folder / "grown.journal", sampler, trained, repeats)
                if trained
                else (in_new_studies(networks, folder, sampler, repeats), 0.0)
            )
            columns = "".join(map(milliseconds, times))
            print(f"{sampler:8}{trained:8,}   {columns}{f'{opening:8.0f}' if trained else ''}".rstrip(), flush=True)


def timed(function: Callable[[keras_tuner.HyperParameters], int], points: list[keras_tuner.HyperParameters]) -> str:
    """The milliseconds of `function` at each point."""
    times: Times = []
    for hyperparameters in points:
        keras.backend.clear_session()
        began = now()
        function(hyperparameters)
        times.append(1000 * (now() - began))
    return milliseconds(times)


def print_counts(networks: Networks, repeats: int) -> None:
    """Print the times of the closed form and of Keras at the same points, where both must count the same."""
    points = networks.feasible(repeats)

    def in_closed_form(hyperparameters: keras_tuner.HyperParameters) -> int:
        return networks.measure(hyperparameters.values).params

    def by_building(hyperparameters: keras_tuner.HyperParameters) -> int:
        return networks.space.build(hyperparameters).count_params()

    assert [in_closed_form(point) for point in points] == [by_building(point) for point in points]
    print(f"closed form            {timed(in_closed_form, points)}")
    print(f"building the model     {timed(by_building, points)}")


def main() -> None:
    """Measure, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--trials", type=int, nargs="+", default=[0, 100, 1000, 5000], help="trained trials in the study"
    )
    parser.add_argument("--samplers", nargs="+", default=["tpe", "random"])
    parser.add_argument("--repeats", type=int, default=30, help="claims, and networks counted")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    networks = Networks()
    with old_objects_passed_over():  # as in a search
        print(f"{len(networks.parameters)} hyperparameters; milliseconds: median (middle 80 %), of the processor, n")
        print(f"\n{'sampler':8}{'trained':>8}   {'a refusal':38}{'a claim':38}opening the study, first claim")
        for sampler in options.samplers:
            print_proposals(networks, sampler, options.trials, options.repeats)
        print("\ncounting one network")
        print_counts(networks, options.repeats)


if __name__ == "__main__":
    main()
