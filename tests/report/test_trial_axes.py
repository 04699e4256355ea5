"""Axes with one point for each trial."""

import random

from study_samples import legend, lines, make_study, make_trial

from kerastuna.search.report.study_report import study_figures


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
