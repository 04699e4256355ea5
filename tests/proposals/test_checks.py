"""Any sampler and any pruner of Optuna works, or is refused in one line before the first trial."""

import json
import random
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from tuner_support import complete_all

from kerastuna.search import OptunaOracle
from kerastuna.search.proposals.checks import check_pruner, check_sampler
from kerastuna.search.proposals.distributions import ParameterSpace
from kerastuna.search.proposals.names import PRUNER_NAMES, SAMPLER_NAMES
from kerastuna.search.proposals.pruners import named_pruner
from kerastuna.search.proposals.samplers import sampler_for
from kerastuna.search.study.budget import Size
from kerastuna.spaces.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.* is experimental", "ignore:.*is an experimental feature")


def declare(hp: keras_tuner.HyperParameters) -> None:
    hp.Int("width", 4, 32, step=4)
    hp.Choice("kind", ["a", "b", "c"])
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("extra", 1, 3)


def hyperparameters() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    declare(hp)
    return hp


SPACE = ParameterSpace(hyperparameters().space)


class Own(samplers.BaseSampler):
    """As a user may write one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.random = random.Random(0)
        self.error = error

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if self.error is not None:
            raise self.error
        return samplers.RandomSampler(self.random.randrange(2**32)).sample_independent(
            study, trial, param_name, param_distribution
        )


INSTANCES: dict[str, Callable[[], samplers.BaseSampler]] = {
    "random": lambda: samplers.RandomSampler(seed=0),
    "tpe": lambda: samplers.TPESampler(seed=0),
    "tpe with options": lambda: samplers.TPESampler(seed=0, n_startup_trials=3, multivariate=True, group=True),
    "nsga2": lambda: samplers.NSGAIISampler(seed=0, population_size=4),
    "nsga3": lambda: samplers.NSGAIIISampler(seed=0, population_size=4),
    "partial": lambda: samplers.PartialFixedSampler({"kind": "b"}, samplers.TPESampler(seed=0)),
    "qmc": lambda: samplers.QMCSampler(seed=0, warn_independent_sampling=False),
    "cmaes": lambda: samplers.CmaEsSampler(seed=0, warn_independent_sampling=False),
    "gp": lambda: samplers.GPSampler(seed=0, n_startup_trials=4, warn_independent_sampling=False),
    "own": Own,
}
PACKAGES = {"cmaes": "cmaes", "gp": "torch", "qmc": "scipy"}


def make(folder: Path, sampler: Any, max_trials: int = 12, **given: Any) -> OptunaOracle:
    oracle = OptunaOracle(
        keras_tuner.Objective("score", "max"),
        max_trials,
        seed=0,
        sampler=sampler,
        budget=2000,
        measure=lambda hp, costs: Size(100 * int(hp.values["width"])),
        hyperparameters=hyperparameters(),
        **given,
    )
    oracle._set_project_dir(folder, "project")
    oracle.verbose = 0
    return oracle


def run(oracle: OptunaOracle) -> list[dict[str, Any]]:
    return complete_all(oracle, lambda values: values["width"] - abs(values["rate"] - 0.3))


@pytest.mark.parametrize("name", INSTANCES)
def test_an_instance_makes_distinct_proposals_within_the_budget_and_goes_on(tmp_path: Path, name: str) -> None:
    if find_spec(PACKAGES.get(name, "optuna")) is None:
        with pytest.raises(InputError, match=rf"sampler '\w+' needs {PACKAGES[name]}.*, which is not installed: pip"):
            make(tmp_path, INSTANCES[name]())
        return
    done = run(make(tmp_path, INSTANCES[name](), 6))
    done += run(make(tmp_path, INSTANCES[name]()))
    assert len(done) == 12
    assert len({json.dumps(values, sort_keys=True) for values in done}) == 12
    assert all(values["width"] <= 20 for values in done)
    assert len({values["width"] for values in done}) >= 3
    if name == "partial":
        assert {values["kind"] for values in done} == {"b"}


def test_what_is_fixed_stays_so_when_the_sampler_is_passed_over(tmp_path: Path) -> None:
    """At random after refusals in a row, and from a list when a small space is nearly exhausted."""
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 4, 400, step=4)
    hp.Choice("kind", ["a", "b"])
    sampler = samplers.PartialFixedSampler({"kind": "b"}, samplers.TPESampler(seed=0))
    oracle = OptunaOracle(
        keras_tuner.Objective("score", "max"),
        100,
        seed=0,
        sampler=sampler,
        budget=2000,
        measure=lambda hp, costs: Size(100 * int(hp.values["width"])),
        hyperparameters=hp,
    )
    oracle._set_project_dir(tmp_path, "project")
    oracle.verbose = 0
    done = []
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        oracle.update_trial(trial.trial_id, {"score": trial.hyperparameters.values["width"]})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        done.append(trial.hyperparameters.values)
    assert sorted(values["width"] for values in done) == [4, 8, 12, 16, 20]
    assert {trial.params["kind"] for trial in oracle.study.trials} == {"b"}


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (
            lambda: Own(RuntimeError("no\nway")),
            r"sampler Own cannot make .* \(RuntimeError: no way\): choose another sampler",
        ),
        (
            lambda: samplers.TPESampler(seed=0, constraints_func=lambda trial: (trial.user_attrs["params"],)),
            r"sampler TPESampler cannot make .* \(KeyError: 'params'\)",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*constraints_func")
def test_a_sampler_that_cannot_work_is_refused_before_the_first_trial(
    tmp_path: Path, sampler: Callable[[], samplers.BaseSampler], message: str
) -> None:
    oracle = make(tmp_path, sampler())
    with pytest.raises(InputError, match=message) as told:
        oracle.create_trial("tuner0")
    assert "\n" not in str(told.value)
    assert not list(tmp_path.rglob("*.journal"))


def test_a_value_that_is_fixed_outside_the_space_is_told() -> None:
    sampler = samplers.PartialFixedSampler({"kind": "z"}, samplers.RandomSampler())
    with pytest.raises(InputError, match=r"PartialFixedSampler cannot make proposals .* 'z' not in "):
        check_sampler(lambda number: sampler, ["maximize"], SPACE)


@pytest.mark.parametrize(
    "sampler",
    [
        lambda: type("Mine", (samplers.GridSampler,), {})({"width": [4]}),
        lambda: samplers.PartialFixedSampler({"width": 4}, samplers.GridSampler({"kind": ["a"]})),
    ],
)
def test_a_sampler_that_ends_optunas_loop_is_refused(sampler: Callable[[], samplers.BaseSampler]) -> None:
    with pytest.raises(InputError, match=r"(Mine|PartialFixedSampler) would end a loop of Optuna's.* or \"grid\""):
        sampler_for(sampler(), 0)


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_the_samplers_by_name_pass_for_one_objective_and_for_several(name: str) -> None:
    if find_spec(PACKAGES.get(name, "optuna")) is None:
        pytest.skip(f"{PACKAGES[name]} is not installed")
    finite = keras_tuner.HyperParameters()
    finite.Int("width", 4, 32, step=4)
    space = ParameterSpace(finite.space) if name == "grid" else SPACE
    check_sampler(sampler_for(name, 0), ["maximize"], space)
    if name == "cmaes":
        with pytest.raises(InputError, match=r"CmaEsSampler cannot make proposals .* multi-objective"):
            check_sampler(sampler_for(name, 0), ["maximize", "minimize"], space)
    else:
        check_sampler(sampler_for(name, 0), ["maximize", "minimize"], space)


def test_a_sampler_that_is_tried_out_stays_as_it_was() -> None:
    sampler, other = Own(), Own()
    sampler.study = threading.Lock()  # type: ignore[attr-defined]
    for each in (sampler, other):
        check_sampler(lambda number, each=each: each, ["maximize"], SPACE)
        assert each.random.getstate() == random.Random(0).getstate()


# Pruners


class OwnPruner(pruners.BasePruner):
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        if self.error is not None:
            raise self.error
        return trial.number % 3 == 2


def curve(number: int) -> Sequence[float]:
    """Of trials of which the later ones are worse; every other one gets worse from the second epoch on."""
    return [1 / (number + 1) + (0.01 if number % 2 else -0.01) * epoch for epoch in range(10)]


@pytest.mark.parametrize(
    "pruner",
    [
        lambda: pruners.MedianPruner(n_startup_trials=2),
        lambda: pruners.PercentilePruner(25.0, n_startup_trials=2),
        lambda: pruners.PatientPruner(pruners.MedianPruner(n_startup_trials=2), patience=1),
        lambda: pruners.PatientPruner(None, patience=1),
        lambda: pruners.ThresholdPruner(lower=0.1),
        lambda: pruners.WilcoxonPruner(p_threshold=0.2),
        lambda: pruners.HyperbandPruner(min_resource=1, max_resource=10),
        lambda: pruners.HyperbandPruner(),
        lambda: pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        lambda: pruners.SuccessiveHalvingPruner(),
        lambda: OwnPruner(),
    ],
)
def test_a_pruner_of_optunas_stops_trials(tmp_path: Path, pruner: Callable[[], pruners.BasePruner]) -> None:
    oracle = make(tmp_path, "random", 20, pruner=pruner())
    ends = []
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        for epoch, score in enumerate(curve(len(ends)), start=1):
            if stopped := oracle.report(trial.trial_id, epoch, {"score": score}):
                break
        oracle.update_trial(trial.trial_id, {"score": score})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        ends.append(epoch if stopped else None)
    assert len(ends) == 20
    assert 0 < sum(end is not None for end in ends) < 20
    told = [trial.user_attrs.get("reason") for trial in oracle.study.trials if trial.state.name != "COMPLETE"]
    assert told.count("stopped_early") == sum(end is not None for end in ends)


def test_a_pruner_that_cannot_work_is_refused_before_the_first_trial(tmp_path: Path) -> None:
    oracle = make(tmp_path, "random", pruner=OwnPruner(LookupError("no\nway")))
    with pytest.raises(InputError, match=r"pruner OwnPruner cannot judge .* \(LookupError: no way\): choose another"):
        oracle.create_trial("tuner0")
    assert not list(tmp_path.rglob("*.journal"))


@pytest.mark.parametrize("name", PRUNER_NAMES)
def test_the_pruners_by_name_pass_for_one_objective_only(name: str) -> None:
    pruner = named_pruner(name, 20)
    check_pruner(pruner, ["maximize"])
    if name == "none":
        check_pruner(pruner, ["maximize", "minimize"])
        return
    with pytest.raises(InputError, match=r"Pruner compares trials by one metric, and this study has 2 objectives"):
        check_pruner(pruner, ["maximize", "minimize"])
