"""The goals of a study: how trials are ranked, what a goal says of itself, and how it is read back from a study."""

import math
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search.study.goal import BestMetric, Goal, ParetoFront, Quantity, SmallestNetwork, goal_of

ACCURACY, LOSS = Quantity("val_accuracy", "max"), Quantity("val_loss", "min")
PARAMS, MACS = Quantity("params", "min"), Quantity("macs", "min")
FRONT = ParetoFront(ACCURACY, (ACCURACY, PARAMS))
SMALLEST = SmallestNetwork(ACCURACY, "params", 0.9)


def trials_of(goal: Goal, *made: tuple[float, int | None]) -> list[FrozenTrial]:
    """Complete trials with these scores and parameters, as they come back from a storage."""
    study = optuna.create_study(storage=InMemoryStorage(), directions=goal.directions)
    for score, params in made:
        values = [score if not part.is_cost else float(params or 0) for part in goal.quantities]
        attributes = {"score": score} | ({} if params is None else {"params": params})
        study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, values=values, user_attrs=attributes))
    study.add_trial(optuna.create_trial(state=TrialState.FAIL))
    study.add_trial(optuna.create_trial(state=TrialState.PRUNED, user_attrs={"reason": "over_budget", "params": 1}))
    return study.trials


@pytest.mark.parametrize(("metric", "expected"), [(ACCURACY, [1, 3, 4, 2, 0]), (LOSS, [0, 3, 4, 2, 1])])
def test_the_best_metric_prefers_the_smaller_and_then_the_earlier_of_equals(metric: Quantity, expected: list[int]):
    goal = BestMetric(metric)
    trials = trials_of(goal, (-0.1, 1), (0.9, 900), (0.5, None), (0.5, 10), (0.5, 20), (math.inf, 1))
    assert [trial.number for trial in goal.leaderboard(trials)] == expected
    assert goal.results(trials) == goal.leaderboard(trials)
    assert goal.constraints(0.1) == {}


def test_the_smallest_network_that_reaches_the_target_is_the_best_and_the_others_follow_by_distance():
    trials = trials_of(SMALLEST, (0.95, 900), (0.91, 300), (0.9, 300), (0.89, 10), (0.2, 5), (0.89, 9))
    assert [trial.number for trial in SMALLEST.leaderboard(trials)] == [1, 2, 0, 5, 3, 4]
    assert [trial.number for trial in SMALLEST.results(trials)] == [1, 2, 0]
    assert SMALLEST.directions == ["minimize"]
    assert SMALLEST.constraints(0.85) == {"val_accuracy": pytest.approx(0.05)}
    assert SMALLEST.constraints(0.95) == {"val_accuracy": pytest.approx(-0.05)}
    below = SmallestNetwork(LOSS, "macs", 0.3)
    assert below.constraints(0.4) == {"val_loss": pytest.approx(0.1)}
    assert below.is_met(0.3)
    assert not below.is_met(0.31)


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (BestMetric(ACCURACY), [1, 0]),
        (SMALLEST, [0]),
        (ParetoFront(ACCURACY, (ACCURACY, PARAMS)), [1, 0]),
        (ParetoFront(ACCURACY, (PARAMS, ACCURACY)), [0]),
    ],
)
def test_a_trial_of_another_program_has_a_score_where_the_first_value_is_the_metric(goal: Goal, expected: list[int]):
    study = optuna.create_study(storage=InMemoryStorage(), directions=goal.directions)
    study.add_trials(trials_of(goal, (0.9, 300))[:1])
    study.add_trial(optuna.create_trial(values=[5.0, 400.0][: len(goal.quantities)]))
    assert [trial.number for trial in goal.leaderboard(study.trials)] == expected


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), max_size=25))
def test_the_front_is_what_optuna_takes_for_it(made: list[tuple[int, int]]):
    trials = trials_of(FRONT, *((float(score), params) for score, params in made))
    front = FRONT.leaderboard(trials)
    study = optuna.create_study(storage=InMemoryStorage(), directions=FRONT.directions)
    study.add_trials(trials)
    points = {tuple(trial.values) for trial in study.best_trials}
    assert {tuple(trial.values) for trial in front} == points
    assert len(front) == len(points)  # of equal ones the first
    assert [trial.values[0] for trial in front] == sorted((point[0] for point in points), reverse=True)


@pytest.mark.parametrize(
    "goal", [BestMetric(ACCURACY), BestMetric(LOSS), FRONT, ParetoFront(LOSS, (PARAMS, LOSS, MACS, ACCURACY)), SMALLEST]
)
def test_a_goal_is_read_back_from_its_study(goal: Goal):
    study = optuna.create_study(storage=InMemoryStorage(), directions=goal.directions)
    metric = [goal.metric.name, goal.metric.direction]
    study.set_user_attr("identity", {"objective": metric, "goal": goal.description()})
    assert goal_of(study) == goal


def test_the_study_of_another_program_has_the_goal_that_optuna_knows():
    alone = optuna.create_study(storage=InMemoryStorage(), direction="maximize")
    assert goal_of(alone) == BestMetric(Quantity("value 0", "max"))
    both = optuna.create_study(storage=InMemoryStorage(), directions=["minimize", "maximize"])
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        both.set_metric_names(["loss", "f1"])
    parts = (Quantity("loss", "min"), Quantity("f1", "max"))
    assert goal_of(both) == ParetoFront(parts[0], parts)
    both.add_trial(optuna.create_trial(state=TrialState.COMPLETE, values=[0.5, 0.5]))
    assert [trial.number for trial in goal_of(both).leaderboard(both.trials)] == [0]


