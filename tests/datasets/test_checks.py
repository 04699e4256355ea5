"""Samples that are refused, each in one line that says which array of which file is wrong and why; and the others."""

from pathlib import Path

import numpy as np
import pytest
from datasets_support import like, refusal, small_set, write_npz

from kerastuna.search.datasets.checks import check_finite, check_samples, network_input
from kerastuna.search.datasets.data import load_dataset, load_test
from kerastuna.search.errors import DataError

IMAGES = np.zeros((30, 4, 5), np.uint8)
WITH_NAN = np.where(np.arange(30)[:, None, None] == 7, np.nan, np.zeros((30, 4, 5)))
BAD_SAMPLES = [
    (np.zeros(30, np.uint8), "shape (30,)"),
    (np.zeros((30, 0, 4), np.uint8), "shape (30, 0, 4)"),
    (np.zeros((0, 4, 4), np.uint8), "shape (0, 4, 4)"),
    (np.zeros((30, 0)), "shape (30, 0)"),
    (np.zeros((), np.uint8), "shape ()"),
    (IMAGES.astype(bool), "dtype bool"),
    (IMAGES.astype(complex), "dtype complex128"),
    (IMAGES.astype(str), "dtype <U"),
    (IMAGES.astype(object), "Object arrays cannot be loaded"),
    (IMAGES.astype("M8[s]"), "dtype datetime64[s]"),
    (IMAGES.astype(int) - 1, "from -1 to -1"),
    (IMAGES.astype(np.uint16) + 256, "from 256 to 256"),
    (WITH_NAN, "NaN, infinite or beyond float32, 20 of 600"),
    (np.nan_to_num(WITH_NAN, nan=np.inf), "NaN, infinite"),
    (np.nan_to_num(WITH_NAN, nan=-np.inf).astype(np.float16), "NaN, infinite"),
    (np.nan_to_num(WITH_NAN, nan=1e39), "beyond float32, 20 of 600"),
    (WITH_NAN.reshape(30, 20), "20 of 600"),
    (WITH_NAN.reshape(30, 2, 2, 5, 1), "20 of 600"),
]


@pytest.mark.parametrize(("x_train", "named"), BAD_SAMPLES)
def test_training_samples_that_are_refused(tmp_path: Path, x_train: np.ndarray, named: str):
    message = refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set(x_train=x_train)))
    assert named in message
    assert "x_train" in message
    assert "set.npz" in message


@pytest.mark.parametrize(
    ("x_test", "named"),
    [*BAD_SAMPLES, (np.zeros((6, 5, 4)), "images of (5, 4, 1)"), (np.zeros((6, 5)), "rows of (5,)")],
)
def test_test_samples_that_are_refused(tmp_path: Path, x_test: np.ndarray, named: str):
    y_test = np.zeros(len(x_test) if x_test.ndim else 1, int)
    spec = write_npz(tmp_path / "set.npz", small_set(x_test=x_test, y_test=y_test))
    message = refusal(load_test, spec, like=like())
    assert named in message
    assert "x_test" in message


@pytest.mark.parametrize(
    ("x", "shape", "first"),
    [
        (np.full((2, 3, 4), 51, np.uint8), (2, 3, 4, 1), 0.2),
        (np.full((2, 3, 4, 2), 255, np.int64), (2, 3, 4, 2), 1),
        (np.full((2, 3, 4), 300.0), (2, 3, 4, 1), 300),
        (np.full((2, 3), 51, np.uint8), (2, 3), 51),
        (np.full((2, 3), -1000, np.int64), (2, 3), -1000),
        (np.full((2, 3), 0.25, ">f8"), (2, 3), 0.25),
        (np.full((2, 3, 3, 3, 1), 7, np.uint8), (2, 3, 3, 3, 1), 7),
        (np.full((2, 3, 3, 3, 1), 0.5, np.float16), (2, 3, 3, 3, 1), 0.5),
    ],
)
def test_images_of_integers_are_scaled_and_everything_else_is_kept(x: np.ndarray, shape: tuple[int, ...], first: float):
    check_samples(x, "x")
    given = network_input(x)
    assert given.shape == shape
    assert given.dtype == np.float32
    assert given.dtype.isnative
    assert given.flat[0] == np.float32(first)


def test_the_largest_float32_is_finite():
    largest = float(np.finfo(np.float32).max)
    check_finite(np.array([largest, -largest]), "x")
    with pytest.raises(DataError, match=r"x has values .*, 2 of 3:"):
        check_finite(np.array([largest * 1.01, np.nan, 1]), "x")
