"""What a network is to answer: classes or numbers. Each refusal is a DataError in one line."""

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from .checks import check_finite
from .task import Classification, Regression, Task

_OTHERWISE = (
    "renumber them, or give --task classification to take each different number as a class, or --task regression to "
    "predict numbers"
)


def training_targets(y: np.ndarray, samples: int, where: str, unit: str, task: str) -> tuple[np.ndarray, Task]:
    """The targets as they are trained on, and the task that they make.

    Integers (n,), 0/1 as booleans, and texts are classes: int32 (n,), from 0. So are one-hot rows (n, classes), which
    stay float32 rows. Other floating point numbers, (n,) or (n, numbers), are predicted as float32. An axis of 1 is
    dropped. That each class has enough samples is left to `class_counts`.

    Args:
        y: as given.
        samples: how many samples there are, which must be n.
        where: names the targets in messages.
        unit: what samples are called there, in the plural.
        task: "auto" for the rules above; "classification" takes each different whole number as a class;
            "regression" takes all numbers as numbers.
    """
    y = _checked(y, samples, where, unit)
    if task == "regression":
        return _numbers(y, where, unit)
    if y.ndim == 2:
        if _is_one_hot(y):
            return y.astype(np.float32), Classification(y.shape[1], one_hot=True)
        if y.dtype.kind == "f" and task == "auto":
            return _numbers(y, where, unit)
        raise DataError(
            f"{where} has {y.dtype} rows of {y.shape[1]} that are not one-hot, exactly one 1 in each: several classes "
            f"for one sample are not supported; give one integer for each of the {unit}, or --task regression to "
            "predict the numbers"
        )
    if y.dtype.kind == "U":
        return _texts(y, where, unit, task)
    if y.dtype.kind == "f":
        if task == "auto":
            return _numbers(y, where, unit)
        y = _whole(y, where)
    return _classes(y, where, unit, task)


def matching_targets(y: np.ndarray, samples: int, where: str, unit: str, task: Task) -> np.ndarray:
    """The targets of a test part in the form that the training part's have, for its `task`."""
    y = _checked(y, samples, where, unit)
    if isinstance(task, Regression):
        numbers = 1 if y.ndim == 1 else y.shape[1]
        if y.dtype.kind == "U" or numbers != task.numbers:
            given = "texts" if y.dtype.kind == "U" else f"{numbers} numbers"
            raise DataError(
                f"{where} has {given} for each of the {unit}, the training part {task.numbers} numbers: give the same"
            )
        return y.astype(np.float32)
    assert isinstance(task, Classification)
    numbers = _class_numbers(y, where, task)
    return np.eye(task.classes, dtype=np.float32)[numbers] if task.one_hot else numbers


def class_counts(labels: np.ndarray, classes: int, where: str, unit: str) -> np.ndarray:
    """How many samples each class has, int64 (classes,), for class numbers, int32 (n,).

    Refuses what a classifier cannot be trained and validated on: there must be two classes or more, each needs a
    sample, and some class needs two.
    """
    counts = np.bincount(labels, minlength=classes)
    absent = np.flatnonzero(counts == 0)
    if len(absent):
        more = ", ..." if len(absent) > 5 else ""
        raise DataError(
            f"{where} has {classes} classes, but none of the {unit} is of class {', '.join(map(str, absent[:5]))}"
            f"{more}: each class needs one; add them, or leave the class out"
        )
    if classes == 1:
        raise DataError(f"{where} has only one class: a classifier needs two or more; add {unit} of another")
    if classes == len(labels):
        raise DataError(
            f"{where} has one sample of each class, which leaves none for validation: some class needs two; add {unit}"
        )
    return counts