BEST = BestMetric(ACCURACY)
GOALS = {"best": BEST, "front": FRONT, "smallest": SMALLEST}
COUNTED = {"params": 12_345, "macs": 678}


def each_goal(**expected: Any) -> pytest.MarkDecorator:
    """Run a test with every goal and the value that is expected for it."""
    return pytest.mark.parametrize(
        ("goal", "expected"), [(goal, expected[name]) for name, goal in GOALS.items()], ids=list(GOALS)
    )


@each_goal(
    best={},
    front={"pareto": "val_accuracy, params"},
    smallest={"minimize": "params", "reach": '{"val_accuracy": 0.9}'},
)
def test_the_settings_of_a_goal_are_text(goal: Goal, expected: dict[str, str]):
    assert goal.settings() == expected


@each_goal(
    best=(None, True, True, None),
    front=(None, False, False, ["val_accuracy", "params"]),
    smallest=(0.9, True, False, ["params"]),
)
def test_what_decides_between_trials(goal: Goal, expected: tuple[Any, ...]):
    assert (goal.target, goal.has_winner, goal.compares_by_metric, goal.value_names) == expected


@each_goal(best=((), None), front=(("params",), "front"), smallest=(("params",), "reached"))
def test_costs_and_mark(goal: Goal, expected: tuple[Any, ...]):
    assert (goal.costs, goal.mark) == expected


@each_goal(best=("value", "maximize"), front=("value", "maximize"), smallest=("params_if_reached", "minimize"))
def test_the_order_of_a_table(goal: Goal, expected: tuple[str, str]):
    assert goal.order == expected
    assert BestMetric(LOSS).order == ("value", "minimize")


@pytest.mark.parametrize(
    ("state", "score", "expected"),
    [
        ("COMPLETE", 0.95, ({"params_if_reached": 12_345}, {"reached": "yes"})),
        ("COMPLETE", 0.85, ({}, {"reached": "no"})),
        ("PRUNED", 0.95, ({}, {"reached": "no"})),
        ("FAIL", None, ({}, {})),
    ],
)
def test_a_trial_is_recorded_with_its_cost_if_it_reaches_the_target(state: str, score: float | None, expected: Any):
    assert SMALLEST.recorded(state, score, COUNTED) == expected
    assert FRONT.recorded(state, score, COUNTED) == BEST.recorded(state, score, COUNTED) == ({}, {})


def test_every_trained_trial_is_marked_as_on_the_front_or_not():
    trials = trials_of(FRONT, (0.9, 100), (0.8, 200), (0.8, 50))
    assert FRONT.marks(trials) == {0: "yes", 1: "no", 2: "yes"}  # not the failed and the refused one
    assert BEST.marks(trials) == {}


@each_goal(
    best=("val_accuracy", "by val_accuracy", "the best 1 of them", "the best 3 of them"),
    front=(
        "coming close to the front",
        "from a front, by val_accuracy",
        "the one with the best val_accuracy on the front of val_accuracy and parameters",
        "the 3 with the best val_accuracy on the front of val_accuracy and parameters",
    ),
    smallest=(
        "val_accuracy 0.9 with least params",
        "by the fewest parameters, of those that reach val_accuracy 0.9",
        "the one with the fewest parameters among those that reached val_accuracy 0.9",
        "the 3 with the fewest parameters among those that reached val_accuracy 0.9",
    ),
)
def test_a_goal_in_words(goal: Goal, expected: tuple[str, ...]):
    assert (goal.aim, goal.selection, goal.selected(1), goal.selected(3)) == expected


@each_goal(
    best=("best", "0.9500", "by the mean", ""),
    front=("best val_accuracy", "0.9500", "by the mean", ""),
    smallest=(
        "smallest that reaches 0.9",
        "0.9500, 12,345 parameters",
        "the one with the fewest parameters whose mean reaches 0.9",
        "reaches 0.9 with 12,345 parameters",
    ),
)
def test_a_trial_in_the_words_of_its_goal(goal: Goal, expected: tuple[str, ...]):
    told = (goal.superlative(0.95), goal.amounts(0.95, COUNTED), goal.reason(0.95), goal.note(0.95, COUNTED))
    assert told == expected


def test_a_missed_target_in_words():
    assert SMALLEST.superlative(0.85) == "closest to 0.9"
    assert SMALLEST.reason(0.85) == "the one whose mean comes closest to 0.9"
    assert SMALLEST.note(0.85, COUNTED) == "0.0500 short of 0.9"
    of_loss = SmallestNetwork(Quantity("val_loss", "min"), "params", 0.3)
    assert of_loss.note(0.30001234, COUNTED) == "1.234e-05 above 0.3"
    assert of_loss.note(0.3, COUNTED) == "reaches 0.3 with 12,345 parameters"
    assert SMALLEST.unmet() == "none reached val_accuracy 0.9"
    assert BEST.unmet() == "none is complete"


def test_a_loss_is_told_with_four_significant_digits():
    assert BestMetric(Quantity("val_loss", "min")).amounts(0.00001234, COUNTED) == "1.234e-05"
    assert BestMetric(Quantity("val_accuracy", "max")).amounts(0.00001234, COUNTED) == "0.0000"


@each_goal(
    best="best 2 of 3 complete trials",
    front="2 of 3 trials on the front of val_accuracy, params",
    smallest="2 of 3 complete trials; 1 reaches val_accuracy 0.9, least params first",
)
def test_the_title_of_a_leaderboard(goal: Goal, expected: str):
    assert goal.title(goal.leaderboard(trials_of(goal, (0.95, 30), (0.85, 20), (0.5, 10))), 2) == expected
