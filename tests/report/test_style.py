"""The look of figures: axes, scales, legends."""

import numpy as np
import pytest
from figure_layout import all_text, check_layout

from kerastuna.search.report.style import (
    heading,
    legend_below,
    new_axes,
    new_figure,
    outer_fence,
    show_cost,
    widen_towards_one,
)


def test_a_legend_of_five_fits_below_its_figure():
    figure, axes = new_axes()
    stopped = "stopped early, at its last epoch (12 below the axis)"
    for label in ("complete", stopped, "Pareto front, with trial numbers", "budget 15,000", "target 0.975"):
        axes.plot([0, 1], [0, 1], label=label)
    legend_below(figure, axes)
    check_layout(figure)


@pytest.mark.parametrize("note", ["", "and its note", "and its note, which goes on; " * 12])
def test_title_and_note_stand_above_the_axes_whatever_their_length(note: str):
    figure, axes = new_axes()
    heading(figure, "A $title$", note)
    assert "A $title$" in all_text(figure)
    assert "".join(note.split()) in "".join(all_text(figure).split())
    check_layout(figure)
    top = axes.get_window_extent().y1
    assert all(text.get_window_extent().y0 > top for text in figure.texts)
    assert new_figure(3).get_size_inches().tolist() == [9, 3]


def test_shares_near_one_get_more_room():
    _, axes = new_axes()
    widen_towards_one(axes, [0.5, 0.9, 0.99, float("nan")])
    height = axes.transData.transform
    low, middle, high = (height((0, share))[1] for share in (0.0, 0.9, 0.99))
    assert high - middle == pytest.approx(middle - low, rel=0.05)
    bottom, top = axes.get_ylim()
    assert bottom < 0.5
    assert 0.99 < top <= 1


@pytest.mark.parametrize("values", [[], [0.5, 1.5], [-0.1, 0.5], [float("nan")]])
def test_what_is_no_share_keeps_its_scale(values: list[float]):
    _, axes = new_axes()
    widen_towards_one(axes, values)
    assert axes.get_yscale() == "linear"


@pytest.mark.parametrize(
    ("cost", "end", "label", "ticks"),
    [
        ("params", 15_000, "parameters", {"0", "2,000", "10,000"}),
        ("macs", 3_000_000, "MACs for one image", {"0", "1 M", "2 M"}),
        ("ram", 131_072, "RAM of the int8 network", {"0 KiB", "64 KiB", "128 KiB"}),
    ],
)
def test_an_axis_of_costs_has_round_numbers_with_their_unit(cost: str, end: int, label: str, ticks: set[str]):
    figure, axes = new_axes()
    axes.set_xlim(0, end)
    show_cost(axes.xaxis, cost, (0, end))
    figure.draw_without_rendering()
    assert axes.get_xlabel() == label
    assert ticks <= {tick.get_text() for tick in axes.get_xticklabels()}


def test_an_axis_of_costs_may_be_logarithmic():
    figure, axes = new_axes()
    axes.set_xscale("log")
    axes.set_xlim(1024, 131_072)
    show_cost(axes.xaxis, "ram", axes.get_xlim())
    figure.draw_without_rendering()
    assert {"1 KiB", "2 KiB", "128 KiB"} <= {tick.get_text() for tick in axes.get_xticklabels()}


def test_outliers_begin_three_times_the_middle_half_away():
    values = np.arange(101.0)  # quartiles 25 and 75
    assert outer_fence(values, maximize=True) == 25 - 150
    assert outer_fence(values, maximize=False) == 75 + 150
