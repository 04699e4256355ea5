"""Whole searches in a simulated clock: Kerastuna's, and those of KerasTuner's tuners."""

from itertools import pairwise
from typing import Any

import pytest
from replay import keras_tuner_searches
from replay.clock import Clock, World
from replay.contenders import CONTENDERS
from replay.kerastuna_searches import kerastuna_search, references
from replay.networks import is_allowed
from replay.table import Course
from replay_support import EPOCHS, curve_at

WORLD = World(lambda values: Course(tuple(curve_at(values)), 0.5, 1.0), lambda values: curve_at(values)[-1])


def clock(trials: int = 15) -> Clock:
    return Clock(WORLD, EPOCHS, trials * EPOCHS)


def test_a_search_trains_networks_within_the_budget_until_its_epochs_are_spent() -> None:
    ran = clock()
    refused = kerastuna_search(ran, 1, sampler="random", pruner="none")
    assert ran.spent == 15 * EPOCHS
    assert [trial.at for trial in ran.trials] == [EPOCHS * number for number in range(1, 16)]
    assert all(trial.complete and is_allowed(trial.values) for trial in ran.trials)
    assert refused > 5


def test_the_pruner_stops_trials_in_their_first_half() -> None:
    ran = clock()
    kerastuna_search(ran, 1)
    assert {trial.epochs for trial in ran.trials} == {2, EPOCHS}
    assert sum(end.at - begin.at for begin, end in pairwise(ran.trials)) <= ran.spent == 15 * EPOCHS


def test_a_search_is_the_same_with_the_same_seed_only() -> None:
    runs = [clock(5), clock(5), clock(5)]
    for ran, seed in zip(runs, (1, 1, 2), strict=True):
        kerastuna_search(ran, seed)
    assert runs[0].trials == runs[1].trials
    assert runs[0].trials[0].values != runs[2].trials[0].values


def test_references_come_first() -> None:
    ran = clock(5)
    CONTENDERS["tpe_warm"].run(ran, 1)
    assert [dict(trial.values) for trial in ran.trials[:3]] == [dict(values) for values in references().values()]


@pytest.mark.parametrize("option", [{"starts": False}, {"infeasible": "learn"}, {"narrows": False}])
def test_options_change_the_proposals(option: dict[str, Any]) -> None:
    plain, changed = clock(13), clock(13)
    kerastuna_search(plain, 1, pruner="none")
    kerastuna_search(changed, 1, pruner="none", **option)
    same = [one.values == other.values for one, other in zip(plain.trials, changed.trials, strict=True)]
    assert sum(same[:10]) == (0 if "starts" in option else 10)
    assert not all(same[10:])


def test_a_number_of_trials_ends_a_search_as_well() -> None:
    ran = clock()
    kerastuna_search(ran, 1, pruner="none", max_trials=3)
    assert len(ran.trials) == 3


def test_random_search_of_keras_tuner(capfd: pytest.CaptureFixture[str]) -> None:
    ran = clock(8)
    refused = keras_tuner_searches.random_search(ran, 1)
    assert ran.spent == 8 * EPOCHS
    assert all(trial.complete and is_allowed(trial.values) for trial in ran.trials)
    assert refused > 3
    assert "Traceback" not in "".join(capfd.readouterr())
    other = clock(8)
    keras_tuner_searches.random_search(other, 2)
    assert not {tuple(one.values.items()) for one in ran.trials} & {tuple(one.values.items()) for one in other.trials}


def test_hyperband_of_keras_tuner_pays_for_an_epoch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where a third of the networks fail, it does not get far enough to go on with one.
    monkeypatch.setattr(keras_tuner_searches, "is_allowed", lambda values: True)
    ran = Clock(World(lambda values: Course((0.1, 0.2, 0.3, 0.4), 0.5, 1.0), lambda values: 0.4), EPOCHS, 60)
    keras_tuner_searches.hyperband(ran, 1)
    assert ran.spent == 60
    ends = [0, *(trial.at for trial in ran.trials)]
    paid = {(trial.epochs, trial.at - end) for trial, end in zip(ran.trials, ends, strict=False)}
    assert paid == {(2, 2), (EPOCHS, 2), (EPOCHS, EPOCHS)}
