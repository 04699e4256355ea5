"""Samplers and pruners by name. As a script, this prints the proposals of a sampler, made in another process."""

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from kerastuna.search.commands import options
from kerastuna.search.proposals.pruners import FIRST_RUNG, PRUNERS, pruner_for
from kerastuna.search.proposals.samplers import SAMPLERS, sampler_for
from kerastuna.search.study.seeds import derive_seed
from kerastuna.spaces.errors import InputError

INSTALLED = [name for name in SAMPLERS if name not in ("gp", "cmaes")]
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


@pytest.mark.parametrize("name", INSTALLED)
def test_a_seed_and_a_number_make_the_same_proposal_in_another_process(name: str) -> None:
    here = proposals(name, 3, [0, 60, 61, 1000])
    there = subprocess.run(
        [sys.executable, __file__, name, "3", "0", "60", "61", "1000"], capture_output=True, text=True, check=True
    )
    assert json.loads(there.stdout) == here
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
    with pytest.raises(InputError, match=rf"'{name}' needs {package}, .* pip install 'kerastuna\[samplers\]'"):
        sampler_for(name, 0)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="sampler 'bayes' is unknown: choose one of tpe, random, gp, cmaes, nsga2"):
        sampler_for("bayes", 0)
    with pytest.raises(InputError, match="pruner 'hyper' is unknown: choose one of halving, hyperband, median, none"):
        pruner_for("hyper", 20)


def test_an_instance_is_used_as_it_is() -> None:
    sampler, pruner = optuna.samplers.RandomSampler(), optuna.pruners.NopPruner()
    assert sampler_for(sampler, 0)(0) is sampler_for(sampler, 1)(7) is sampler
    assert pruner_for(pruner, 3) is pruner


def test_the_command_offers_what_there_is() -> None:
    assert tuple(SAMPLERS) == options.SAMPLERS
    assert PRUNERS == options.PRUNERS


def test_seeds() -> None:
    assert derive_seed(0, "training", 1) == derive_seed(0, "training", 1)
    assert derive_seed(1, "a") == 2863185544  # whatever the process, the machine or the version of Python
    seeds = {derive_seed(study, "tpe", number) for study in range(20) for number in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert derive_seed(1, 23) != derive_seed(12, 3)


def stopped(pruner: optuna.pruners.BasePruner, curves: list[list[float]]) -> list[int | None]:
    """The epoch, from 1, at which each trial with such values is stopped."""
    study = optuna.create_study(direction="maximize", pruner=pruner, study_name="fixed")
    epochs: list[int | None] = []
    for curve in curves:
        trial = study.ask()
        end = None
        for epoch, value in enumerate(curve, start=1):
            trial.report(value, epoch)
            if trial.should_prune():
                end = epoch
                break
        epochs.append(end)
        study.tell(trial, state=TrialState.PRUNED if end else TrialState.COMPLETE, values=None if end else curve[-1])
    return epochs


@pytest.mark.parametrize("name", ["halving", "hyperband", "median"])
@pytest.mark.parametrize("epochs", [1, 2, 6, 20, None])
def test_bad_trials_are_stopped_but_never_at_the_first_epoch(name: str, epochs: int | None) -> None:
    curves = [[0.9 - 0.01 * number] * (epochs or 10) for number in range(30)]
    ends = stopped(pruner_for(name, epochs), curves)
    assert ends[0] is None
    assert all(end is None or end >= FIRST_RUNG for end in ends)
    assert any(ends) == (epochs != 1)


def test_halving_keeps_what_gets_better_and_stops_what_does_not() -> None:
    good = [[0.5 + 0.01 * number] * 20 for number in range(10)]
    bad = [[0.4] * 20] * 3
    ends = stopped(pruner_for("halving", 20), good + bad)
    assert ends[:10] == [None] * 10
    assert ends[10:] == [4, 4, 4]  # a fifth of the epochs


def test_none_stops_nothing() -> None:
    assert not any(stopped(pruner_for("none", 20), [[0.9 - 0.01 * number] * 20 for number in range(30)]))


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(json.dumps(proposals(sys.argv[1], int(sys.argv[2]), [int(number) for number in sys.argv[3:]])))
