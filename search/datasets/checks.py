"""What images and labels must be for a classifier to be trained on them; each check raises DataError in one line."""

import numpy as np

from ..errors import DataError


def check_images(x: np.ndarray, where: str) -> None:
    """Refuses images that no network can take; `where` names them in the message.

    Allowed are (n, height, width) and (n, height, width, channels), none of them 0, as integers from 0 to 255 or as
    finite floating point numbers within float32.
    """
    if x.dtype.kind not in "uif":
        raise DataError(f"{where} has dtype {x.dtype}: images must be uint8 or floating point; convert them")
    if x.ndim not in (3, 4) or 0 in x.shape:
        raise DataError(
            f"{where} has shape {x.shape}: images must be (n, height, width) or (n, height, width, channels), "
            "none of them 0; reshape or add images"
        )
    if x.dtype == np.uint8:
        return
    low, high = x.min(), x.max()
    if x.dtype.kind != "f":
        if low < 0 or high > 255:
            raise DataError(
                f"{where} has integers from {low} to {high}: allowed are 0 to 255; rescale them, or convert to floats"
            )
    elif not (abs(low) <= np.finfo(np.float32).max and abs(high) <= np.finfo(np.float32).max):  # also catches NaN
        raise DataError(f"{where} has pixels that are NaN, infinite or beyond float32: replace them by finite numbers")


def checked_labels(y: np.ndarray, images: int, where: str, classes: int | None = None) -> np.ndarray:
    """The labels as int32 (n,).

    Args:
        y: integers (n,) or (n, 1), each at least 0 and, if `classes` is given, below it.
        images: how many images there are, which must be n.
        where: names the labels in the message.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        hint = " (one-hot labels are not supported: use labels.argmax(axis=1))" if y.ndim == 2 else ""
        raise DataError(f"{where} has shape {y.shape}: labels must be (n,) or (n, 1), one integer for an image{hint}")
    if y.dtype.kind not in "ui":
        raise DataError(f"{where} has dtype {y.dtype}: labels must be integers, from 0; convert them")
    if len(y) != images:
        raise DataError(f"{where} has {len(y)} labels for {images} images: give one label for each image")
    low, high = int(y.min()), int(y.max())
    largest = np.iinfo(np.int32).max if classes is None else classes - 1
    if low < 0 or high > largest:
        raise DataError(f"{where} has labels from {low} to {high}: allowed are 0 to {largest}; renumber them")
    return y.astype(np.int32)


def class_counts(labels: np.ndarray, where: str) -> np.ndarray:
    """How many images each class has, int64 (classes,), for checked `labels`, int32 (n,).

    Refuses labels that a classifier cannot be trained and validated on: each class from 0 needs an image, some class
    needs two, and there must be two classes or more.
    """
    classes = int(labels.max()) + 1
    if classes > len(labels):
        raise DataError(
            f"{where} has labels up to {classes - 1}, thus {classes} classes, but only {len(labels)} images: "
            "each class from 0 needs an image; renumber the labels"
        )
    counts = np.bincount(labels)
    absent = np.flatnonzero(counts == 0)
    if len(absent):
        more = ", ..." if len(absent) > 5 else ""
        raise DataError(
            f"{where} has labels up to {classes - 1}, but no image of class {', '.join(map(str, absent[:5]))}{more}: "
            "each class from 0 needs an image; renumber the labels"
        )
    if classes == 1:
        raise DataError(f"{where} has only class 0: a classifier needs two classes or more; add images of another")
    if classes == len(labels):
        raise DataError(
            f"{where} has one image of each class, which leaves none for validation: some class needs two; add images"
        )
    return counts
