"""Samplers by name. As a script, this prints the proposals of each, made in another process."""

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import optuna
import pytest

from kerastuna.search.proposals.names import SAMPLER_NAMES
from kerastuna.search.proposals.samplers import sampler_for
from kerastuna.spaces.errors import InputError

INSTALLED = [name for name in SAMPLER_NAMES if name not in ("gp", "cmaes")]
"""Those that need none of the extra packages."""


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("x", 1e-4, 1, log=True)
    trial.suggest_int("n", 4, 48, step=2)
    if trial.suggest_categorical("kind", ["a", "b", "c"]) != "a":
        trial.suggest_int("extra", 0, 99)
    return trial.params


def proposals(name: str, seed: int, numbers: list[int]) -> list[dict[str, Any]]:
    """The proposals of these numbers, each after the same 60 trials (more than a population of NSGA-II)."""
    made = []
    for number in numbers:
        study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), sampler=optuna.samplers.RandomSampler(7))
        for past in range(60):
            trial = study.ask()
            suggest(trial)
            study._storage.set_trial_system_attr(trial._trial_id, "_Nsga2:generation", past // 50)
            study.tell(trial, trial.params["x"])
        study.sampler = sampler_for(name, seed)(number)
        made.append(suggest(study.ask()))
    return made


NUMBERS = [0, 60, 61, 1000]


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, Any]:
    """The proposals of each sampler by seed 3, made in another process."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", INSTALLED)
def test_a_seed_and_a_number_make_the_same_proposal_in_another_process(elsewhere: dict[str, Any], name: str) -> None:
    here = proposals(name, 3, NUMBERS)
    assert elsewhere[name] == here
    assert len({json.dumps(proposal) for proposal in here}) == 4
    assert proposals(name, 4, [60]) != here[1:2]


def test_random_parameters_of_a_condition_differ_from_proposal_to_proposal() -> None:
    """Those that Optuna leaves to the independent sampler, which must not begin again each time."""
    extras = [proposal["extra"] for proposal in proposals("qmc", 0, list(range(20))) if "extra" in proposal]
    assert len(set(extras)) > len(extras) / 2


def test_qmc_covers_the_space_evenly() -> None:
    """32 points of its sequence: one in each 32nd part of a range, which random points miss."""
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    study.add_trial(
        optuna.create_trial(
            value=0.0, params={"x": 0.5}, distributions={"x": optuna.distributions.FloatDistribution(0, 1)}
        )
    )
    values = []
    for number in range(32):
        study.sampler = sampler_for("qmc", 5)(number)
        values.append(study.ask().suggest_float("x", 0, 1))
    assert {int(value * 32) for value in values} == set(range(32))


@pytest.mark.parametrize("name", ["gp", "cmaes"])
def test_a_sampler_without_its_package_is_told_when_it_is_chosen(name: str) -> None:
    package = {"gp": "torch", "cmaes": "cmaes"}[name]
    if find_spec(package) is not None:
        assert len(proposals(name, 0, [60])) == 1
        return
    with pytest.raises(InputError, match=rf"'{name}' needs {package}, .* pip install 'PATH/TO/kerastuna\[samplers\]'"):
        sampler_for(name, 0)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="sampler 'bayes' is unknown: choose one of tpe, random, gp, cmaes, nsga2"):
        sampler_for("bayes", 0)


def test_an_instance_is_used_as_it_is() -> None:
    sampler = optuna.samplers.RandomSampler()
    assert sampler_for(sampler, 0)(0) is sampler_for(sampler, 1)(7) is sampler


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(json.dumps({name: proposals(name, 3, NUMBERS) for name in INSTALLED}))
