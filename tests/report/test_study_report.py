"""The report of a study: which figures there are, and the leaderboard."""

import copy
import csv
import io
import math
import random

import numpy as np
import optuna
import pytest
from figure_layout import all_text, check_layout
from matplotlib.collections import LineCollection
from optuna.trial import TrialState
from study_samples import (
    ACCURACY,
    BUDGET,
    FRONT_OF_FOUR,
    LIMITS,
    LOSS,
    MACS,
    NAMES,
    SMALLEST,
    SPACE,
    crowded_trials,
    far_off_trials,
    legend,
    lines,
    make_study,
    make_trial,
    mixed_trials,
    of_state,
)

from kerastuna.search.report.study_report import leaderboard, leaderboard_csv, study_figures
from kerastuna.search.study.goal import BestMetric, ParetoFront, Quantity, SmallestNetwork


def test_every_figure_is_drawn(figures):
    assert set(figures) == NAMES


def test_refused_proposals_change_nothing_but_the_trial_numbers(figures):
    without = study_figures(make_study(mixed_trials(refused=0)), BUDGET).drawn
    for name, figure in figures.items():
        for axes, expected in zip(figure.axes, without[name].axes, strict=True):
            for kind in ("lines", "patches"):
                points = [artist.get_path().vertices.tolist() for artist in getattr(axes, kind)]
                assert points == [artist.get_path().vertices.tolist() for artist in getattr(expected, kind)], name


def test_a_study_without_a_complete_trial_says_what_is_missing():
    rng = random.Random(0)
    empty = study_figures(make_study([make_trial(rng, 0, TrialState.PRUNED, "over_budget")]), BUDGET)
    assert not empty.drawn
    assert set(empty.left_out) == NAMES
    assert empty.left_out["optimization_history"] == "no trial is complete yet"
    stopped = study_figures(make_study([make_trial(rng, 0, TrialState.PRUNED, "stopped_early")]), BUDGET)
    assert set(stopped.drawn) == {"intermediate_values"}


def test_one_complete_trial_is_enough_for_most_figures():
    figures = study_figures(make_study([make_trial(random.Random(0), 0, epochs=1)]), BUDGET)
    assert figures.left_out == {
        "hyperparameter_importances": "importances need 4 complete trials, there are 1",
        "parallel_coordinates": "parallel coordinates need 2 complete trials, there are 1",
        "slices": "slices need 2 complete trials, there are 1",
        "contour": "a contour needs 4 complete trials, there are 1",
    }
    for figure in figures.drawn.values():
        figure.canvas.draw()


def test_equally_good_trials_have_no_importances():
    rng = random.Random(0)
    figures = study_figures(make_study([make_trial(rng, n, value=0.5) for n in range(6)]), BUDGET)
    assert figures.left_out == {
        "hyperparameter_importances": "no hyperparameter tells the best trials from the others",
        "contour": "a contour needs complete trials with different values",
    }
    for figure in figures.drawn.values():
        figure.canvas.draw()


def test_one_hyperparameter_alone_has_no_importance():
    study = optuna.create_study(direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("rate", 0.0, 1.0), n_trials=8)
    assert study_figures(study).left_out["hyperparameter_importances"] == "there is one hyperparameter alone, rate"


def test_networks_that_were_not_counted():
    trials = [make_trial(random.Random(n), n) for n in range(6)]
    for trial in trials:
        trial.user_attrs = {key: value for key, value in trial.user_attrs.items() if key != "params"}
    left_out = study_figures(make_study(trials), BUDGET).left_out
    assert left_out == {"params_vs_accuracy": "the parameters of the networks were not counted"}


def test_values_that_are_not_finite_are_not_drawn():
    rng = random.Random(0)
    trials = [*(make_trial(rng, n) for n in range(6)), make_trial(rng, 6, value=math.inf)]
    figures = study_figures(make_study(trials), BUDGET)
    assert not figures.left_out
    (complete,) = lines(figures.drawn["optimization_history"], "complete")
    assert len(complete) == 6


