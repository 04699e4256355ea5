"""The figures of a study, asked what they show: their points, labels and axes; and the leaderboard."""

import copy
import csv
import io
import math
import random
from datetime import datetime, timedelta

import matplotlib
import numpy as np
import optuna
import pytest
from figure_layout import all_text, check_layout
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from kerastuna.search.report.hyperparameter_figures import INACTIVE, hyperparameter_importances
from kerastuna.search.report.study_report import leaderboard_csv, study_figures
from kerastuna.search.report.study_view import Point, pareto_front
from kerastuna.search.report.style import legend_below, new_axes
from kerastuna.search.study.budget import Budget
from kerastuna.search.study.goal import BestMetric, Goal, ParetoFront, Quantity, SmallestNetwork

NAMES = {
    "optimization_history",
    "hyperparameter_importances",
    "parallel_coordinates",
    "params_vs_accuracy",
    "intermediate_values",
    "incumbent_over_time",
}
BUDGET = 15_000
BEGAN = datetime(2026, 11, 20, 9)
SPACE = {
    "blocks": IntDistribution(1, 3),
    "learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
    "width_index": IntDistribution(0, 3),
    "head": CategoricalDistribution(["conv", "gap", "pool_dense", "flatten_dense"]),
    "dropout": FloatDistribution(0.0, 0.25, step=0.05),
    **{f"block2_pointwise_width_{number}": IntDistribution(4, 32, step=2) for number in range(8)},
}
WIDTHS = (4, 8, 16, 32)
"""What the stepped logarithmic range behind `width_index` stands for."""


def make_trial(
    rng: random.Random, number, state=TrialState.COMPLETE, reason=None, value=None, epochs=4, params=None, start=None
):
    """A trial with the attributes that the search writes."""
    chosen = {}
    for name, distribution in SPACE.items():
        if name.startswith("block2") and chosen["blocks"] < 2:
            continue
        if isinstance(distribution, CategoricalDistribution):
            chosen[name] = rng.choice(distribution.choices)
        elif isinstance(distribution, IntDistribution):
            chosen[name] = rng.randrange(distribution.low, distribution.high + 1, distribution.step)
        elif distribution.log:
            chosen[name] = math.exp(rng.uniform(math.log(distribution.low), math.log(distribution.high)))
        else:
            chosen[name] = round(0.05 * rng.randrange(6), 2)
    attributes = {
        "hyperparameters": {name: WIDTHS[x] if name == "width_index" else x for name, x in chosen.items()},
        "params": rng.randrange(500, BUDGET) if params is None else params,
        "macs": rng.randrange(20_000, 3_000_000),
        "ram": rng.randrange(4_000, 120_000),
        "summary": "16-32-p16 | conv",
    }
    refused = reason in ("over_budget", "infeasible", "duplicate")
    if refused:
        attributes |= {"params": 40_000}
    reports = {}
    if not refused:
        value = 0.95 + 0.01 * chosen["blocks"] + rng.uniform(0, 0.008) if value is None else value
        reports = {epoch: value - 0.2 * math.exp(-epoch) + 0.2 * math.exp(-epochs) for epoch in range(1, epochs + 1)}
        attributes |= {"history": [{"val_accuracy": x} for x in reports.values()], "seconds": 10.0}
    if reason:
        attributes["reason"] = reason
    trial = create_trial(
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        params=chosen,
        distributions={name: SPACE[name] for name in chosen},
        user_attrs=attributes,
        intermediate_values=reports,
    )
    start = BEGAN + timedelta(seconds=12 * number) if start is None else start
    trial.datetime_start, trial.datetime_complete = start, start + timedelta(seconds=0 if refused else 10)
    return trial


ACCURACY, LOSS = Quantity("val_accuracy", "max"), Quantity("val_loss", "min")
PARAMS, MACS, RAM = (Quantity(name, "min") for name in ("params", "macs", "ram"))


