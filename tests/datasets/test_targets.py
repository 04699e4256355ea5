"""What targets become: class numbers, one-hot rows or numbers; and those that are refused, each in one line."""

from pathlib import Path

import numpy as np
import pytest
from datasets_support import like, refusal, small_set, write_npz

from kerastuna.search.datasets.data import load_dataset, load_test
from kerastuna.search.datasets.targets import class_counts, matching_targets, training_targets
from kerastuna.search.datasets.task import Classification, Regression, Task
from kerastuna.search.errors import DataError

N = np.arange(30)
ONE_HOT = np.eye(3, dtype=int)[N % 3]
SEVERAL = np.maximum(ONE_HOT, np.eye(3, dtype=int)[(N + N // 15) % 3])
FLOATS = N / 7 - 2


def with_one(value: float, array: np.ndarray = FLOATS) -> np.ndarray:
    return np.where(np.arange(array.size).reshape(array.shape) == 4, value, array)


UNUSABLE = [
    (np.arange(29) % 3, "29 targets for 30 images"),
    (np.zeros((30, 1, 1), int), "shape (30, 1, 1)"),
    (np.zeros((30, 0), int), "shape (30, 0)"),
    (np.zeros(30, complex), "dtype complex128"),
    (np.array([0, 1, None] * 10), "Object arrays cannot be loaded"),
    (N.astype("M8[s]"), "dtype datetime64[s]"),
    (ONE_HOT.astype(str), "dtype <U"),
    (np.array([b"\xff", b"a"] * 15), "not UTF-8"),
    (with_one(np.nan), "NaN, infinite or beyond float32, 1 of 30"),
    (with_one(np.inf), "1 of 30"),
    (with_one(1e39), "1 of 30"),
    (with_one(np.nan, np.ones((30, 4))), "1 of 120"),
]
NO_TRAINING_TARGETS = [
    (N % 3 - 1, "labels from -1 to 1: "),
    (
        np.array([0, 2**63] * 15, np.uint64),
        "labels from 0 to 9223372036854775808, but none of the images has the label 1",
    ),
    (N % 3 + 1, "has the label 0:"),
    (np.array([0, 9, 3] * 10), "has the label 1:"),
    (np.array([0, 1, 2**30] * 10), "has the label 2:"),
    (N, "30 different labels for 30 images"),
    (np.minimum(N, 15), "16 different labels"),
    (N.astype(str), "30 different texts"),
    (np.zeros(30, int), "only one class"),
    (np.zeros(30, bool), "only one class"),
    (np.array(["a"] * 30), "only one class"),
    (np.full(30, 0.5), "the same target for all images"),
    (np.full((30, 2), 0.5), "the same target"),
    (SEVERAL, "rows of 3 that are not one-hot"),
    (ONE_HOT * 2, "not one-hot"),
    (ONE_HOT * 0, "not one-hot"),
    (np.eye(4, dtype=int)[N % 3], "none of the images is of class 3"),
]


@pytest.mark.parametrize(("y_train", "named"), [*UNUSABLE, *NO_TRAINING_TARGETS])
def test_training_targets_that_are_refused(tmp_path: Path, y_train: np.ndarray, named: str):
    message = refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set(y_train=y_train)))
    assert named in message
    assert "y_train" in message
    assert "set.npz" in message


@pytest.mark.parametrize(
    "y", [N % 3 - 1, N % 3 + 1, np.array([0, 9, 3] * 10), N, np.minimum(N, 15), SEVERAL], ids=lambda y: str(y[:5])
)
def test_integers_that_are_no_classes_can_be_predicted_as_numbers(y: np.ndarray):
    with pytest.raises(DataError, match="--task regression") as caught:
        training_targets(y, 30, "y", "rows", "auto")
    assert len(str(caught.value).splitlines()) == 1
    values, task = training_targets(y, 30, "y", "rows", "regression")
    assert task == Regression(1 if y.ndim == 1 else 3)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, y)


AS_CLASSES = [
    (N % 3, N % 3, Classification(3)),
    (N[:, None] % 15, N % 15, Classification(15)),
    (N.astype(np.uint64) % 3, N % 3, Classification(3)),
    (N % 3 == 1, N % 3 == 1, Classification(2)),
    (np.array(["dog", "cat", "Ant"])[N % 3], (2 - N) % 3, Classification(3, names=("Ant", "cat", "dog"))),
    (np.array([b"no", b"\xc3\xbc"])[N % 2], N % 2, Classification(2, names=("no", "ü"))),
    (ONE_HOT, ONE_HOT, Classification(3, one_hot=True)),
    (ONE_HOT.astype(bool), ONE_HOT, Classification(3, one_hot=True)),
    (ONE_HOT.astype(np.float16), ONE_HOT, Classification(3, one_hot=True)),
]


