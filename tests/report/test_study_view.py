"""The data of a study that its figures show."""

import random

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial
from study_samples import ACCURACY, FRONT, LIMITS, LOSS, make_study, make_trial, mixed_trials

from kerastuna.search.errors import CannotDraw, KerastunaError
from kerastuna.search.report.study_view import Point, pareto_front, view_of
from kerastuna.search.study.budget import Budget
from kerastuna.search.study.goal import BestMetric, Goal, SmallestNetwork


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1), st.booleans())
def test_pareto_front_is_what_nothing_dominates(pairs, maximize):
    trials = [
        create_trial(state=TrialState.COMPLETE, value=float(value), user_attrs={"params": params})
        for params, value in pairs
    ]
    points = [Point(place, trial, trial.value or 0.0) for place, trial in enumerate(trials, start=1)]
    sign = 1 if maximize else -1
    expected = {
        (p, v) for p, v in pairs if not any(q <= p and sign * w >= sign * v and (q, w) != (p, v) for q, w in pairs)
    }
    front = [(point.cost("params"), int(point.value)) for point in pareto_front(points, maximize=maximize)]
    assert front == sorted(expected)


def test_a_view_has_the_trained_trials_in_their_order(study):
    view = view_of(study)
    assert len(view.trials) == len(study.trials)
    trained = [t.number for t in study.trials if t.user_attrs.get("reason") in (None, "stopped_early")]
    assert [point.trial.number for point in view.points] == trained
    assert [point.place for point in view.points] == list(range(1, 33))
    assert len(view.complete) == 20
    assert (view.objective, view.maximize) == ("val_accuracy", True)
    assert view.best is not None
    assert view.best.number == study.best_trial.number


def test_the_note_names_the_data_behind_the_figures(study):
    name = "mnist-convnet-15000-quick"
    data = "4,000 training images, 4 epochs, one seed each"
    assert view_of(study).note == f"{name}; 20 complete trials, 12 stopped early; {data}"
    of_rows = make_study([])
    of_rows.set_user_attr(
        "identity", {"data": {"images": 4000, "input_shape": [13]}, "epochs": 4, "objective": ["a", "min"]}
    )
    assert "4,000 training rows, 4 epochs" in view_of(of_rows).note
    foreign = optuna.create_study(study_name="x" * 50)
    assert view_of(foreign).note == f"{'x' * 39}...; 0 complete trials, 0 stopped early"


def test_the_limits_are_those_of_the_study_unless_others_are_given():
    study = make_study([], budget=LIMITS)
    assert view_of(study).limits == LIMITS
    assert view_of(study, Budget(macs=5)).limits == {"macs": 5}
    assert view_of(make_study([])).limits == {}


@pytest.mark.parametrize(
    ("goal", "best_is", "label"),
    [
        (BestMetric(ACCURACY), "best", "trial 1: 0.9700"),
        (BestMetric(LOSS), "best", "trial 0: 0.9600"),
        (FRONT, "best val_accuracy", "trial 1: 0.9700"),
        (SmallestNetwork(ACCURACY, "params", 0.95), "smallest that reaches 0.95", "trial 0: 0.9600, 100 parameters"),
        (SmallestNetwork(ACCURACY, "params", 0.99), "closest to 0.99", "trial 1: 0.9700, 200 parameters"),
    ],
)
def test_the_best_trial_is_named_in_the_words_of_the_goal(goal: Goal, best_is: str, label: str):
    rng = random.Random(0)
    trials = [make_trial(rng, n, value=0.96 + n / 100, params=100 * (n + 1)) for n in range(2)]
    view = view_of(make_study(trials, goal))
    assert (view.best_is, view.best_label) == (best_is, label)


def test_a_study_without_a_complete_trial_has_no_best_one():
    view = view_of(make_study(mixed_trials(complete=0)))
    assert (view.best, view.best_is, view.best_label) == (None, "", "")
    with pytest.raises(CannotDraw, match="no trial is complete yet"):
        _ = view.complete
    assert issubclass(CannotDraw, KerastunaError)


def test_a_cost_has_to_be_known_of_every_trained_network(study):
    view_of(study).check_counted("macs")
    trial = make_trial(random.Random(0), 0)
    trial.user_attrs = {key: value for key, value in trial.user_attrs.items() if key != "macs"}
    with pytest.raises(CannotDraw, match="the MACs of the networks were not counted"):
        view_of(make_study([trial])).check_counted("macs")


def test_the_best_so_far_follows_the_direction():
    assert view_of(make_study([])).best_so_far([2, 1, 3]) == [2, 2, 3]
    assert view_of(make_study([], BestMetric(LOSS))).best_so_far([2, 1, 3]) == [2, 1, 1]
