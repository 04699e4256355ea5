"""How far the answers of a format may differ from those of Keras."""

from typing import Any

import numpy as np
import pytest

from kerastuna.search.export.comparison import Comparison, compare


def comparison(images: int, lost: int, regained: int = 0, **changes: Any) -> Comparison:
    """Keras is right on 99 in 100 images, the format on `lost` fewer and on `regained` that Keras gets wrong."""
    keras = images * 99 // 100
    fields = {"correct": keras - lost, "keras_correct": keras, "same": images, "largest_difference": 0.0}
    return Comparison(images=images, regained=regained, **{**fields, **changes})


@pytest.mark.parametrize(
    ("images", "lost", "regained", "refused"),
    [
        (5_000, 15, 0, False),  # 0.30 points
        (5_000, 16, 0, True),
        (10_000, 30, 500, False),
        (10_000, 31, 500, True),  # enough images: chance is no excuse
        (5_000, -200, 0, False),  # better than Keras
        (4_999, 16, 0, False),  # 0.32 points, on too few images to tell
        (1_000, 10, 0, False),  # 3 allowed, and 3 * sqrt(10)
        (1_000, 18, 0, True),
        (1_000, 18, 20, False),  # right and wrong on many others: chance alone loses as much
        (200, 180, 0, True),  # nonsense is told from few
    ],
)
def test_int8_may_lose_three_tenths_of_a_point(images, lost, regained, refused):
    compared = comparison(images, lost, regained)
    assert bool(compared.int8_problem()) is refused
    assert bool(compared.int8_note()) is (images < 5_000)


def test_floats_must_agree_on_every_image_within_a_ten_thousandth():
    assert comparison(6_000, 0, largest_difference=1e-4).float_problem() == ""
    assert "differs" in comparison(6_000, 0, largest_difference=1.01e-4).float_problem()
    assert "differs" in comparison(6_000, 0, largest_difference=float("inf")).float_problem()
    assert "1 of 6,000" in comparison(6_000, 0, same=5_999).float_problem()


def test_answers_are_counted_against_those_of_keras():
    expected = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], np.float32)
    answers = np.array([[0.9, 0.1], [0.55, 0.45], [0.35, 0.65], [0.3, 0.7]], np.float32)
    compared = compare(expected, answers, np.array([0, 1, 1, 0], np.int32))
    assert (compared.correct, compared.keras_correct, compared.regained, compared.same) == (2, 2, 1, 2)
    assert compared.largest_difference == pytest.approx(0.35)
    answers[0, 0] = np.nan
    figures = compare(expected, answers, np.array([0, 1, 1, 0], np.int32))
    assert figures.float_problem()
    assert figures.figures()["largest_difference"] is None
