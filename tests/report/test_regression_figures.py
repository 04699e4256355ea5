"""Figures of predicted numbers, asked what they show."""

from typing import Any

import numpy as np
import pytest
from figure_layout import all_text, check_layout

from kerastuna.search.report.regression_figures import draw_residuals, draw_scatter


def numbers(count: int, samples: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    targets = rng.normal(size=(samples, count)).astype(np.float32) * 10.0 ** np.arange(count)
    return targets, targets + rng.normal(size=(samples, count)) + 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("draw", [draw_scatter, draw_residuals])
def test_each_of_the_first_four_numbers_has_a_panel_and_nothing_overlaps(draw: Any, count: int) -> None:
    figure = draw(*numbers(count), [f"number {place}" for place in range(count)], "a note")
    check_layout(figure)
    assert len(figure.axes) == min(count, 4)
    assert ("the first 4 of 6 numbers" in all_text(figure)) == (count == 6)
    assert "a note" in all_text(figure)


def test_a_point_is_a_target_and_its_prediction() -> None:
    targets, predictions = numbers(2)
    figure = draw_scatter(targets, predictions, ["price $x_1$", "age"], "")
    for place, axes in enumerate(figure.axes):
        points, line = axes.lines
        x, y = np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()
        assert (points.get_gid(), line.get_gid()) == ("predictions", "no_error")
        np.testing.assert_array_equal(points.get_xdata(), targets[:, place])
        np.testing.assert_array_equal(points.get_ydata(), predictions[:, place])
        ends = [min(targets[:, place].min(), predictions[:, place].min())]
        ends.append(max(targets[:, place].max(), predictions[:, place].max()))
        assert x == y == pytest.approx(ends)
    mae = np.abs(predictions[:, 0] - targets[:, 0]).mean()
    assert figure.axes[0].get_title().startswith(f"price $x_1$: mae {mae:#.4g}, r2 ")


def test_one_number_needs_no_name_and_its_targets_may_have_one_dimension() -> None:
    targets, predictions = numbers(1)
    flat = draw_scatter(targets[:, 0], predictions, (), "")
    assert flat.axes[0].get_title().startswith("mae ")
    np.testing.assert_array_equal(flat.axes[0].lines[0].get_xdata(), targets[:, 0])
    assert draw_scatter(targets, predictions, ["price"], "").axes[0].get_title().startswith("price: mae ")
    assert draw_scatter(*numbers(2), (), "").axes[1].get_title().startswith("1: mae ")


def test_every_error_is_counted() -> None:
    targets, predictions = numbers(1)
    axes: Any = draw_residuals(targets, predictions, (), "").axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 400
    middle = sum(bar.get_height() * (bar.get_x() + bar.get_width() / 2) for bar in axes.patches) / 400
    assert middle == pytest.approx(1, abs=0.3)
    assert axes.get_title().startswith(f"bias {(predictions - targets).mean():#.4g}, rmse ")


def test_perfect_answers_can_be_drawn_too() -> None:
    constant = np.full((5, 1), 3.0, np.float32)
    for draw in (draw_scatter, draw_residuals):
        check_layout(draw(constant, constant.astype(float), (), ""))