@pytest.mark.parametrize(
    "trials",
    [
        pytest.param(mixed_trials(seed=3), id="mixed"),
        pytest.param(mixed_trials(4, 0, 0, 0), id="few"),
        pytest.param(mixed_trials(70, 70, 0, 0, seed=2), id="many"),
        pytest.param(far_off_trials(), id="far off"),
        pytest.param(crowded_trials(), id="crowded"),
    ],
)
def test_nothing_overlaps_or_is_cut_off(trials):
    """Every text lies within the figure, and no two labels of one axis touch."""
    study = make_study(trials, name="a study with a very long name, " * 3)
    for figure in study_figures(study, BUDGET).drawn.values():
        assert figure.canvas.get_width_height()[0] == 1080
        check_layout(figure)


def test_names_are_never_read_as_formulas():
    trials = [make_trial(random.Random(n), n) for n in range(5)]
    goal = BestMetric(Quantity(r"$\bar$", "max"))
    for figure in study_figures(make_study(trials, goal, name=r"$\foo$"), BUDGET).drawn.values():
        figure.canvas.draw()
        assert r"$\foo$" in all_text(figure)


def test_a_front_without_the_parameters_keeps_their_figure():
    goal = ParetoFront(ACCURACY, (ACCURACY, MACS))
    figures = study_figures(make_study([make_trial(random.Random(n), n) for n in range(3)], goal)).drawn
    assert {"pareto_front", "params_vs_accuracy"} <= set(figures)
    assert "Pareto front of these two, with trial numbers" in legend(figures["params_vs_accuracy"])


def test_the_other_figures_of_a_front_show_its_metric(front_study, front_figures):
    scores = [trial.user_attrs["score"] for trial in of_state(front_study, TrialState.COMPLETE)]
    (best,) = lines(front_figures["optimization_history"], "best_so_far")
    assert best[:-1, 1].tolist() == np.maximum.accumulate(scores).tolist()
    best_trial = max(of_state(front_study, TrialState.COMPLETE), key=lambda trial: trial.user_attrs["score"])
    label = f"best val_accuracy so far (trial {best_trial.number}: {max(scores):.4f})"
    assert label in legend(front_figures["optimization_history"])
    assert label in legend(front_figures["incumbent_over_time"])
    assert f"best val_accuracy (trial {best_trial.number}: {max(scores):.4f})" in legend(
        front_figures["parallel_coordinates"]
    )
    assert "for coming close to the front" in front_figures["hyperparameter_importances"].axes[0].get_xlabel()


@pytest.mark.parametrize(
    "trials", [pytest.param(mixed_trials(seed=3), id="mixed"), pytest.param(crowded_trials(), id="crowded")]
)
@pytest.mark.parametrize("goal", [FRONT_OF_FOUR, SmallestNetwork(ACCURACY, "params", 0.974)], ids=["front", "target"])
def test_nothing_overlaps_or_is_cut_off_with_another_goal(trials, goal):
    trials = copy.deepcopy(trials)
    study = make_study(trials, goal, name="a study with a very long name, " * 3, budget=LIMITS)
    own = {"pareto_front", "params_vs_accuracy", "optimization_history", "hyperparameter_importances"}
    for name, figure in study_figures(study).drawn.items():
        if name in own:
            check_layout(figure)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_leaderboard_ranks_complete_trials_and_leaves_out_what_was_refused(study):
    rows = rows_of(leaderboard_csv(study.trials, BestMetric(ACCURACY)))
    complete = sorted(of_state(study, TrialState.COMPLETE), key=lambda t: -t.value)
    stopped = of_state(study, TrialState.PRUNED, "stopped_early")
    assert [row["trial"] for row in rows] == [str(t.number) for t in (*complete, *stopped)]
    assert [row["rank"] for row in rows] == [*map(str, range(1, 21)), *[""] * 12]
    best = rows[0]
    assert float(best["value"]) == study.best_value
    assert best["params"] == str(study.best_trial.user_attrs["params"])
    assert best["summary"] == "16-32-p16 | conv"
    assert {row["reason"] for row in rows[20:]} == {"stopped_early"}


