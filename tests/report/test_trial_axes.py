"""Axes with one point for each trial."""

import random

import numpy as np
from matplotlib.collections import LineCollection
from optuna.trial import TrialState
from study_samples import legend, lines, make_study, make_trial

from kerastuna.search.report.study_view import Point, view_of
from kerastuna.search.report.style import legend_below, new_axes
from kerastuna.search.report.trial_axes import draw_lines, draw_points, number_points, show_places


def drawn(trials, **options):
    """A figure with a point for each trial by its place, and the values within its axis."""
    view = view_of(make_study(trials))
    figure, axes = new_axes()
    kept = draw_points(axes, view, lambda point: point.place, **options)
    legend_below(figure, axes)
    return figure, kept


def test_what_is_far_off_is_marked_at_the_end_of_the_axis():
    rng = random.Random(0)
    values = [0.98, 0.981, 0.982, 0.983, 0.979, 0.978, 0.1]
    trials = [make_trial(rng, n, value=v) for n, v in enumerate(values)]
    figure, kept = drawn(trials)
    (complete,), (beyond,) = lines(figure, "complete"), lines(figure, "beyond")
    assert complete[:, 1].tolist() == kept == values[:-1]
    assert beyond.tolist() == [[7, 0]]
    assert "complete (1 below the axis)" in legend(figure)
    bottom, top = figure.axes[0].get_ylim()
    assert 0.9 < bottom < 0.978
    assert 0.983 < top < 1


def test_a_point_that_has_to_be_shown_is_never_beyond_the_axis():
    rng = random.Random(0)
    trials = [make_trial(rng, n, value=v) for n, v in enumerate([0.98, 0.981, 0.982, 0.983, 0.979, 0.978, 0.1])]
    view = view_of(make_study(trials))
    figure, kept = drawn(trials, shown=view.points[-1:])
    assert 0.1 in kept
    assert not lines(figure, "beyond")
    assert figure.axes[0].get_ylim()[0] < 0.1


def test_trials_that_were_stopped_may_be_left_out():
    trials = [make_trial(random.Random(n), n) for n in range(3)]
    trials.append(make_trial(random.Random(3), 3, TrialState.PRUNED, "stopped_early"))
    assert len(lines(drawn(trials)[0], "stopped")) == 1
    assert not lines(drawn(trials, complete_only=True)[0], "stopped")


def test_places_are_whole_numbers():
    figure, axes = new_axes()
    axes.plot([1, 2], [0, 1])
    show_places(axes)
    figure.draw_without_rendering()
    assert axes.get_xlabel() == "trained trial, in the order in which they began"
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_a_number_is_left_out_where_another_point_lies():
    figure, axes = new_axes()
    places = [(0.0, 0.0), (5.0, 5.0), (10.0, 10.0), (9.8, 10.3)]  # the last covers the number of the one before
    axes.plot(*zip(*places, strict=True), "o")
    axes.set_xlim(-1, 11)
    axes.set_ylim(-1, 11)
    figure.draw_without_rendering()
    trials = [make_trial(random.Random(n), n) for n in range(4)]
    for number, trial in enumerate(trials):
        trial.number = number
    points = [Point(n + 1, trial, y) for n, (trial, (_, y)) in enumerate(zip(trials, places, strict=True))]
    number_points(axes, points, places, maximize=True)
    assert sorted(text.get_text() for text in axes.texts) == ["0", "1", "3"]


def test_many_lines_are_one_object_that_the_axes_have_room_for():
    _, axes = new_axes()
    draw_lines(axes, [[(0, 1), (5, 2)], [(1, -3), (2, 7)]], ["red", "blue"], linewidth=1, alpha=1, gid="many")
    (many,) = axes.findobj(LineCollection)
    assert [segment.tolist() for segment in many.get_segments()] == [[[0, 1], [5, 2]], [[1, -3], [2, 7]]]
    assert many.get_gid() == "many"
    assert np.array_equal(many.get_colors(), [[1, 0, 0, 1], [0, 0, 1, 1]])
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < 0 < 5 < right
    assert bottom < -3 < 7 < top
