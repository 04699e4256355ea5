"""Slices: every trained trial by its hyperparameters."""

import numpy as np
from optuna.trial import TrialState
from study_samples import legend, make_study, of_state

from kerastuna.search.report.hyperparameter_figures import hyperparameter_importances
from kerastuna.search.report.study_report import study_figures


def dots(axes, kind):
    (line,) = [line for line in axes.lines if str(line.get_gid()).startswith(kind)]
    return np.array(line.get_xydata())


def test_each_important_hyperparameter_has_a_panel_with_the_trials_that_have_it(study, figures):
    figure = figures["slices"]
    names = [axes.get_xlabel() for axes in figure.axes]
    assert names == list(hyperparameter_importances(study))[:8]
    complete = of_state(study, TrialState.COMPLETE)
    stopped = of_state(study, TrialState.PRUNED, "stopped_early")
    assert stopped
    for axes, name in zip(figure.axes, names, strict=True):
        having = [trial for trial in complete if name in trial.params]
        drawn = dots(axes, "complete")
        assert sorted(drawn[:, 1]) == sorted(trial.value for trial in having)
        assert 0 <= drawn[:, 0].min() <= drawn[:, 0].max() <= 1
        assert len(dots(axes, "stopped")) == len([trial for trial in stopped if name in trial.params])


def test_the_better_value_stands_over_its_own_value_of_the_hyperparameter(study, figures):
    axes = next(axes for axes in figures["slices"].axes if axes.get_xlabel() == "blocks")
    best = max(of_state(study, TrialState.COMPLETE), key=lambda trial: trial.value)
    place = next(x for x, y in dots(axes, "complete") if y == best.value)
    texts = dict(zip(axes.get_xticks(), [label.get_text() for label in axes.get_xticklabels()], strict=True))
    assert texts[place] == str(best.params["blocks"])


def test_a_value_far_worse_than_the_others_is_drawn_at_the_edge(study):
    trials = of_state(study, TrialState.COMPLETE)
    trials[0].values = [0.1]
    figure = study_figures(make_study(trials)).drawn["slices"]
    lowest = min(dots(axes, "complete")[:, 1].min() for axes in figure.axes)
    assert lowest > 0.1
    assert f"complete (below {lowest:.4g}: at the edge)" in legend(figure)
