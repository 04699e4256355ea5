"""The figure of a Pareto front."""

import random

import pytest
from figure_layout import all_text
from optuna.trial import TrialState
from study_samples import ACCURACY, FRONT, LIMITS, LOSS, NAMES, legend, lines, make_study, make_trial, of_state

from kerastuna.search.report.study_report import study_figures
from kerastuna.search.study.goal import ParetoFront


def points_of(trials, cost):
    """What the trials cost and reach."""
    return sorted((float(trial.user_attrs[cost]), trial.user_attrs["score"]) for trial in trials)


def test_a_front_is_drawn_in_a_panel_for_each_part_but_the_metric(front_study, front_figures):
    assert set(front_figures) == NAMES - {"params_vs_accuracy"} | {"pareto_front"}
    panels = front_figures["pareto_front"].axes
    assert [axes.get_xlabel() for axes in panels] == [
        "MACs for one image\nat most 3,000,000",
        "RAM of the int8 network\nat most 131,072 bytes",
        "parameters\nat most 15,000",
    ]
    complete, front = of_state(front_study, TrialState.COMPLETE), front_study.best_trials
    assert 1 < len(front) < len(complete)
    stopped = of_state(front_study, TrialState.PRUNED, "stopped_early")
    for axes, cost in zip(panels, ("macs", "ram", "params"), strict=True):
        drawn = {line.get_gid(): sorted(zip(*line.get_data(), strict=True)) for line in axes.lines}
        assert drawn["complete"] == points_of(complete, cost)
        assert drawn["front"] == points_of(front, cost)
        assert len(drawn["stopped"]) + len(drawn.get("beyond", [])) == len(stopped)
        assert drawn["limit"][0][0] == LIMITS[cost]
        assert "front_line" not in drawn  # a front of four is no line in two of them
        numbers = {int(text.get_text()) for text in axes.texts if text.get_gid() == "number"}
        assert numbers
        assert numbers <= {trial.number for trial in front}
    assert f"MACs, RAM, val_accuracy and parameters: {len(front)} of 20 complete trials" in all_text(
        front_figures["pareto_front"]
    )


def test_a_front_of_two_is_a_line_and_none_of_its_trials_is_beyond_the_axis():
    rng = random.Random(1)
    values = [0.2, *(0.98 + 0.001 * n for n in range(8)), 0.1]
    sizes = [10, *(8_000 + 500 * n for n in range(8)), 9_000]
    trials = [make_trial(rng, n, value=v, params=p) for n, (v, p) in enumerate(zip(values, sizes, strict=True))]
    figure = study_figures(make_study(trials, FRONT)).drawn["pareto_front"]
    (complete,), (front,), (line,), (beyond,) = (
        lines(figure, gid) for gid in ("complete", "front", "front_line", "beyond")
    )
    assert [10, 0.2] in complete.tolist()
    assert line.tolist() == front.tolist() == [list(point) for point in zip(sizes[:-1], values[:-1], strict=True)]
    assert beyond.tolist() == [[9_000, 0]]
    assert figure.axes[0].get_xscale() == "log"
    bottom, top = figure.axes[0].get_ylim()
    assert bottom < 0.2 < 0.987 < top
    assert "limit" not in legend(figure)


def test_a_front_of_two_metrics_knows_those_of_a_trial_that_was_stopped():
    goal = ParetoFront(ACCURACY, (LOSS, ACCURACY))
    rng = random.Random(0)
    trials = [make_trial(rng, n, value=0.9 + n / 100) for n in range(4)]
    trials.append(make_trial(rng, 4, TrialState.PRUNED, "stopped_early", value=0.92))
    earlier = [{"val_loss": 0.9, "val_accuracy": 0.5}] * 3
    trials[-1].set_user_attr("history", [*earlier, {"val_loss": 0.7, "val_accuracy": 0.92}])
    study = make_study([], goal)
    for n, trial in enumerate(trials[:-1]):
        trial.set_user_attr("score", trial.value)
        trial.values = [0.5 - n / 10, trial.value]
    study.add_trials(trials)
    figure = study_figures(study).drawn["pareto_front"]
    assert figure.axes[0].get_xlabel() == "val_loss"
    assert lines(figure, "stopped")[0].tolist() == [[0.7, 0.92]]
    assert lines(figure, "front")[0].tolist() == [[pytest.approx(0.2), 0.93]]
