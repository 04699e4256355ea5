"""The arrays of an `.npz` file, each read only when it is asked for, and never unpickled."""

import os
import stat
import zipfile
from collections.abc import Callable
from functools import partial

import numpy as np

from ..errors import DataError
from ..messages import cause, shown


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


def _read_member(spec: str, path: str, member: str) -> np.ndarray:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
            # The checksum is compared only at the end of the member, which a damaged header may place elsewhere.
            if file.read(1):
                raise ValueError("bytes are left over after the array")
            return array
    except Exception as error:  # damage makes zip, zlib, lzma, struct and numpy raise many different errors
        raise DataError(
            f"{member.removesuffix('.npy')} of {shown(spec)} cannot be read ({cause(error)}): it must be an "
            "undamaged array of numbers, not of Python objects, and fit in memory; write the file again"
        ) from error