@pytest.mark.parametrize(("y", "expected", "task"), AS_CLASSES, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("wanted", ["auto", "classification"])
def test_classes(y: np.ndarray, expected: np.ndarray, task: Classification, wanted: str):
    values, found = training_targets(y, 30, "y", "rows", wanted)
    assert found == task
    assert values.dtype == (np.float32 if task.one_hot else np.int32)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(matching_targets(y, 30, "y", "rows", found), values)  # a test part alike


@pytest.mark.parametrize(
    ("y", "allowed"), [([0, 0, 1], True), ([0, 0, 1, 1, 2], False), ([0, 0, 1, 1, 2, 2], True), ([0, 1, 2, 0], False)]
)
def test_half_as_many_classes_as_samples(y: list[int], allowed: bool):
    for values in (np.array(y), np.array(y).astype(str)):
        if allowed:
            assert training_targets(values, len(y), "y", "rows", "auto")[0].tolist() == y
        else:
            with pytest.raises(DataError, match="too many for classes"):
                training_targets(values, len(y), "y", "rows", "auto")


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (N % 3 + 1, ("1", "2", "3")),
        (np.array([-1, 10, 9])[N % 3], ("-1", "9", "10")),
        (np.array([2.0, 4.0, 0.0])[N % 3], ("0", "2", "4")),
        (np.array([0.0, 1.0, 2.0])[N % 3], ()),
        (np.minimum(N, 15), ()),
        (np.minimum(N, 15).astype(str), tuple(sorted(map(str, range(16))))),
    ],
)
def test_each_different_number_as_a_class(y: np.ndarray, names: tuple[str, ...]):
    values, task = training_targets(y, 30, "y", "rows", "classification")
    assert isinstance(task, Classification)
    assert (task.names, task.classes) == (names, len(np.unique(y)))
    if names and y.dtype.kind != "U":
        np.testing.assert_array_equal(np.array(names, float)[values], y)
    np.testing.assert_array_equal(matching_targets(y, 30, "y", "rows", task), values)


@pytest.mark.parametrize(
    ("y", "numbers"),
    [(FLOATS, 1), (FLOATS[:, None], 1), (np.stack([FLOATS, N / 1.0], 1), 2), (SEVERAL / 1.0, 3), (N / 1.0, 1)],
)
def test_floating_point_numbers_are_predicted(y: np.ndarray, numbers: int):
    values, task = training_targets(y, 30, "y", "rows", "auto")
    assert task == Regression(numbers)
    assert values.shape == ((30,) if numbers == 1 else (30, numbers))
    np.testing.assert_array_equal(values, y.astype(np.float32).reshape(values.shape))
    np.testing.assert_array_equal(matching_targets(y, 30, "y", "rows", task), values)


@pytest.mark.parametrize(
    ("y", "wanted", "named"),
    [
        (FLOATS, "classification", "25 targets that are not whole numbers, such as -1.85714:"),
        (with_one(0.5, N // 10 / 1.0), "classification", "1 targets that are not whole numbers, such as 0.5:"),
        (np.array([0.0, 1e20] * 15), "classification", "such as 1e+20"),
        (SEVERAL / 1.0, "classification", "not one-hot"),
        (np.array(["a", "b"] * 15), "regression", "texts, such as 'a'"),
        (N[:1], "regression", "one target"),
        (ONE_HOT * 0, "regression", "the same target"),
    ],
)
def test_targets_that_are_not_of_the_task(y: np.ndarray, wanted: str, named: str):
    with pytest.raises(DataError) as caught:
        training_targets(y, len(y), "y", "rows", wanted)
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


NAMED = Classification(3, names=("1", "2", "x"))


@pytest.mark.parametrize(
    ("y", "task", "named"),
    [
        *((y, Classification(3), named) for y, named in UNUSABLE if "Object" not in named),
        (N % 4, Classification(3), "from 0 to 3: allowed are 0 to 2"),
        (N % 3 - 1, Classification(3), "from -1 to 1: allowed are 0 to 2"),
        (N % 3 / 2, Classification(3), "not whole numbers"),
        (np.array(["a", "b", "c"] * 10), Classification(3), "texts, the training part numbers from 0 to 2"),
        (SEVERAL, Classification(3), "shape (30, 3)"),
        (np.eye(4)[N % 4], Classification(3, one_hot=True), "shape (30, 4)"),
        (ONE_HOT, NAMED, "shape (30, 3)"),
        (np.array(["x", "y", "z"] * 10), NAMED, "'y', 'z', which the training part lacks (it has '1', '2', 'x')"),
        (N % 3, NAMED, "the class '0', which"),
        (np.array(["a"] * 30), Regression(), "texts for each of the images"),
        (np.stack([FLOATS] * 2, 1), Regression(), "2 numbers for each"),
        (FLOATS, Regression(2), "1 numbers for each"),
    ],
)
def test_targets_of_a_test_part_that_are_refused(y: np.ndarray, task: Task, named: str):
    with pytest.raises(DataError) as caught:
        matching_targets(y, 30, "y_test", "images", task)
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_test_part_takes_the_form_of_the_training_part():
    rows, numbers = ONE_HOT.astype(np.float32), (N % 3).astype(np.int32)
    for y, one_hot, expected in ((ONE_HOT, False, numbers), (N % 3, True, rows), (numbers / 1.0, False, numbers)):
        found = matching_targets(y, 30, "y", "rows", Classification(3, one_hot=one_hot))
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert matching_targets(np.array(["x", "1"]), 2, "y", "rows", NAMED).tolist() == [2, 0]
    assert matching_targets(np.array([2, 1]), 2, "y", "rows", NAMED).tolist() == [1, 0]
    assert matching_targets(np.array([3, 4]), 2, "y", "rows", Regression()).dtype == np.float32


def test_refused_test_targets_name_their_array(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(y_test=np.array([7, 7, 7, 0, 0, 0])))
    message = refusal(load_test, spec, like=like())
    assert "y_test of " in message
    assert "set.npz" in message


def test_the_samples_of_each_class_are_counted():
    assert class_counts(np.array([2, 0, 1, 2], np.int32), 3, "y", "rows").tolist() == [1, 1, 2]
    with pytest.raises(DataError, match="one sample of each class"):
        class_counts(np.array([2, 0, 1], np.int32), 3, "y", "rows")
    with pytest.raises(DataError, match=r"none of the rows is of class 1, 2, 3, 4, 5, \.\.\.:"):
        class_counts(np.array([0, 0, 9], np.int32), 10, "y", "rows")