def test_leaderboard_has_a_column_for_every_hyperparameter(study):
    rows = rows_of(leaderboard_csv(study.trials, BestMetric(ACCURACY)))
    trials = {str(t.number): t for t in study.trials}
    for row in rows:
        own = trials[row["trial"]].user_attrs["hyperparameters"]
        assert {name: row[name] for name in SPACE} == {name: str(own.get(name, "")) for name in SPACE}


def test_leaderboard_of_an_objective_that_is_to_be_small():
    rng = random.Random(0)
    trials = [make_trial(rng, n, value=v) for n, v in enumerate([0.9, 0.3, 0.5])]
    values = [row["value"] for row in rows_of(leaderboard_csv(trials, BestMetric(LOSS)))]
    assert values == ["0.3", "0.5", "0.9"]


def test_leaderboard_of_a_front_ranks_the_front_alone(front_study):
    rows = rows_of(leaderboard_csv(front_study.trials, FRONT_OF_FOUR))
    front = sorted(front_study.best_trials, key=lambda trial: -trial.user_attrs["score"])
    assert len(rows) == 32
    assert [row["trial"] for row in rows[: len(front)]] == [str(trial.number) for trial in front]
    assert [row["rank"] for row in rows] == [*map(str, range(1, len(front) + 1)), *[""] * (32 - len(front))]
    assert [row["front"] for row in rows] == ["yes"] * len(front) + ["no"] * (32 - len(front))
    assert {key: rows[0][key] for key in ("value", "params", "macs", "ram")} == {
        "value": str(front[0].user_attrs["score"]),
        **{cost: str(front[0].user_attrs[cost]) for cost in ("params", "macs", "ram")},
    }


def test_leaderboard_of_a_target_tells_what_reaches_it(target_study):
    rows = rows_of(leaderboard_csv(target_study.trials, SMALLEST))
    complete, stopped = rows[:20], rows[20:]
    assert [row["reached"] for row in complete] == ["yes" if float(row["value"]) >= 0.974 else "no" for row in complete]
    assert {row["reached"] for row in stopped} == {"no"}
    reached = [int(row["macs"]) for row in complete if row["reached"] == "yes"]
    assert reached == sorted(reached)
    assert [row["rank"] for row in complete] == [str(place) for place in range(1, 21)]


def test_leaderboard_of_nothing_has_a_head():
    assert leaderboard_csv([], BestMetric(ACCURACY)).startswith("rank,trial,state,reason,value,params,")


def test_the_leaderboard_is_a_table_with_the_values_of_the_csv(front_study):
    table, rows = leaderboard(front_study), rows_of(leaderboard_csv(front_study.trials, FRONT_OF_FOUR))
    assert list(table.columns) == list(rows[0])
    front = table[table["rank"].notna()]
    assert front["rank"].tolist() == list(range(1, len(front) + 1))
    for name in ("trial", "front", "value", "params", "summary"):
        assert [str(value) for value in table[name]] == [row[name] for row in rows]
    assert table["params"].dtype == int


def test_the_leaderboard_of_a_study_without_trials_is_empty():
    assert leaderboard(make_study([])).empty


def test_figures_of_many_trials_show_what_those_of_few_show(study, monkeypatch):
    few = study_figures(study).drawn
    for module in ("trial_figures", "hyperparameter_figures"):
        monkeypatch.setattr(f"kerastuna.search.report.{module}.MANY_LINES", 3)
    many = study_figures(study).drawn
    for name, gids in {
        "intermediate_values": ("complete", "stopped", "best"),
        "parallel_coordinates": ("trial",),
    }.items():
        check_layout(many[name])
        assert legend(many[name]) == legend(few[name])
        assert many[name].axes[0].get_ylim() == few[name].axes[0].get_ylim()
        for gid in gids:
            segments = [
                points.tolist()
                for collection in many[name].findobj(LineCollection)
                if collection.get_gid() == gid
                for points in collection.get_segments()
            ]
            shown = segments + [points.tolist() for points in lines(many[name], gid)]
            assert shown == [points.tolist() for points in lines(few[name], gid)]
