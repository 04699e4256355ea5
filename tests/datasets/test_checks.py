"""Images and labels that are refused, each in one line that says which array of which file is wrong and why."""

from pathlib import Path

import numpy as np
import pytest
from datasets_support import refusal, small_set, write_npz

from kerastuna.search.datasets.checks import class_counts
from kerastuna.search.datasets.data import load_dataset, load_test
from kerastuna.search.datasets.task import Classification

IMAGES = np.zeros((30, 4, 5), np.uint8)
WITH_NAN = np.where(np.arange(30)[:, None, None] == 7, np.nan, np.zeros((30, 4, 5)))
BAD_IMAGES = [
    (np.zeros((30, 4), np.uint8), "shape (30, 4)"),
    (np.zeros((30, 4, 4, 1, 1), np.uint8), "shape (30, 4, 4, 1, 1)"),
    (np.zeros((30, 0, 4), np.uint8), "shape (30, 0, 4)"),
    (np.zeros((0, 4, 4), np.uint8), "shape (0, 4, 4)"),
    (np.zeros((), np.uint8), "shape ()"),
    (IMAGES.astype(bool), "dtype bool"),
    (IMAGES.astype(complex), "dtype complex128"),
    (IMAGES.astype(str), "dtype <U"),
    (IMAGES.astype(object), "Object arrays cannot be loaded"),
    (IMAGES.astype("M8[s]"), "dtype datetime64[s]"),
    (IMAGES.astype(int) - 1, "from -1 to -1"),
    (IMAGES.astype(np.uint16) + 256, "from 256 to 256"),
    (WITH_NAN, "NaN, infinite"),
    (np.nan_to_num(WITH_NAN, nan=np.inf), "NaN, infinite"),
    (np.nan_to_num(WITH_NAN, nan=-np.inf).astype(np.float16), "NaN, infinite"),
    (np.nan_to_num(WITH_NAN, nan=1e39), "beyond float32"),
]
BAD_LABELS = [
    (np.arange(29) % 3, "29 labels for 30 images"),
    (np.eye(3, dtype=int)[np.arange(30) % 3], "argmax"),
    (np.zeros((30, 1, 1), int), "shape (30, 1, 1)"),
    (np.arange(30) % 3 / 1.0, "dtype float64"),
    (np.arange(30) % 2 == 0, "dtype bool"),
    ((np.arange(30) % 3).astype(str), "dtype <U"),
    (np.array([0, 1, None] * 10), "Object arrays cannot be loaded"),
    (np.arange(30) % 3 - 1, "from -1 to 1"),
    (np.array([0, 2**63] * 15, np.uint64), "from 0 to 9223372036854775808"),
]
BAD_TRAINING_LABELS = [
    (np.arange(30) % 3 + 1, "no image of class 0:"),
    (np.array([0, 9, 3] * 10), "no image of class 1, 2, 4, 5, 6, ...:"),
    (np.array([0, 1, 2**30] * 10), "1073741825 classes, but only 30 images"),
    (np.zeros(30, int), "only class 0"),
    (np.arange(30), "one image of each class"),
]


@pytest.mark.parametrize(("x_train", "named"), BAD_IMAGES)
def test_training_images_that_are_refused(tmp_path: Path, x_train: np.ndarray, named: str):
    message = refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set(x_train=x_train)))
    assert named in message
    assert "x_train" in message
    assert "set.npz" in message


@pytest.mark.parametrize(("x_test", "named"), [*BAD_IMAGES, (np.zeros((6, 5, 4)), "(5, 4, 1)")])
def test_test_images_that_are_refused(tmp_path: Path, x_test: np.ndarray, named: str):
    y_test = np.zeros(len(x_test) if x_test.ndim else 1, int)
    spec = write_npz(tmp_path / "set.npz", small_set(x_test=x_test, y_test=y_test))
    message = refusal(load_test, spec, input_shape=(4, 5, 1))
    assert named in message
    assert "x_test" in message


@pytest.mark.parametrize(("y_train", "named"), [*BAD_LABELS, *BAD_TRAINING_LABELS])
def test_training_labels_that_are_refused(tmp_path: Path, y_train: np.ndarray, named: str):
    message = refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set(y_train=y_train)))
    assert named in message
    assert "y_train" in message
    assert "set.npz" in message


@pytest.mark.parametrize(("y_test", "named"), [*BAD_LABELS, (np.arange(30) % 4, "allowed are 0 to 2")])
def test_test_labels_that_are_refused(tmp_path: Path, y_test: np.ndarray, named: str):
    spec = write_npz(tmp_path / "set.npz", small_set(x_test=IMAGES, y_test=y_test))
    message = refusal(load_test, spec, task=Classification(3))
    assert named in message
    assert "y_test" in message


def test_test_labels_without_known_classes(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(y_test=np.array([7, 7, 7, 0, 0, 0])))
    part = load_test(spec)
    assert part is not None
    assert part[1].tolist() == [7, 7, 7, 0, 0, 0]


def test_the_images_of_each_class_are_counted():
    assert class_counts(np.array([2, 0, 1, 2], np.int32), "y_train").tolist() == [1, 1, 2]
