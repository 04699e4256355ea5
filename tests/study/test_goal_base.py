"""What every goal has in common: how it ranks trials, and what it answers unless a goal says otherwise."""

import math
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from kerastuna.search.study.goal import BestMetric, SmallestNetwork
from kerastuna.search.study.goal_base import Quantity, enumeration, score_of

ACCURACY, LOSS = Quantity("val_accuracy", "max"), Quantity("val_loss", "min")
BEST = BestMetric(ACCURACY)


def trial_with(number: int, value: float, state: TrialState = TrialState.COMPLETE, **attributes: Any):
    trial = optuna.create_trial(state=state, value=value, user_attrs=attributes)
    trial.number = number
    return trial


@pytest.mark.parametrize(
    ("quantity", "is_cost", "sign"), [(ACCURACY, False, -1), (LOSS, False, 1), (Quantity("ram", "min"), True, 1)]
)
def test_the_better_of_two_values_is_the_smaller_one_times_its_sign(quantity: Quantity, is_cost: bool, sign: int):
    assert (quantity.is_cost, quantity.sign) == (is_cost, sign)


def test_a_score_is_the_recorded_one_or_else_the_first_value():
    assert score_of(trial_with(0, 12_345.0, score=0.9)) == 0.9
    assert score_of(trial_with(0, 0.8)) == 0.8


def test_complete_trials_with_a_finite_score_are_ranked():
    trials = [
        trial_with(0, 0.5),  # parameters that are unknown come after known ones
        trial_with(1, 0.5, params=20),
        trial_with(2, 0.5, params=10),
        trial_with(3, 0.5, params=10),
        trial_with(4, 0.9, params=900),
        trial_with(5, math.inf, params=1),
        trial_with(6, 0.99, TrialState.PRUNED, params=1),
    ]
    assert [trial.number for trial in BEST.ranked(reversed(trials))] == [4, 2, 3, 1, 0]
    assert BEST.leaderboard(trials) == BEST.results(trials) == BEST.ranked(trials)


def test_a_trial_that_violates_a_constraint_is_no_result():
    goal = SmallestNetwork(ACCURACY, "params", 0.6)
    trials = [trial_with(0, 10, params=10, score=0.5), trial_with(1, 20, params=20, score=0.6)]
    assert [trial.number for trial in goal.leaderboard(trials)] == [1, 0]
    assert [trial.number for trial in goal.results(trials)] == [1]


def test_what_optuna_is_told_to_optimise():
    goal = SmallestNetwork(ACCURACY, "macs", 0.6)
    assert (goal.directions, goal.costs) == (["minimize"], ("macs",))
    assert (BEST.directions, BEST.costs) == (["maximize"], ())
    assert BestMetric(LOSS).directions == ["minimize"]


def test_a_goal_without_constraints_has_every_score_as_a_result():
    assert BEST.constraints(0.1) == {}
    assert BEST.is_met(-math.inf)
    assert (BEST.target, BEST.mark, BEST.note(0.1, {}), BEST.recorded("COMPLETE", 0.1, {})) == (
        None,
        None,
        "",
        ({}, {}),
    )


def test_names_are_listed_as_in_a_sentence():
    assert enumeration(["accuracy", "loss", "parameters"]) == "accuracy, loss and parameters"
    assert enumeration(["accuracy", "RAM"]) == "accuracy and RAM"