def _checked(y: np.ndarray, samples: int, where: str, unit: str) -> np.ndarray:
    """Targets (n,) or (n, more than 1): texts, integers, or finite floating point numbers."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2) or 0 in y.shape:
        raise DataError(f"{where} has shape {y.shape}: targets must be (n,) or (n, k), none of them 0; reshape them")
    if y.dtype.kind not in "USbuif" or (y.ndim == 2 and y.dtype.kind in "US"):
        raise DataError(
            f"{where} has dtype {y.dtype} and shape {y.shape}: targets must be integers, floating point numbers, or "
            "(n,) texts; convert them"
        )
    if len(y) != samples:
        raise DataError(f"{where} has {len(y):,} targets for {samples:,} {unit}: give one for each")
    if y.dtype.kind == "S":
        try:
            return np.char.decode(y, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{where} has texts that are not UTF-8: write them as texts, not as bytes") from error
    if y.dtype.kind == "f":
        check_finite(y, where)
    return y.astype(np.int64) if y.dtype.kind == "b" else y


# Numbers


def _numbers(y: np.ndarray, where: str, unit: str) -> tuple[np.ndarray, Regression]:
    if y.dtype.kind == "U":
        raise DataError(f"{where} has texts, such as {str(y[0])!r}: numbers are predicted from numbers; convert them")
    if len(y) < 2:
        raise DataError(f"{where} has one target, which leaves none for validation: add {unit}")
    if (y == y[:1]).all():
        raise DataError(
            f"{where} has the same target for all {unit}: there is nothing to learn; give targets that vary"
        )
    return y.astype(np.float32), Regression(1 if y.ndim == 1 else y.shape[1])


# Classes


def _is_one_hot(y: np.ndarray) -> bool:
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _texts(y: np.ndarray, where: str, unit: str, task: str) -> tuple[np.ndarray, Classification]:
    names, labels = np.unique(y, return_inverse=True)
    if task == "auto" and _too_many(len(names), len(y)):
        raise DataError(
            f"{where} has {len(names):,} different texts for {len(y):,} {unit}, too many for classes: choose another "
            "target, or give --task classification"
        )
    return labels.astype(np.int32), Classification(len(names), names=tuple(map(str, names)))


def _classes(y: np.ndarray, where: str, unit: str, task: str) -> tuple[np.ndarray, Classification]:
    values, labels = np.unique(y, return_inverse=True)
    classes = len(values)
    from_zero = values[0] == 0 and values[-1] == classes - 1
    if task == "auto" and not from_zero:
        low, high = int(values[0]), int(values[-1])
        inside = values[(values >= 0) & (values <= len(y))].astype(np.int64)
        absent = np.setdiff1d(np.arange(min(high, len(y)) + 1), inside)
        gap = f", but none of the {unit} has the label {absent[0]}" if low >= 0 else ""
        raise DataError(f"{where} has labels from {low} to {high}{gap}: classes are numbered from 0; {_OTHERWISE}")
    if task == "auto" and _too_many(classes, len(y)):
        raise DataError(
            f"{where} has {classes:,} different labels for {len(y):,} {unit}, too many for classes: give --task "
            "regression to predict numbers, or --task classification"
        )
    names = () if from_zero else tuple(map(str, values))
    return labels.astype(np.int32), Classification(classes, names=names)


def _too_many(classes: int, samples: int) -> bool:
    """Whether so many different targets are hardly classes."""
    return classes > 2 and 2 * classes > samples


def _whole(y: np.ndarray, where: str) -> np.ndarray:
    """Floating point numbers as integers."""
    wrong = y[(y != np.round(y)) | (np.abs(y) > 2**53)]
    if len(wrong):
        raise DataError(
            f"{where} has {len(wrong):,} targets that are not whole numbers, such as {wrong[0]:g}: classes must be; "
            "round them, or give --task regression"
        )
    return y.astype(np.int64)


def _class_numbers(y: np.ndarray, where: str, task: Classification) -> np.ndarray:
    """The class numbers, int32 (n,), of the targets of a test part."""
    if y.ndim == 2:
        if y.shape[1] != task.classes or task.names or not _is_one_hot(y):
            raise DataError(
                f"{where} has shape {y.shape}: for the {task.classes} classes of the training part, targets must be "
                "as there, or one-hot rows; convert them"
            )
        return y.argmax(axis=1).astype(np.int32)
    if y.dtype.kind == "f":
        y = _whole(y, where)
    if task.names:
        return _named(y, where, task.names)
    if y.dtype.kind == "U":
        raise DataError(f"{where} has texts, the training part numbers from 0 to {task.classes - 1}: give these")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= task.classes:
        raise DataError(
            f"{where} has labels from {low} to {high}: allowed are 0 to {task.classes - 1}, those of the training "
            "part; renumber them"
        )
    return y.astype(np.int32)


def _named(y: np.ndarray, where: str, names: Sequence[str]) -> np.ndarray:
    values, labels = np.unique(y, return_inverse=True)
    numbers = {name: number for number, name in enumerate(names)}
    if unknown := [str(value) for value in values if str(value) not in numbers]:
        raise DataError(
            f"{where} has the class {', '.join(map(repr, unknown[:5]))}, which the training part lacks (it has "
            f"{', '.join(map(repr, names[:10]))}{', ...' if len(names) > 10 else ''}): correct or remove it"
        )
    return np.array([numbers[str(value)] for value in values], np.int32)[labels]
