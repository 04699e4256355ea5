"""Images that are turned, moved, scaled and lit by known numbers."""

from typing import Any

import numpy as np
import pytest

from kerastuna.spaces.augmentation import Augmentation
from kerastuna.spaces.changed_images import changed

IMAGES = np.random.default_rng(0).random((3, 7, 7, 2), np.float32)


def drawn(images: np.ndarray, **values: float) -> np.ndarray:
    """The same numbers for each image; each is given from -1 to 1."""
    names = ("rotation", "down", "right", "zoom", "brightness", "contrast")
    return np.asarray([[0.0, *((values.get(name, 0.0) + 1) / 2 for name in names)]] * len(images), np.float32)


def made(augmentation: Augmentation, images: np.ndarray = IMAGES, **values: float) -> np.ndarray:
    return np.asarray(changed(images, augmentation, drawn(images, **values)))


@pytest.mark.parametrize("side", [7, 8])
def test_an_image_that_is_turned_by_90_degrees(side: int):
    images = np.random.default_rng(1).random((2, side, side, 1), np.float32)
    turned = made(Augmentation(rotation=90), images, rotation=1)
    np.testing.assert_allclose(turned, np.rot90(images, -1, axes=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(
        made(Augmentation(rotation=90), images, rotation=-1), np.rot90(images, 1, (1, 2)), atol=1e-5
    )


def test_an_image_that_is_moved_by_whole_pixels_leaves_zeros():
    moved = made(Augmentation(shift=2 / 7), down=1, right=-0.5)
    expected = np.zeros_like(IMAGES)
    expected[:, 2:, :-1] = IMAGES[:, :-2, 1:]
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_half_a_pixel_is_the_mean_of_two():
    moved = made(Augmentation(shift=0.5 / 7), right=1)
    before = np.pad(IMAGES, [(0, 0), (0, 0), (1, 0), (0, 0)])[:, :, :-1]
    np.testing.assert_allclose(moved, (before + IMAGES) / 2, atol=1e-5)


def test_an_image_that_is_scaled_keeps_its_middle():
    ramp = np.broadcast_to(np.arange(9, dtype=np.float32)[None, :, None, None], (1, 9, 9, 1))
    np.testing.assert_allclose(made(Augmentation(zoom=0.5), ramp, zoom=1)[0, :, 4, 0], 4 + (np.arange(9) - 4) / 1.5)
    np.testing.assert_allclose(made(Augmentation(zoom=0.5), ramp, zoom=0), ramp, atol=1e-5)


def test_brightness_multiplies_and_contrast_spreads_from_the_mean():
    np.testing.assert_allclose(made(Augmentation(brightness=0.5), brightness=1), IMAGES * 1.5, atol=1e-5)
    mean = IMAGES.mean(axis=(1, 2, 3), keepdims=True)
    found = made(Augmentation(contrast=0.5), contrast=-1)
    np.testing.assert_allclose(found, mean + (IMAGES - mean) / 2, atol=1e-5)


def test_every_image_has_numbers_of_its_own_and_the_others_stay():
    draws = drawn(IMAGES, rotation=0.5)
    draws[1, 1], draws[2, 0] = 0.0, 0.9
    found: Any = np.asarray(changed(IMAGES, Augmentation(rotation=30, share=0.8), draws))
    assert np.abs(found[0] - IMAGES[0]).max() > 0.01
    assert np.abs(found[1] - np.rot90(IMAGES[1])).max() > 0.01
    np.testing.assert_allclose(found[2], IMAGES[2], atol=1e-6)


def test_whole_numbers_are_taken_as_floating_point():
    moved = made(Augmentation(shift=0.5 / 7), (IMAGES * 255).astype(np.uint8), right=1)
    assert moved.dtype == np.float32
    assert moved[0, 0, 0, 0] == np.uint8(IMAGES[0, 0, 0, 0] * 255) / 2
