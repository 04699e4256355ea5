"""Optuna's own TPE and ours make the same proposals from the same trials."""

import random
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from kerastuna.search.compat.optuna_tpe import KeepingTpe

Suggest = Callable[[optuna.Trial], None]


def suggest(trial: optuna.Trial) -> None:
    """Every kind of parameter, some under conditions."""
    trial.suggest_float("x", -1, 2)
    trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    trial.suggest_float("dropout", 0.0, 0.25, step=0.05)
    trial.suggest_int("width", 4, 48, step=2)
    trial.suggest_int("units", 1, 1000, log=True)
    trial.suggest_int("only", 3, 3)
    if trial.suggest_categorical("head", ["gap", "conv", "dense"]) != "gap":
        trial.suggest_int("depth", 0, 9)
        trial.suggest_float("decay", 1e-6, 1e-2, log=True)
        trial.suggest_float("scale", 0, 1)
        trial.suggest_categorical("norm", [True, False])


def few(trial: optuna.Trial) -> None:
    """Parameters with many equal values."""
    for name in "abcdefghij":
        trial.suggest_float(name, 0, 1)
    trial.suggest_categorical("k", [1, 2])


def proposals(
    sampler_at: Callable[[int], optuna.samplers.BaseSampler],
    suggest: Suggest,
    *,
    directions: int = 1,
    trials: int = 90,
    maximize: bool = True,
) -> list[dict[str, Any]]:
    """What is proposed in a study whose trials are refused, stopped, infeasible, failed, and end out of order."""
    made: list[dict[str, Any]] = []
    draw = random.Random(3)
    direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
    study = optuna.create_study(directions=[direction for _ in range(directions)])
    running: list[optuna.Trial] = []
    for number in range(trials):
        study.sampler = sampler_at(number)
        trial = study.ask()
        suggest(trial)
        made.append(trial.params)
        fate = draw.random()
        if fate < 0.3:
            study.tell(trial, state=TrialState.FAIL)  # a refused proposal
            continue
        if fate < 0.4 and directions == 1:
            trial.set_constraint("c", draw.choice([-1.0, 0.5, 2.0]))
        running.append(trial)
        while len(running) > 2:
            ended = running.pop(draw.randrange(3))
            values = [
                round(sum(float(x) for x in ended.params.values() if isinstance(x, float)), 1)
                for _ in range(directions)
            ]
            if directions > 1:
                values[1] = float(len(ended.params))
            if draw.random() < 0.3 and directions == 1:
                if draw.random() < 0.8:
                    ended.report(values[0] if draw.random() < 0.9 else float("nan"), step=draw.choice([1, 2]))
                study.tell(ended, state=TrialState.PRUNED)
            else:
                study.tell(ended, values)
    return made


@pytest.mark.parametrize("suggest", [suggest, few])
@pytest.mark.parametrize(("directions", "maximize"), [(1, True), (1, False), (2, True)])
def test_its_proposals_are_those_of_optunas_own(suggest: Suggest, directions: int, maximize: bool) -> None:
    tpe = KeepingTpe()
    kept = proposals(lambda number: tpe.seeded(number), suggest, directions=directions, maximize=maximize)
    own = proposals(lambda number: TPESampler(seed=number), suggest, directions=directions, maximize=maximize)
    assert kept == own


def test_its_proposals_are_those_of_optunas_own_with_more_trials_than_it_weighs_alike() -> None:
    tpe = KeepingTpe()
    kept = proposals(lambda number: tpe.seeded(number), suggest, trials=250)
    assert kept == proposals(lambda number: TPESampler(seed=number), suggest, trials=250)


def test_it_may_be_given_another_study() -> None:
    tpe = KeepingTpe()
    first = proposals(lambda number: tpe.seeded(number), few, trials=30)
    assert proposals(lambda number: tpe.seeded(number), few, trials=30) == first
