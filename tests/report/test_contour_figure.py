"""The contour: the value over the two most important numbers."""

import random
from typing import Any

import numpy as np
import pytest
from figure_layout import all_text, check_layout
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from study_samples import ACCURACY, LOSS, legend, lines, make_study, make_trial, of_state

from kerastuna.search.report.hyperparameter_figures import hyperparameter_importances
from kerastuna.search.report.study_report import study_figures
from kerastuna.search.study.goal import BestMetric

RATE, DROPOUT = FloatDistribution(1e-4, 1e-2, log=True), FloatDistribution(0, 1)
WIDTH = IntDistribution(0, 3)
HEAD = CategoricalDistribution([4, 8, 16])


def attempt(number, value, state=TrialState.COMPLETE, **chosen):
    """A trial with `chosen`: pairs of a distribution and a value."""
    reason = None if state == TrialState.COMPLETE else "stopped_early"
    trial = make_trial(random.Random(number), number, state, reason, value=value)
    trial.distributions = {name: distribution for name, (distribution, _) in chosen.items()}
    trial.params = {name: picked for name, (_, picked) in chosen.items()}
    trial.set_user_attr("hyperparameters", trial.params)
    return trial


def trials_at(*places):
    """One complete trial at each place (rate, dropout), each better than the one before."""
    return [
        attempt(number, 0.9 + 0.01 * number, rate=(RATE, rate), dropout=(DROPOUT, dropout))
        for number, (rate, dropout) in enumerate(places)
    ]


CORNERS = ((1e-4, 0.0), (1e-2, 0.0), (1e-4, 1.0), (1e-2, 1.0))
INSIDE = (1e-3, 0.5)


def contour(trials, metric=ACCURACY):
    return study_figures(make_study(trials, BestMetric(metric))).drawn["contour"]


def why_not(trials):
    return study_figures(make_study(trials)).left_out["contour"]


def part(figure, gid) -> Any:
    (artist,) = [artist for artist in figure.axes[0].collections if artist.get_gid() == gid]
    return artist


def colour_at(figure, x, y):
    """The RGB of the filled area at a place, from 0 to 255."""
    axes = figure.axes[0]
    for artist in (*axes.lines, part(figure, "complete")):
        artist.remove()
    figure.canvas.draw()
    right, up = axes.transData.transform((x, y))
    pixels = np.asarray(figure.canvas.buffer_rgba())
    return pixels[len(pixels) - 1 - round(up), round(right), :3]


def shade(filled, value):
    """The RGB that stands for `value`."""
    return 255 * np.array(filled.cmap(filled.norm(value))[:3])


def labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def test_it_shows_the_two_most_important_numbers_of_the_trials_that_have_both(study, figures):
    axes = figures["contour"].axes[0]
    names = [axes.get_xlabel(), axes.get_ylabel()]
    numbers = [name for name in hyperparameter_importances(study) if name != "head"]
    assert names == numbers[:2]
    complete = of_state(study, TrialState.COMPLETE)
    having = [trial for trial in complete if set(names) <= trial.params.keys()]
    points = part(figures["contour"], "complete")
    assert sorted(points.get_array()) == sorted(trial.value for trial in having)
    assert f"complete ({len(having)} of {len(complete)} have both)" in legend(figures["contour"])
    stopped = [
        trial for trial in of_state(study, TrialState.PRUNED, "stopped_early") if set(names) <= set(trial.params)
    ]
    (crosses,) = lines(figures["contour"], "stopped")
    assert len(crosses) == len(stopped) > 0
    assert "stopped early, without a colour" in legend(figures["contour"])


def test_a_point_has_the_colour_of_the_area_around_it():
    figure = contour(trials_at(*CORNERS, INSIDE))
    points, filled = part(figure, "complete"), part(figure, "filled")
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) in {
        ("rate (logarithmic axis)", "dropout"),
        ("dropout", "rate (logarithmic axis)"),
    }
    assert sorted(map(tuple, points.get_offsets().round(9))) == [(0, 0), (0, 1), (0.5, 0.5), (1, 0), (1, 1)]
    assert points.get_array().tolist() == sorted(points.get_array())  # the best is drawn last
    assert filled.norm is points.norm or list(filled.norm.boundaries) == list(points.norm.boundaries)
    colour = filled.cmap(filled.norm(0.94))
    assert points.to_rgba(points.get_array())[-1] == pytest.approx(colour)
    assert all_text(figure).count("val_accuracy") == 1  # beside the scale of colours
    assert colour_at(figure, 0.5, 0.5) == pytest.approx(shade(filled, 0.9399), abs=2)
    assert tuple(shade(filled, 0.9399)) != tuple(shade(filled, 0.915))


def test_trials_at_one_place_count_by_their_mean():
    trials = [*trials_at(*CORNERS, INSIDE)]
    for number, value in ((5, 0.905), (6, 0.925)):
        trials.append(attempt(number, value, rate=(RATE, INSIDE[0]), dropout=(DROPOUT, INSIDE[1])))
    trials[4].values = [0.918]  # the mean of the three is 0.916
    figure = contour(trials)
    filled = part(figure, "filled")
    assert len(part(figure, "complete").get_offsets()) == 7
    assert colour_at(figure, 0.5, 0.5) == pytest.approx(shade(filled, 0.916), abs=2)


