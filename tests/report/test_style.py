"""The look of figures: axes, scales, legends."""

from figure_layout import check_layout

from kerastuna.search.report.style import legend_below, new_axes


def test_a_legend_of_five_fits_below_its_figure():
    figure, axes = new_axes()
    stopped = "stopped early, at its last epoch (12 below the axis)"
    for label in ("complete", stopped, "Pareto front, with trial numbers", "budget 15,000", "target 0.975"):
        axes.plot([0, 1], [0, 1], label=label)
    legend_below(figure, axes)
    check_layout(figure)
