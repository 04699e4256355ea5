"""The figures of the trials: their points, labels and axes."""

import random

import numpy as np
import pytest
from figure_layout import all_text
from optuna.trial import TrialState
from study_samples import ACCURACY, BEGAN, BUDGET, LOSS, legend, lines, make_study, make_trial, of_state

from kerastuna.search.report.study_report import study_figures
from kerastuna.search.study.budget import Budget
from kerastuna.search.study.goal import BestMetric, SmallestNetwork


def test_history_has_a_point_for_every_trained_trial(study, figures):
    figure = figures["optimization_history"]
    (complete,), (stopped,), (best,) = (lines(figure, gid) for gid in ("complete", "stopped", "best_so_far"))
    beyond = sum(map(len, lines(figure, "beyond")))
    assert [value for _, value in complete] == [t.value for t in of_state(study, TrialState.COMPLETE)]
    assert len(stopped) + beyond == len(of_state(study, TrialState.PRUNED, "stopped_early"))
    places = [place for points in (complete, stopped, *lines(figure, "beyond")) for place, _ in points]
    assert sorted(places) == list(range(1, 33))
    assert best[:-1, 1].tolist() == np.maximum.accumulate(complete[:, 1]).tolist()
    assert best[-1].tolist() == [32, study.best_value]
    assert f"best so far (trial {study.best_trial.number}: {study.best_value:.4f})" in legend(figure)
    assert figure.axes[0].get_ylabel() == "val_accuracy"
    assert "20 complete trials, 12 stopped early; 4,000 training images, 4 epochs" in all_text(figure)


def test_the_budget_line_stands_at_the_budget(study, figures):
    (budget,) = lines(figures["params_vs_accuracy"], "budget")
    assert budget[:, 0].tolist() == [BUDGET, BUDGET]
    assert "budget 15,000" in legend(figures["params_vs_accuracy"])
    (other,) = lines(study_figures(study, 9_000).drawn["params_vs_accuracy"], "budget")
    assert other[:, 0].tolist() == [9_000, 9_000]
    without = study_figures(study).drawn["params_vs_accuracy"]
    assert not lines(without, "budget")


def test_params_figure_shows_the_front(study, figures):
    complete = of_state(study, TrialState.COMPLETE)
    points = sorted((t.user_attrs["params"], t.value) for t in complete)
    (drawn,) = lines(figures["params_vs_accuracy"], "complete")
    assert sorted(map(tuple, drawn.tolist())) == points
    (front,) = lines(figures["params_vs_accuracy"], "pareto_front")
    undominated = [(p, v) for p, v in points if not any(q <= p and w >= v and (q, w) != (p, v) for q, w in points)]
    assert [tuple(point) for point in front.tolist()] == undominated
    numbers = {text.get_text() for text in figures["params_vs_accuracy"].axes[0].texts if text.get_gid() == "number"}
    assert numbers <= {str(t.number) for t in complete if (t.user_attrs["params"], t.value) in undominated}
    assert str(study.best_trial.number) in numbers


def test_a_trial_that_was_tried_again_is_drawn_with_its_own_epochs():
    rng = random.Random(0)
    trials = [make_trial(rng, number) for number in range(6)]
    trials[2].user_attrs["history"] = [{"val_accuracy": 0.5}] * 2
    figure = study_figures(make_study(trials), BUDGET).drawn["intermediate_values"]
    drawn = [line for gid in ("complete", "stopped", "best") for line in lines(figure, gid)]
    assert sorted(map(len, drawn))[0] == 2


def test_intermediate_values_set_apart_what_was_stopped(study, figures):
    figure = figures["intermediate_values"]
    stopped = of_state(study, TrialState.PRUNED, "stopped_early")
    drawn = [points.tolist() for points in lines(figure, "stopped")]
    assert sorted(drawn) == sorted([[float(e), v] for e, v in t.intermediate_values.items()] for t in stopped)
    assert len(lines(figure, "complete")) == 19
    (best,) = lines(figure, "best")
    assert best.tolist() == [list(item) for item in study.best_trial.intermediate_values.items()]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("epoch", "val_accuracy")


def test_incumbent_is_drawn_over_time(study, figures):
    (incumbent,) = lines(figures["incumbent_over_time"], "incumbent")
    complete = of_state(study, TrialState.COMPLETE)
    assert incumbent[:, 0] == pytest.approx([(t.datetime_complete - BEGAN).total_seconds() / 60 for t in complete])
    assert incumbent[:, 1].tolist() == np.maximum.accumulate([t.value for t in complete]).tolist()
    assert figures["incumbent_over_time"].axes[0].get_xlabel() == "wall-clock time in minutes"


def test_an_objective_that_is_to_be_small():
    rng = random.Random(0)
    values = [0.9, 0.3, 0.5, 0.2, 0.4, 7.0]
    study = make_study([make_trial(rng, n, value=v) for n, v in enumerate(values)], BestMetric(LOSS))
    figures = study_figures(study, BUDGET).drawn
    (best,) = lines(figures["optimization_history"], "best_so_far")
    assert best[:, 1].tolist() == [0.9, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2]
    assert figures["optimization_history"].axes[0].get_ylabel() == "val_loss"
    assert lines(figures["optimization_history"], "beyond")[0].tolist() == [[6, 1]]
    (front,) = lines(figures["params_vs_loss"], "pareto_front")
    assert front[-1, 1] == 0.2
    (first, *_, last) = lines(figures["parallel_coordinates"], "trial")
    assert (first[-1, 1], last[-1, 1]) == (1, 0)


@pytest.mark.parametrize("name", ["macs_vs_accuracy", "intermediate_values"])
def test_the_target_is_a_line_within_the_axis(target_figures, name):
    (target,) = lines(target_figures[name], "target")
    assert target[:, 1].tolist() == [0.974, 0.974]
    assert "target 0.974" in legend(target_figures[name])
    far = make_study([make_trial(random.Random(n), n) for n in range(4)], SmallestNetwork(ACCURACY, "macs", 0.9999))
    bottom, top = study_figures(far).drawn[name].axes[0].get_ylim()
    assert bottom < 0.9999 < top


def test_the_cost_that_is_minimised_has_its_limit(target_study, target_figures):
    figure = target_figures["macs_vs_accuracy"]
    assert lines(figure, "budget")[0][0, 0] == 3_000_000
    assert "at most 3,000,000 MACs" in legend(figure)
    assert figure.axes[0].get_xlabel() == "MACs for one image"
    own = study_figures(target_study, Budget(macs=2_000_000)).drawn["macs_vs_accuracy"]
    assert lines(own, "budget")[0][0, 0] == 2_000_000