def test_the_best_trial_is_marked_and_low_values_are_better_where_they_should_be():
    trials = trials_at(*CORNERS, INSIDE)
    (ring,) = lines(contour(trials), "best")
    assert ring.tolist() == [[0.5, 0.5]]
    figure = contour(trials_at(*CORNERS, INSIDE), LOSS)
    points = part(figure, "complete")
    (ring,) = lines(figure, "best")
    assert ring.tolist() == [[0, 0]]
    assert "best (trial 0: 0.9000)" in legend(figure)
    luminance = points.to_rgba(points.get_array())[:, :3].sum(axis=1)
    assert points.get_array()[-1] == pytest.approx(0.9)
    assert luminance[-1] == luminance.min()


def test_a_value_far_worse_than_the_others_does_not_take_all_colours():
    trials = trials_at(*CORNERS, *((rate, 0.5) for rate in (2e-4, 4e-4, 8e-4, 2e-3, 4e-3)))
    trials[0].values = [0.1]
    figure = contour(trials)
    assert part(figure, "filled").levels[0] > 0.5
    assert any("complete (below 0." in text for text in legend(figure))


def test_a_logarithmic_range_with_a_step_is_told_by_its_values():
    trials = [
        attempt(number, 0.9 + 0.01 * number, width=(WIDTH, index), dropout=(DROPOUT, dropout))
        for number, (index, dropout) in enumerate(((0, 0.0), (1, 1.0), (2, 0.2), (3, 0.7)))
    ]
    for trial in trials:
        trial.set_user_attr("hyperparameters", {**trial.params, "width": (4, 8, 16, 32)[trial.params["width"]]})
    axes = contour(trials).axes[0]
    axis = axes.xaxis if axes.get_xlabel().startswith("width") else axes.yaxis
    assert axis.get_label_text() == "width (logarithmic axis)"
    assert labels(axis) == ["4", "8", "16", "32"]


def test_choices_are_no_numbers_even_if_they_are_choices_of_numbers():
    trials = trials_at(*CORNERS)
    for number, trial in enumerate(trials):
        del trial.params["rate"], trial.distributions["rate"]
        trial.params["head"], trial.distributions["head"] = HEAD.choices[number % 3], HEAD
    assert why_not(trials) == "a contour needs 2 numeric hyperparameters with several values, there are 1"


def test_a_pair_that_cannot_be_drawn_makes_way_for_the_next():
    """The rate decides, but on all trials the width goes with it."""
    trials = trials_at(*CORNERS, INSIDE)
    for trial in trials:
        place = (np.log10(trial.params["rate"]) + 4) / 2
        trial.params["twin"], trial.distributions["twin"] = float(place), FloatDistribution(0, 1)
    axes = contour(trials).axes[0]
    assert {"dropout"} < {axes.get_xlabel(), axes.get_ylabel()}
    for trial in trials:
        del trial.params["dropout"], trial.distributions["dropout"]
    reason = "a contour needs 2 numeric hyperparameters with 4 different pairs of values that are not on a line"
    assert why_not(trials).startswith(reason)


@pytest.mark.parametrize("lift", [0, 1e-9, 1e-5])
def test_nearly_a_line_is_drawn_or_refused_but_never_fails(lift):
    places = [(10 ** (-4 + 2 * x), x + (lift if x == 0.4 else 0)) for x in (0, 0.2, 0.4, 0.7, 1)]
    figures = study_figures(make_study(trials_at(*places)))
    assert ("contour" in figures.left_out) == (lift < 1e-6)


def test_three_places_are_too_few():
    trials = trials_at(*CORNERS[:3], CORNERS[0], CORNERS[1])
    assert "4 different pairs of values" in why_not(trials)
    assert why_not(trials[:3]) == "a contour needs 4 complete trials, there are 3"


def test_hyperparameters_of_a_few_trials_are_left_out():
    trials = trials_at(*CORNERS) + [
        attempt(number, 0.5 + 0.001 * number, dropout=(DROPOUT, number / 20)) for number in range(4, 17)
    ]
    assert "in 25% of the complete trials" in why_not(trials)
    assert contour(trials[:16])


def test_equal_values_have_no_contour():
    trials = [attempt(n, 0.5, rate=(RATE, x), dropout=(DROPOUT, y)) for n, (x, y) in enumerate(CORNERS)]
    assert why_not(trials) == "a contour needs complete trials with different values"


def test_large_numbers_and_small_differences_fit():
    trials = trials_at(*CORNERS, INSIDE)
    steps = IntDistribution(1_000_000, 999_999_999)
    for number, trial in enumerate(trials):
        trial.values = [0.98 + 1e-6 * number]
        name = "a_name_that_is_much_too_long_for_an_axis_of_this_figure" * 2
        trial.params[name], trial.distributions[name] = 123_456_789 + 200_000_000 * number, steps
    figure = contour(trials)
    check_layout(figure)
    shown = labels(figure.axes[1].yaxis)
    assert len(set(shown)) == len(shown) > 2
