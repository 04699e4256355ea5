"""Labelled images for a search: where they come from, what is refused, and the split into training and validation.

A search sees a `Dataset`, which holds no test images. They are behind `load_test`, and nothing else reads them: an
`.npz` is read member by member, of a folder of images only the training part is opened, and a user's callable for the
test part is not called. (Keras's loaders return both parts at once; there the test part is dropped unseen.)

Images become float32 (n, height, width, channels): floating point as it is, integers (0 to 255, uint8 or wider) divided
by 255. Labels become int32 (n,), classes counted from 0.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, final

import numpy as np

from ..errors import DataError
from ..messages import cause, shown
from ..user_code import find_module, guarded, import_attribute, is_reference
from .image_folder import open_image_folder
from .npz import open_npz

KERAS_NAMES = ("mnist", "fashion_mnist", "cifar10", "cifar100")
VALIDATION_FRACTION = 0.1

# In a checkout, beside search/. A wheel leaves the data out; there Keras fetches MNIST.
EMBEDDED_MNIST = Path(__file__).resolve().parents[2] / "data" / "mnist.npz"
_Readers = Mapping[str, Callable[[], np.ndarray]]  # one reader per array: what is not asked for is not read


@final
@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and validation images, ready for a network. Never holds test images.

    Attributes:
        name: short slug: "mnist", the stem of an .npz, the name of a folder or of an attribute.
        x_train, x_validation: images, float32 (n, height, width, channels).
        y_train, y_validation: labels, int32 (n,), from 0 to `classes` - 1.
        classes: their number, at least 2.
        fingerprint: SHA-256 over dtype, shape and bytes of the training images and labels as given, before the split.
        seed: of the split.
    """

    name: str
    x_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_validation: np.ndarray = field(repr=False)
    y_validation: np.ndarray = field(repr=False)
    classes: int
    fingerprint: str
    seed: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of one image."""
        _, height, width, channels = self.x_train.shape
        return height, width, channels

    def identity(self) -> dict[str, Any]:
        """What two searches must share to have seen the same data; JSON-able."""
        return {
            "fingerprint": self.fingerprint,
            "images": len(self.x_train),
            "validation": len(self.x_validation),
            "validation_fraction": VALIDATION_FRACTION,
            "split_seed": self.seed,
        }


def load_dataset(spec: str, *, images: int | None = None, seed: int = 0) -> Dataset:
    """Loads the training part of a data set and splits it.

    Validation is a tenth of all images, stratified and drawn first, so it is the same for any `images`; those stay in
    the order given.

    Args:
        spec: a Keras data set (`KERAS_NAMES`), an `.npz` file with `x_train` and `y_train`, a folder of images (see
            `open_image_folder`), or, as `module:attribute`, a callable that returns a mapping of arrays, each an array
            or a callable that returns one. For such a callable the working folder joins `sys.path`.
        images: the most training images, a stratified choice; None for all.
        seed: fixes both choices; at least 0.

    Raises DataError, in one line, for whatever cannot be used.
    """
    if seed < 0:
        raise DataError(f"the seed of the split is {seed}: it must be 0 or more; choose another")
    x, y = _read_part(_resolve(spec)(), spec, "train")
    where = shown(spec)
    _check_images(x, f"x_train of {where}")
    labels = _checked_labels(y, len(x), f"y_train of {where}")
    counts = _class_counts(labels, f"y_train of {where}")
    if images is not None and images < len(counts):
        raise DataError(
            f"{images} training images were asked for, but {where} has {len(counts)} classes: "
            f"ask for {len(counts)} or more, one for each class"
        )
    training, validation = _split(labels, counts, images, seed)
    return Dataset(
        name=_slug(spec),
        x_train=_network_input(x[training]),
        y_train=labels[training],
        x_validation=_network_input(x[validation]),
        y_validation=labels[validation],
        classes=len(counts),
        fingerprint=_fingerprint(x, y),
        seed=seed,
    )


def load_test(
    spec: str, *, classes: int | None = None, input_shape: tuple[int, int, int] | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """The test images, float32 (n, height, width, channels), and labels, int32 (n,); None where the set has none.

    Args:
        spec: as in `load_dataset`.
        classes, input_shape: of the training data, with which the test part has to agree; None leaves that unchecked.

    Raises DataError for what cannot be used, or does not agree.
    """
    readers = _resolve(spec)()
    if "x_test" not in readers and "y_test" not in readers:
        return None
    x, y = _read_part(readers, spec, "test")
    where = shown(spec)
    _check_images(x, f"x_test of {where}")
    labels = _checked_labels(y, len(x), f"y_test of {where}", classes)
    x = _network_input(x)
    if input_shape is not None and x.shape[1:] != input_shape:
        raise DataError(
            f"x_test of {where} has images of {x.shape[1:]}, x_train of {input_shape}: "
            "both must have one height, width and number of channels; reshape one of them"
        )
    return x, labels


def has_test(spec: str) -> bool:
    """Whether the data set has a test part, which is not read. Raises DataError like `load_dataset`."""
    return any(key in _resolve(spec)() for key in ("x_test", "y_test"))


def check_spec(spec: str) -> None:
    """Refuses, in well under a second and without Keras, a `spec` that is certain to fail; raises DataError.

    An `.npz` must open and name its training arrays; a folder of images must have class folders, and test classes that
    are training classes; the module of a callable must be found (which imports the packages around it, not itself).
    """
    _resolve(spec)


def _resolve(spec: str) -> Callable[[], _Readers]:
    """Checks `spec` as far as is cheap; returns the function that opens the data set."""
    if spec == "mnist" and EMBEDDED_MNIST.exists():
        spec = str(EMBEDDED_MNIST)
    if spec in KERAS_NAMES:
        return partial(_open_keras, spec)
    if spec.lower().endswith(".npz"):
        readers = open_npz(spec)
        _require_part(readers, spec, "train")
        return lambda: readers
    if is_reference(spec):
        module, _, attribute = spec.partition(":")
        find_module(module, f"data set {shown(spec)}", DataError)
        return partial(_open_callable, spec, module, attribute)
    if os.path.isdir(os.path.expanduser(spec)):
        readers = open_image_folder(spec)
        return lambda: readers
    raise DataError(
        f"data set {shown(spec)} is unknown: give one of {', '.join(KERAS_NAMES)}, the path of an .npz file or of a "
        "folder of images, or module:attribute"
    )


def _read_part(readers: _Readers, spec: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    _require_part(readers, spec, part)
    return readers[f"x_{part}"](), readers[f"y_{part}"]()


def _require_part(readers: _Readers, spec: str, part: str) -> None:
    missing = [key for key in (f"x_{part}", f"y_{part}") if key not in readers]
    if missing:
        raise DataError(
            f"{shown(spec)} lacks {' and '.join(missing)} (it has {list(readers)[:10]}): "
            "a data set holds x_train, y_train and, if it has a test part, x_test, y_test; rename or add them"
        )


def _open_keras(name: str) -> _Readers:
    try:
        with redirect_stdout(sys.stderr):  # Keras reports a download on standard output, which may be kept for JSON
            import keras

            train, test = getattr(keras.datasets, name).load_data()
            channels_first = keras.config.image_data_format() == "channels_first"
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise DataError(
            f"data set {name!r} could not be loaded through Keras ({cause(error)}): "
            "check the network, or give the path of an .npz file"
        ) from error

    def images(x: np.ndarray) -> np.ndarray:
        return np.moveaxis(x, 1, -1) if channels_first and x.ndim == 4 else x

    return {
        "x_train": lambda: images(train[0]),
        "y_train": lambda: train[1],
        "x_test": lambda: images(test[0]),
        "y_test": lambda: test[1],
    }


def _open_callable(spec: str, module: str, attribute: str) -> _Readers:
    where = shown(spec)
    loader = import_attribute(module, attribute, f"data set {where}", DataError)
    if not callable(loader):
        raise DataError(f"{where} is of type {type(loader).__name__}: give a callable that returns a mapping of arrays")
    arrays = guarded(loader, f"{where} failed", DataError)
    if not isinstance(arrays, Mapping):
        raise DataError(
            f"{where} returned the type {type(arrays).__name__}: return a mapping of x_train, y_train and, if there is "
            "a test part, x_test, y_test"
        )

    def read(key: str) -> np.ndarray:
        value = arrays[key]
        return np.asarray(value() if callable(value) else value)

    keys = guarded(partial(list, arrays), f"{where} failed", DataError)
    return {key: partial(guarded, partial(read, key), f"{key} of {where} failed", DataError) for key in keys}


def _check_images(x: np.ndarray, where: str) -> None:
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


def _checked_labels(y: np.ndarray, images: int, where: str, classes: int | None = None) -> np.ndarray:
    """Labels as int32 (n,), each at least 0 and, where `classes` is given, below it."""
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


def _class_counts(labels: np.ndarray, where: str) -> np.ndarray:
    """Images of each class, int64 (classes,); refuses labels that no classifier can be trained and validated on."""
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


def stratified_sizes(counts: np.ndarray, total: int, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Shares `total` among classes in proportion to `counts` by largest remainder, each within `least` and `most`.

    All arrays int64 (classes,); needs `least.sum() <= total <= most.sum()`. Of equal remainders the first class wins.
    """
    images = counts.sum()
    sizes = np.clip(counts * total // images, least, most)
    while missing := int(np.sign(total - sizes.sum())):
        owed = missing * (counts * total - sizes * images)  # whole numbers, so the same on every machine
        movable = sizes < most if missing > 0 else sizes > least
        sizes[np.argmax(np.where(movable, owed, np.iinfo(np.int64).min))] += missing
    return sizes


def _split(labels: np.ndarray, counts: np.ndarray, images: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices of the training and of the validation images."""
    total = len(labels)
    # Each image's place within its class, in an order that the seed shuffles: the first validate, the next train.
    order = np.random.default_rng(seed).permutation(total)
    by_class = order[np.argsort(labels[order], kind="stable")]
    place = np.empty(total, np.int64)
    place[by_class] = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)

    spare = counts - 1  # one image of each class stays in training
    wanted = min(max(1, round(total * VALIDATION_FRACTION)), int(spare.sum()))
    validating = stratified_sizes(counts, wanted, np.zeros_like(counts), spare)
    training = counts - validating
    if images is not None and images < training.sum():
        training = stratified_sizes(training, images, np.ones_like(counts), training)

    first, end = validating[labels], (validating + training)[labels]
    return np.flatnonzero((first <= place) & (place < end)), np.flatnonzero(place < first)


def _network_input(x: np.ndarray) -> np.ndarray:
    if x.ndim == 3:
        x = x[..., np.newaxis]
    if x.dtype.kind == "f":
        return x.astype(np.float32, copy=False)
    return np.divide(x, np.float32(255), dtype=np.float32)


def _fingerprint(*arrays: np.ndarray) -> str:
    digest = sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _slug(spec: str) -> str:
    if spec.lower().endswith(".npz"):
        name = Path(spec).stem
    elif is_reference(spec):
        name = re.split("[:.]", spec)[-1]
    else:  # a name, or a folder
        name = os.path.basename(os.path.abspath(os.path.expanduser(spec)))
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"
