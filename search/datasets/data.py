"""Labelled images for a search: loads them from any source, and splits them into training and validation.

A search gets a `Dataset`, which has no test images. Only `load_test` reads those: an `.npz` file is read array by
array, of a folder of images only the training part is opened, and a user's function for the test part is not called.
(Keras's loaders return both parts at once. Then the test part is dropped.)

Images become float32 (n, height, width, channels): floating point numbers are kept, integers (0 to 255, uint8 or wider)
are divided by 255. Labels become int32 (n,), classes counted from 0.
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
from .checks import check_images, checked_labels, class_counts
from .image_folder import open_image_folder
from .npz import open_npz
from .splitting import VALIDATION_FRACTION, split_indices
from .task import Classification, Task

KERAS_NAMES = ("mnist", "fashion_mnist", "cifar10", "cifar100")

# In a checkout it is beside search/. A wheel does not contain it: then Keras downloads MNIST.
EMBEDDED_MNIST = Path(__file__).resolve().parents[2] / "data" / "mnist.npz"
_Readers = Mapping[str, Callable[[], np.ndarray]]  # one reader for each array, so that only what is needed is read


@final
@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and validation images, ready for a network. Never holds test images.

    Attributes:
        name: short slug: "mnist", the stem of an .npz, the name of a folder or of an attribute.
        x_train, x_validation: images, float32 (n, height, width, channels).
        y_train, y_validation: labels, int32 (n,), from 0.
        task: what a network is trained for on them.
        fingerprint: SHA-256 over dtype, shape and bytes of the training images and labels as given, before the split.
        seed: of the split.
    """

    name: str
    x_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_validation: np.ndarray = field(repr=False)
    y_validation: np.ndarray = field(repr=False)
    task: Task
    fingerprint: str
    seed: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of one image."""
        _, height, width, channels = self.x_train.shape
        return height, width, channels

    def identity(self) -> dict[str, Any]:
        """Which data a search uses, as values for JSON; two searches with the same identity use the same data."""
        return {
            "fingerprint": self.fingerprint,
            "images": len(self.x_train),
            "validation": len(self.x_validation),
            "validation_fraction": VALIDATION_FRACTION,
            "split_seed": self.seed,
        }


def load_dataset(spec: str, *, images: int | None = None, seed: int = 0) -> Dataset:
    """Loads the training part of a data set and splits it.

    Validation is a tenth of all images, stratified. It does not depend on `images`. All images keep their order.

    Args:
        spec: a Keras data set (`KERAS_NAMES`), an `.npz` file with `x_train` and `y_train`, a folder of images (see
            `open_image_folder`), or, as `module:attribute`, a callable that returns a mapping of arrays, each an array
            or a callable that returns one. For such a callable the working folder is added to `sys.path`.
        images: the most training images, a stratified choice; at least one for each class. None for all.
        seed: fixes both choices; at least 0.

    Raises DataError, in one line, for everything that cannot be used.
    """
    if seed < 0:
        raise DataError(f"the seed of the split is {seed}: it must be 0 or more; choose another")
    x, y = _read_part(_resolve(spec)(), spec, "train")
    where = shown(spec)
    check_images(x, f"x_train of {where}")
    labels = checked_labels(y, len(x), f"y_train of {where}")
    counts = class_counts(labels, f"y_train of {where}")
    if images is not None and images < len(counts):
        raise DataError(
            f"{images} training images were asked for, but {where} has {len(counts)} classes: "
            f"ask for {len(counts)} or more, one for each class"
        )
    training, validation = split_indices(labels, counts, images, seed)
    return Dataset(
        name=_slug(spec),
        x_train=_network_input(x[training]),
        y_train=labels[training],
        x_validation=_network_input(x[validation]),
        y_validation=labels[validation],
        task=Classification(len(counts)),
        fingerprint=_fingerprint(x, y),
        seed=seed,
    )


def load_test(
    spec: str, *, task: Task | None = None, input_shape: tuple[int, ...] | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """The test images, float32 (n, height, width, channels), and labels, int32 (n,); None if the set has no test part.

    Args:
        spec: as in `load_dataset`.
        task, input_shape: of the training data; the test part must agree with them. None: it is not checked.

    Raises DataError if the test part cannot be used or does not agree.
    """
    readers = _resolve(spec)()
    if "x_test" not in readers and "y_test" not in readers:
        return None
    x, y = _read_part(readers, spec, "test")
    where = shown(spec)
    check_images(x, f"x_test of {where}")
    classes = task.classes if isinstance(task, Classification) else None
    labels = checked_labels(y, len(x), f"y_test of {where}", classes)
    x = _network_input(x)
    if input_shape is not None and x.shape[1:] != input_shape:
        raise DataError(
            f"x_test of {where} has images of {x.shape[1:]}, x_train of {input_shape}: "
            "both must have one height, width and number of channels; reshape one of them"
        )
    return x, labels


def has_test(spec: str) -> bool:
    """Whether the data set has a test part, without reading it. Raises DataError like `load_dataset`."""
    return any(key in _resolve(spec)() for key in ("x_test", "y_test"))


def check_spec(spec: str) -> None:
    """Refuses a `spec` that would certainly fail, in well under a second and without importing Keras.

    An `.npz` file must open and have the training arrays. A folder of images must have class folders, and its test
    classes must be training classes. The module of a callable must be found: this imports the packages around it, but
    not the module itself. Raises DataError.
    """
    _resolve(spec)


def _resolve(spec: str) -> Callable[[], _Readers]:
    """Checks `spec` as far as that is cheap, and returns the function that opens the data set."""
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
