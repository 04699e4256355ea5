"""The arrays of an `.npz` file, each read only when it is asked for, and never unpickled."""

import math
import os
import stat
import zipfile
from collections.abc import Callable
from functools import partial
from typing import IO

import numpy as np

from ..errors import DataError
from ..messages import cause, shown
from .source import stand_in


def open_npz(spec: str) -> dict[str, Callable[[], np.ndarray]]:
    """One reader for each array of the file at `spec`, by its name.

    Only the table of contents is read here. This and every reader raises DataError for what is missing or damaged.
    """
    path = os.path.expanduser(spec)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataError(f"{shown(spec)} is not a regular file: give the path of an .npz file")
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except OSError as error:
        raise DataError(f"{shown(spec)} cannot be read ({error.strerror}): give the path of an .npz file") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(
            f"{shown(spec)} is not an .npz archive, or is cut short ({cause(error)}): "
            "write it with numpy.savez_compressed(path, x_train=..., y_train=...)"
        ) from error
    return {member.removesuffix(".npy"): partial(_read_member, spec, path, member) for member in members}


def npz_outline(spec: str, name: str) -> np.ndarray:
    """An array of the file at `spec` by its header alone, where that tells all; floating point numbers are read.

    Raises DataError for what is missing or damaged.
    """
    path = os.path.expanduser(spec)

    def outlined(file: IO[bytes]) -> np.ndarray:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype != np.uint8:  # whether all values are allowed is told by the values
            return _read_member(spec, path, f"{name}.npy")
        size = sum(map(len, iter(partial(file.read, 1 << 20), b"")))  # at its end the checksum is compared
        if size != math.prod(shape):
            raise ValueError(f"its header says {shape}, but {size:,} bytes follow")
        return stand_in(shape, dtype)

    return _of_member(spec, path, f"{name}.npy", outlined)


def _read_member(spec: str, path: str, member: str) -> np.ndarray:
    return _of_member(spec, path, member, _whole)


def _whole(file: IO[bytes]) -> np.ndarray:
    array = np.lib.format.read_array(file, allow_pickle=False)
    # The checksum is compared only at the end of the member, which a damaged header may place elsewhere.
    if file.read(1):
        raise ValueError("bytes are left over after the array")
    return array


def _of_member(spec: str, path: str, member: str, read: Callable[[IO[bytes]], np.ndarray]) -> np.ndarray:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            return read(file)
    except DataError:
        raise
    except Exception as error:  # damage makes zip, zlib, lzma, struct and numpy raise many different errors
        raise DataError(
            f"{member.removesuffix('.npy')} of {shown(spec)} cannot be read ({cause(error)}): it must be an "
            "undamaged array of numbers, not of Python objects, and fit in memory; write the file again"
        ) from error
