"""Importances and parallel coordinates."""

import math
import random

import numpy as np
import pytest
from figure_layout import all_text
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
from study_samples import ACCURACY, SPACE, WIDTHS, lines, make_study, make_trial, of_state

from kerastuna.search.report.hyperparameter_axes import INACTIVE
from kerastuna.search.report.hyperparameter_figures import hyperparameter_importances
from kerastuna.search.report.study_report import study_figures
from kerastuna.search.study.goal import SmallestNetwork


def test_importances_find_the_hyperparameter_that_decides(study, figures):
    importances = hyperparameter_importances(study)
    assert next(iter(importances)) == "blocks"
    assert sum(importances.values()) == pytest.approx(1)
    axes = figures["hyperparameter_importances"].axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    bars = [(name.partition(" (in ")[0], bar.get_width()) for name, bar in zip(names, axes.patches, strict=True)]
    assert dict(bars) == importances
    assert "block2_pointwise_width_0 (in 10 of 20)" in names
    assert "blocks" in names  # all trials have it
    assert "from 20 complete trials: a rough guide" in axes.get_xlabel()


def test_rarely_active_hyperparameters_have_no_importance():
    rng = random.Random(0)
    trials = [make_trial(rng, n) for n in range(40)]
    for trial in [t for t in trials if t.params["blocks"] > 1][3:]:
        for name in [name for name in trial.params if name.startswith("block2")]:
            del trial.params[name], trial.distributions[name]
    assert not [name for name in hyperparameter_importances(make_study(trials)) if name.startswith("block2")]


def test_parallel_coordinates_have_at_most_eight_hyperparameters(study, figures):
    figure = figures["parallel_coordinates"]
    names = [t.get_text().replace("\n", "") for t in figure.axes[0].texts if t.get_gid() == "name"]
    assert names == [*list(hyperparameter_importances(study))[:8], "val_accuracy"]
    assert len(lines(figure, "trial")) == 20


def test_parallel_coordinates_place_every_value(study, figures):
    figure = figures["parallel_coordinates"]
    names = [t.get_text().replace("\n", "") for t in figure.axes[0].texts if t.get_gid() == "name"]
    drawn = np.array([points[:, 1] for points in lines(figure, "trial")])[::-1]
    board = sorted(of_state(study, TrialState.COMPLETE), key=lambda t: -t.value)
    for place, name in enumerate(names[:-1]):
        sampled = np.array([_number(t, name) for t in board])
        heights = (sampled - np.nanmin(sampled)) / (np.nanmax(sampled) - np.nanmin(sampled))
        assert drawn[:, place] == pytest.approx(np.where(np.isnan(sampled), INACTIVE, heights))
    assert drawn[0, -1] == 1
    assert drawn[-1, -1] == 0
    assert (np.diff(drawn[:, -1]) <= 0).all()
    assert "inactive" in all_text(figure)


def _number(trial, name):
    if name not in trial.params:
        return math.nan
    value, distribution = trial.params[name], SPACE[name]
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices.index(value)
    return math.log(value) if getattr(distribution, "log", False) else float(value)


def test_parallel_coordinates_are_labelled_with_the_values_of_the_space():
    trials = [make_trial(random.Random(seed), seed) for seed in range(3)]
    for trial, index in zip(trials, (0, 2, 3), strict=True):
        trial.params = {"width_index": index}
        trial.distributions = {"width_index": SPACE["width_index"]}
        trial.set_user_attr("hyperparameters", {"width_index": WIDTHS[index]})
    figure = study_figures(make_study(trials)).drawn["parallel_coordinates"]
    labels = [t.get_text() for t in figure.axes[0].texts if t.get_gid() == "tick of width_index"]
    assert labels == ["4", "16", "32"]


def test_importances_for_a_target_ask_what_makes_a_network_small_and_good():
    def attempt(n):
        trial = make_trial(random.Random(n), n, value=0.9 if n % 2 else 0.99, params=1000)
        trial.params = {"head": ("gap", "conv")[n % 2], "blocks": 1 + n // 2 % 3}
        trial.distributions = {name: SPACE[name] for name in trial.params}
        trial.user_attrs["params"] = 1000 * trial.params["blocks"]
        return trial

    trials = [attempt(n) for n in range(24)]
    among_all = hyperparameter_importances(make_study(trials, SmallestNetwork(ACCURACY, "params", 0.8)))
    assert next(iter(among_all)) == "blocks"  # all reach it: what is small is good
    trials = [attempt(n) for n in range(24)]
    among_few = hyperparameter_importances(make_study(trials, SmallestNetwork(ACCURACY, "params", 0.95)))
    assert among_few["head"] > among_all.get("head", 0)