def make_study(trials, goal: Goal = BestMetric(ACCURACY), name="mnist-convnet-15000-quick", budget=None):  # noqa: B008
    """A study as the search leaves it; the values of `trials` are those of the metric, and become those of the goal."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=goal.directions, study_name=name)
    identity = {
        "objective": [goal.metric.name, goal.metric.direction],
        "goal": goal.description(),
        "data": {"images": 4000},
        "epochs": 4,
        "budget": budget,
    }
    study.set_user_attr("identity", identity)
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            score = trial.value
            trial.set_user_attr("score", score)
            trial.values = [trial.user_attrs[part.name] if part.is_cost else score for part in goal.quantities]
    study.add_trials(trials)
    return study


def mixed_trials(complete=20, stopped=12, refused=100, failed=3, seed=0):
    """Trials of every kind in mixed order; those that were trained are the same for any number of `refused`."""
    rng = random.Random(seed)
    kinds = ["complete"] * complete + ["stopped"] * stopped + ["failed"] * failed
    rng.shuffle(kinds)
    trials = []
    for place, kind in enumerate(kinds):
        if kind == "complete":
            trials.append(make_trial(rng, place))
        elif kind == "stopped":
            trials.append(make_trial(rng, place, TrialState.PRUNED, "stopped_early", epochs=rng.choice([1, 2])))
        else:
            trials.append(make_trial(rng, place, TrialState.FAIL, "error"))
    others = random.Random(seed + 1)
    for _ in range(refused):
        place = others.randrange(1, len(trials))
        reason = others.choice(["over_budget", "infeasible", "duplicate"])
        start = trials[place - 1].datetime_start
        trials.insert(place, make_trial(others, 0, TrialState.PRUNED, reason, start=start))
    return trials


def far_off_trials():
    """Good trials, and many that were stopped early or trained to the end far below them."""
    rng = random.Random(4)
    bad = [make_trial(rng, n, value=0.1) for n in range(12, 15)]
    stopped = [make_trial(rng, n, TrialState.PRUNED, "stopped_early", value=0.2) for n in range(15, 60)]
    return [*(make_trial(rng, n) for n in range(12)), *bad, *stopped]


def crowded_trials():
    """Trials whose sizes and values hardly differ, each better than the smaller ones, and a small one far off."""
    rng = random.Random(5)
    close = [make_trial(rng, n, params=9_000 + 20 * n, value=0.98 + 0.0001 * n) for n in range(40)]
    return [*close, make_trial(rng, 40, params=500, value=0.9)]


@pytest.fixture(scope="module")
def study():
    return make_study(mixed_trials())


@pytest.fixture(scope="module")
def figures(study):
    figures = study_figures(study, BUDGET)
    assert not figures.left_out
    return figures.drawn


def lines(figure: Figure, gid):
    """The points of every line that is marked as `gid`."""
    return [
        np.column_stack([line.get_xdata(), line.get_ydata()])
        for axes in figure.axes
        for line in axes.lines
        if line.get_gid() == gid
    ]


def of_state(study, state, reason=None):
    return [t for t in study.trials if t.state == state and t.user_attrs.get("reason") == reason]


def legend(figure: Figure):
    (box,) = figure.legends
    return [text.get_text() for text in box.get_texts()]


def test_every_figure_is_drawn(figures):
    assert set(figures) == NAMES


def test_refused_proposals_change_nothing_but_the_trial_numbers(figures):
    without = study_figures(make_study(mixed_trials(refused=0)), BUDGET).drawn
    for name, figure in figures.items():
        for axes, expected in zip(figure.axes, without[name].axes, strict=True):
            for kind in ("lines", "patches"):
                points = [artist.get_path().vertices.tolist() for artist in getattr(axes, kind)]
                assert points == [artist.get_path().vertices.tolist() for artist in getattr(expected, kind)], name


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


def test_what_is_far_off_is_marked_at_the_end_of_the_axis():
    rng = random.Random(0)
    values = [0.98, 0.981, 0.982, 0.983, 0.979, 0.978, 0.1]
    figure = study_figures(make_study([make_trial(rng, n, value=v) for n, v in enumerate(values)])).drawn[
        "optimization_history"
    ]
    (complete,), (beyond,) = lines(figure, "complete"), lines(figure, "beyond")
    assert complete[:, 1].tolist() == values[:-1]
    assert beyond.tolist() == [[7, 0]]
    assert "complete (1 below the axis)" in legend(figure)
    bottom, top = figure.axes[0].get_ylim()
    assert 0.9 < bottom < 0.978
    assert 0.983 < top < 1


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


def test_the_time_between_two_searches_is_cut_out():
    rng = random.Random(0)
    starts = [BEGAN, BEGAN + timedelta(seconds=20), BEGAN + timedelta(hours=9), BEGAN + timedelta(hours=9, seconds=15)]
    trials = [make_trial(rng, n, start=start) for n, start in enumerate(starts)]
    figure = study_figures(make_study(trials)).drawn["incumbent_over_time"]
    (incumbent,) = lines(figure, "incumbent")
    assert incumbent[:, 0].tolist() == [10, 30, 40, 55]
    assert figure.axes[0].get_xlabel() == "wall-clock time in seconds, 1 pause between searches cut out"


def test_a_trial_whose_worker_died_ended_when_it_was_last_seen():
    rng = random.Random(0)
    trials = [make_trial(rng, 0), make_trial(rng, 1, TrialState.FAIL, "interrupted"), make_trial(rng, 2)]
    dead, resumed = trials[1], trials[2]
    dead.datetime_complete = resumed.datetime_start = BEGAN + timedelta(hours=9)
    resumed.datetime_complete = BEGAN + timedelta(hours=9, seconds=10)
    dead.set_user_attr("last_seen", (BEGAN + timedelta(seconds=20)).timestamp())
    (incumbent,) = lines(study_figures(make_study(trials)).drawn["incumbent_over_time"], "incumbent")
    assert incumbent[:, 0].tolist() == [10, 30]


def test_importances_find_the_hyperparameter_that_decides(study, figures):
    importances = hyperparameter_importances(study)
    assert next(iter(importances)) == "blocks"
    assert sum(importances.values()) == pytest.approx(1)
    axes = figures["hyperparameter_importances"].axes[0]
    bars = {label.get_text(): bar.get_width() for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)}
    assert bars == importances
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
    }
    for figure in figures.drawn.values():
        figure.canvas.draw()


def test_equally_good_trials_have_no_importances():
    rng = random.Random(0)
    figures = study_figures(make_study([make_trial(rng, n, value=0.5) for n in range(6)]), BUDGET)
    reason = "no hyperparameter tells the best trials from the others"
    assert figures.left_out == {"hyperparameter_importances": reason}
    for figure in figures.drawn.values():
        figure.canvas.draw()


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


def test_an_objective_that_is_to_be_small():
    rng = random.Random(0)
    values = [0.9, 0.3, 0.5, 0.2, 0.4, 7.0]
    study = make_study([make_trial(rng, n, value=v) for n, v in enumerate(values)], BestMetric(LOSS))
    figures = study_figures(study, BUDGET).drawn
    (best,) = lines(figures["optimization_history"], "best_so_far")
    assert best[:, 1].tolist() == [0.9, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2]
    assert figures["optimization_history"].axes[0].get_ylabel() == "val_loss"
    assert lines(figures["optimization_history"], "beyond")[0].tolist() == [[6, 1]]
    (front,) = lines(figures["params_vs_accuracy"], "pareto_front")
    assert front[-1, 1] == 0.2
    (first, *_, last) = lines(figures["parallel_coordinates"], "trial")
    assert (first[-1, 1], last[-1, 1]) == (1, 0)


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


def test_a_legend_of_five_fits_below_its_figure():
    figure, axes = new_axes()
    stopped = "stopped early, at its last epoch (12 below the axis)"
    for label in ("complete", stopped, "Pareto front, with trial numbers", "budget 15,000", "target 0.975"):
        axes.plot([0, 1], [0, 1], label=label)
    legend_below(figure, axes)
    check_layout(figure)


def test_names_are_never_read_as_formulas():
    trials = [make_trial(random.Random(n), n) for n in range(5)]
    goal = BestMetric(Quantity(r"$\bar$", "max"))
    for figure in study_figures(make_study(trials, goal, name=r"$\foo$"), BUDGET).drawn.values():
        figure.canvas.draw()
        assert r"$\foo$" in all_text(figure)


def test_figures_are_saved_as_png(study, tmp_path):
    before = dict(matplotlib.rcParams)
    paths = study_figures(study, BUDGET).save(tmp_path / "report")
    assert {path.name for path in paths} == {f"{name}.png" for name in NAMES}
    assert all(path.read_bytes().startswith(b"\x89PNG\r\n") for path in paths)
    assert dict(matplotlib.rcParams) == before


# Other goals

FRONT = ParetoFront(ACCURACY, (ACCURACY, PARAMS))
FRONT_OF_FOUR = ParetoFront(ACCURACY, (MACS, RAM, ACCURACY, PARAMS))
SMALLEST = SmallestNetwork(ACCURACY, "macs", 0.974)
LIMITS = {"params": BUDGET, "macs": 3_000_000, "ram": 131_072}


@pytest.fixture(scope="module")
def front_study():
    return make_study(mixed_trials(refused=5), FRONT_OF_FOUR, budget=LIMITS)


@pytest.fixture(scope="module")
def front_figures(front_study):
    figures = study_figures(front_study)
    assert not figures.left_out
    return figures.drawn


@pytest.fixture(scope="module")
def target_study():
    return make_study(mixed_trials(refused=5), SMALLEST, budget=LIMITS)


@pytest.fixture(scope="module")
def target_figures(target_study):
    figures = study_figures(target_study)
    assert not figures.left_out
    return figures.drawn


def points_of(trials, cost):
    """What the trials cost and reach."""
    return sorted((float(trial.user_attrs[cost]), trial.user_attrs["score"]) for trial in trials)


def test_a_front_is_drawn_in_a_panel_for_each_part_but_the_metric(front_study, front_figures):
    assert set(front_figures) == NAMES - {"params_vs_accuracy"} | {"pareto_front"}
    panels = front_figures["pareto_front"].axes
    assert [axes.get_xlabel() for axes in panels] == [
        "MACs for one image\nat most 3,000,000",
        "activations at the peak\nat most 131,072 bytes",
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


def test_a_front_of_two_metrics_knows_those_of_a_trial_that_was_stopped():
    goal = ParetoFront(ACCURACY, (LOSS, ACCURACY))
    rng = random.Random(0)
    trials = [make_trial(rng, n, value=0.9 + n / 100) for n in range(4)]
    trials.append(make_trial(rng, 4, TrialState.PRUNED, "stopped_early", value=0.92))
    trials[-1].set_user_attr("history", [{"val_loss": 0.7, "val_accuracy": 0.92}])
    study = make_study([], goal)
    for n, trial in enumerate(trials[:-1]):
        trial.set_user_attr("score", trial.value)
        trial.values = [0.5 - n / 10, trial.value]
    study.add_trials(trials)
    figure = study_figures(study).drawn["pareto_front"]
    assert figure.axes[0].get_xlabel() == "val_loss"
    assert lines(figure, "stopped")[0].tolist() == [[0.7, 0.92]]
    assert lines(figure, "front")[0].tolist() == [[pytest.approx(0.2), 0.93]]


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


def test_a_target_that_nothing_reached_is_said_where_nothing_can_be_drawn():
    trials = [make_trial(random.Random(n), n, value=0.9 + n / 1000, params=100 + n) for n in range(5)]
    figures = study_figures(make_study(trials, SmallestNetwork(ACCURACY, "params", 0.999)))
    reason = "no trial has reached val_accuracy 0.999; the closest is trial 4: 0.9040, 104 parameters"
    assert figures.left_out == {"optimization_history": reason, "incumbent_over_time": reason}
    assert "closest to 0.999 (trial 4: 0.9040, 104 parameters)" in legend(figures.drawn["intermediate_values"])


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
