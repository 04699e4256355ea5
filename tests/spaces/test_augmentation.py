"""Where the pixels of a changed image come from, and what an augmentation refuses."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kerastuna.spaces.augmentation import DRAWS, Augmentation
from kerastuna.spaces.errors import InputError

EVERYTHING = Augmentation(rotation=20, shift=0.1, zoom=0.2, brightness=0.3, contrast=0.4)


def drawn(**values: float) -> np.ndarray:
    """The numbers of one image that is changed; each is given from -1 to 1."""
    names = ("rotation", "down", "right", "zoom", "brightness", "contrast")
    return np.asarray([[0.0, *((values.get(name, 0.0) + 1) / 2 for name in names)]], np.float32)


def source(augmentation: Augmentation, column: float, row: float, **values: float) -> tuple[float, float]:
    """The column and the row that a pixel of an image of 9 rows and 7 columns comes from."""
    a, b, c, d, e, f = augmentation.maps(drawn(**values), 9, 7, np)[0]
    return a * column + b * row + c, d * column + e * row + f


def test_an_image_turns_about_its_middle():
    turning = Augmentation(rotation=90)
    assert source(turning, 3, 4, rotation=1) == pytest.approx((3, 4))
    assert source(turning, 5, 4, rotation=1) == pytest.approx((3, 2), abs=1e-6)
    assert source(turning, 5, 4, rotation=-1) == pytest.approx((3, 6), abs=1e-6)
    assert source(turning, 5, 4, rotation=0) == pytest.approx((5, 4), abs=1e-6)


def test_an_image_is_moved_by_shares_of_its_sides():
    moving = Augmentation(shift=1 / 3)
    assert source(moving, 3, 4, down=1) == pytest.approx((3, 1))
    assert source(moving, 3, 4, down=-1) == pytest.approx((3, 7))
    assert source(moving, 3, 4, right=1) == pytest.approx((3 - 7 / 3, 4))


def test_an_image_is_scaled_about_its_middle():
    scaling = Augmentation(zoom=0.5)
    assert source(scaling, 3, 4, zoom=1) == pytest.approx((3, 4))
    assert source(scaling, 6, 4, zoom=1) == pytest.approx((5, 4))  # one and a half times as large
    assert source(scaling, 4, 5, zoom=-1) == pytest.approx((5, 6))


def test_factors_of_light():
    assert EVERYTHING.lighting(drawn(brightness=1, contrast=-1), np) == pytest.approx((1.3, 0.6))


def test_numbers_stay_within_their_ranges_and_fill_them():
    draws = np.random.default_rng(0).random((20_000, DRAWS), np.float32)
    maps = EVERYTHING.maps(draws, 9, 7, np)
    angles = np.degrees(np.arctan2(maps[:, 1], maps[:, 0]))
    scales = 1 / np.hypot(maps[:, 0], maps[:, 1])
    for values, low, high in [(angles, -20, 20), (scales, 0.8, 1.2)]:
        assert low - 1e-3 <= values.min() < low + 0.02 * (high - low)
        assert high + 1e-3 >= values.max() > high - 0.02 * (high - low)
        assert np.std(values) == pytest.approx((high - low) / math.sqrt(12), rel=0.02)  # of an even distribution
    assert maps.dtype == np.float32


def test_only_a_share_of_the_images_is_changed():
    draws = np.random.default_rng(0).random((20_000, DRAWS), np.float32)
    some = Augmentation(rotation=20, shift=0.2, zoom=0.1, brightness=0.2, contrast=0.2, share=0.3)
    maps, still = some.maps(draws, 8, 8, np), np.asarray([1, 0, 0, 0, 1, 0], np.float32)
    is_still = np.abs(maps - still).max(axis=1) < 1e-6
    assert is_still.mean() == pytest.approx(0.7, abs=0.02)
    assert all((factor[is_still] == 1).all() for factor in some.lighting(draws, np))


@pytest.mark.parametrize(
    ("augmentation", "moves", "lights"),
    [
        (Augmentation(), False, False),
        (Augmentation(rotation=1), True, False),
        (Augmentation(shift=0.1), True, False),
        (Augmentation(zoom=0.1), True, False),
        (Augmentation(brightness=0.1), False, True),
        (Augmentation(contrast=0.1), False, True),
        (Augmentation(rotation=1, brightness=0.1, share=0), False, False),
    ],
)
def test_what_it_does(augmentation: Augmentation, moves: bool, lights: bool):
    assert (augmentation.moves, augmentation.lights) == (moves, lights)


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: Augmentation(rotation=-1), "rotation=-1"),
        (lambda: Augmentation(rotation=181), "rotation=181"),
        (lambda: Augmentation(shift=1.1), "shift=1.1"),
        (lambda: Augmentation(zoom=1), "zoom=1"),
        (lambda: Augmentation(brightness=-0.1), "brightness=-0.1"),
        (lambda: Augmentation(contrast=math.nan), "contrast=nan"),
        (lambda: Augmentation(share=2), "share=2"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(make: Callable[[], Any], given: str):
    with pytest.raises(InputError) as caught:
        make()
    assert given in str(caught.value)
    assert "\n" not in str(caught.value)
