"""Finds the data set that a user names: of Keras, a file, a folder, or a function."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..messages import cause, shown
from ..user_code import find_module, guarded, import_attribute, is_reference
from .idx import has_idx_files, open_idx_folder
from .image_folder import open_image_folder, test_outline
from .npz import npz_outline, open_npz
from .source import Readers, Source
from .table import is_table_file, is_table_folder, open_table, open_table_folder

KERAS_NAMES = ("mnist", "fashion_mnist", "cifar10", "cifar100")

# In a checkout it is beside search/. A wheel does not contain it: then Keras downloads MNIST.
EMBEDDED_MNIST = Path(__file__).resolve().parents[2] / "data" / "mnist.npz"


def resolve(spec: str, target: str | None = None) -> Callable[[], Source]:
    """Checks `spec` as far as that is cheap, and returns the function that opens the data set.

    Args:
        spec: as in `load_dataset`.
        target: the column of a table that is predicted; None for the last one.

    Raises DataError, as does the function that is returned.
    """
    if target is not None and (spec in KERAS_NAMES or not (is_table_file(spec) or is_table_folder(spec))):
        raise DataError(
            f"{target!r} was named as the column to predict, but {shown(spec)} is no table: leave the target out, or "
            "give a .csv or .parquet file"
        )
    if spec == "mnist" and EMBEDDED_MNIST.exists():
        readers = open_npz(str(EMBEDDED_MNIST))
        return lambda: Source(spec, readers, _npz_outlines(str(EMBEDDED_MNIST)))
    if spec in KERAS_NAMES:
        return lambda: Source(spec, _open_keras(spec))
    if spec.lower().endswith(".npz"):
        source = Source(spec, open_npz(spec), _npz_outlines(spec))
        source.require("train")
        return lambda: source
    if is_reference(spec):
        module, _, attribute = spec.partition(":")
        find_module(module, f"data set {shown(spec)}", DataError)
        return lambda: _open_callable(spec, module, attribute)
    if is_table_file(spec):
        source = open_table(spec, target)
        return lambda: source
    if os.path.isdir(os.path.expanduser(spec)):
        source = _folder(spec, target)
        return lambda: source
    raise DataError(
        f"data set {shown(spec)} is unknown: give one of {', '.join(KERAS_NAMES)}, the path of an .npz, .csv or "
        ".parquet file, or of a folder of images, tables or IDX files, or module:attribute"
    )


def _npz_outlines(spec: str) -> Mapping[str, Callable[[], np.ndarray]]:
    return {"x_test": partial(npz_outline, spec, "x_test")}


def _folder(spec: str, target: str | None) -> Source:
    if is_table_folder(spec):
        return open_table_folder(spec, target)
    if has_idx_files(spec):
        return open_idx_folder(spec)
    return Source(spec, open_image_folder(spec), {"x_test": partial(test_outline, spec)}, by_class=True)


def _open_keras(name: str) -> Readers:
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


def _open_callable(spec: str, module: str, attribute: str) -> Source:
    """The data set of a user's function; a function that it returns for the test part is its opening."""
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
        array = np.asarray(value() if callable(value) else value)
        # pandas gives texts as Python objects
        texts = array.dtype == object and array.size and all(isinstance(item, str) for item in array.flat)
        return array.astype(str) if texts else array

    keys = guarded(partial(list, arrays), f"{where} failed", DataError)
    readers = {key: partial(guarded, partial(read, key), f"{key} of {where} failed", DataError) for key in keys}

    def outline(key: str) -> np.ndarray | None:
        return None if callable(arrays[key]) else readers[key]()

    outlines = {key: partial(outline, key) for key in ("x_test", "y_test")}
    return Source(spec, readers, outlines, by_function=True)
