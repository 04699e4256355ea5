"""The figures of a search for the smallest network."""

import random

import numpy as np
from optuna.trial import TrialState
from study_samples import ACCURACY, NAMES, legend, lines, make_study, make_trial, of_state

from kerastuna.search.report.study_report import study_figures
from kerastuna.search.study.goal import SmallestNetwork


def test_a_search_for_the_smallest_shows_what_those_cost_that_reach_the_target(target_study, target_figures):
    assert set(target_figures) == NAMES - {"params_vs_accuracy"} | {"macs_vs_accuracy"}
    complete = of_state(target_study, TrialState.COMPLETE)
    reached = [trial for trial in complete if trial.user_attrs["score"] >= 0.974]
    assert 1 < len(reached) < len(complete)
    costs = [trial.user_attrs["macs"] for trial in reached]
    smallest = min(reached, key=lambda trial: trial.user_attrs["macs"])
    name = f"trial {smallest.number}: {smallest.user_attrs['score']:.4f}, {min(costs):,} MACs"
    for figure, line in (("optimization_history", "smallest_so_far"), ("incumbent_over_time", "smallest_so_far")):
        axes = target_figures[figure].axes[0]
        (reaching,), (short,), (least,) = (lines(target_figures[figure], gid) for gid in ("reaching", "short", line))
        assert sorted(reaching[:, 1]) == sorted(costs)
        assert least[:-1, 1].tolist() == np.minimum.accumulate(reaching[:, 1]).tolist()
        assert least[-1, 1] == min(costs)
        assert len(short) == 32 - len(reached)
        assert legend(target_figures[figure]) == [
            f"reaches it ({len(reached)})",
            f"falls short of it ({len(short)}, 12 of them stopped early)",
            f"smallest so far ({name})",
        ]
        assert axes.get_ylabel() == "MACs for one image"
    assert lines(target_figures["optimization_history"], "reaching")[0][:, 1].tolist() == costs
    assert f"smallest that reaches 0.974 ({name})" in legend(target_figures["intermediate_values"])
    assert f"smallest that reaches 0.974 ({name})" in legend(target_figures["parallel_coordinates"])


def test_a_target_that_nothing_reached_is_said_where_nothing_can_be_drawn():
    trials = [make_trial(random.Random(n), n, value=0.9 + n / 1000, params=100 + n) for n in range(5)]
    figures = study_figures(make_study(trials, SmallestNetwork(ACCURACY, "params", 0.999)))
    reason = "no trial has reached val_accuracy 0.999; the closest is trial 4: 0.9040, 104 parameters"
    assert figures.left_out == {"optimization_history": reason, "incumbent_over_time": reason}
    assert "closest to 0.999 (trial 4: 0.9040, 104 parameters)" in legend(figures.drawn["intermediate_values"])
