"""A folder of IDX files, the form of MNIST and its relatives: `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, ...

Files may be compressed by gzip, be named with a dot (`train-images.idx3-ubyte`), and begin with the name of their data
set (`emnist-letters-train-images-idx3-ubyte`).
"""

import gzip
import math
import os
import re
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import DataError
from ..messages import cause, shown
from .source import Readers, Source, stand_in

_ANY = re.compile(r".*[-.]idx\d+[-.](ubyte|byte|short|int|float|double)(\.gz)?", re.IGNORECASE)
_NAME = re.compile(
    r"(?P<family>.*?)[-_.]?(?P<part>train|t10k|test)[-_](?P<kind>images|labels)[-.]idx\d+[-.]\w+?(?P<gz>\.gz)?",
    re.IGNORECASE,
)
_KEYS = {("train", "images"): "x_train", ("train", "labels"): "y_train"}
_KEYS |= {(part, kind): f"{key}_test" for part in ("t10k", "test") for kind, key in (("images", "x"), ("labels", "y"))}
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_LARGEST_RANK = 8


class _File(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def has_idx_files(spec: str) -> bool:
    """Whether the folder has files that are named as IDX files are."""
    return bool(_idx_names(spec))


def open_idx_folder(spec: str) -> Source:
    """The data set of a folder. Only names are looked at here.

    Samples are of the file's rank and element type, whatever its name says. Raises DataError, as do the readers.
    """
    folder = Path(os.path.expanduser(spec))
    files, families, others = _sorted_out(spec)
    if not files:
        raise DataError(
            f"{shown(spec)} holds IDX files, but {', '.join(others[:5])} has not the name of one: name them "
            "train-images-idx3-ubyte, train-labels-idx1-ubyte and, for a test part, t10k-images-idx3-ubyte, "
            "t10k-labels-idx1-ubyte"
        )
    if len(families) > 1:
        raise DataError(
            f"{shown(spec)} holds the IDX files of several data sets, {', '.join(map(repr, sorted(families)[:5]))}: "
            "move those of each into a folder of its own"
        )
    chosen = {key: _only(spec, key, names) for key, names in files.items()}
    _require_pairs(spec, chosen)
    paths = {key: folder / name for key, name in chosen.items()}
    readers: Readers = {key: partial(_read, path) for key, path in paths.items()}
    outlines = {key: partial(_read, path, outline=True) for key, path in paths.items() if key == "x_test"}
    return Source(spec, readers, outlines, {key: shown(str(path)) for key, path in paths.items()})


def _idx_names(spec: str) -> list[str]:
    folder = os.path.expanduser(spec)
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith(".") and _ANY.fullmatch(name))
    except OSError:  # a reader of folders says what is wrong with this one
        return []


def _sorted_out(spec: str) -> tuple[dict[str, list[str]], set[str], list[str]]:
    """The names for each array, the names of data sets that they begin with, and names that say no array."""
    files: dict[str, list[str]] = {}
    families: set[str] = set()
    others: list[str] = []
    for name in _idx_names(spec):
        if found := _NAME.fullmatch(name):
            files.setdefault(_KEYS[found["part"].lower(), found["kind"].lower()], []).append(name)
            families.add(found["family"])
        else:
            others.append(name)
    return files, families, others


def _only(spec: str, key: str, names: Sequence[str]) -> str:
    """The name of the file that is read for an array."""
    # Unpacked files often lie beside the packed ones that they come from.
    plain = [name for name in names if not name.lower().endswith(".gz")] or names
    if len(plain) > 1:
        raise DataError(f"{shown(spec)} has {plain[0]} and {plain[1]}, both for {key}: keep one of them")
    return plain[0]


def _require_pairs(spec: str, files: dict[str, str]) -> None:
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images_name, labels_name = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
        images, labels = files.get(f"x_{part}"), files.get(f"y_{part}")
        if (images is None) != (labels is None) or (part == "train" and images is None):
            there = images or labels or next(iter(files.values()))
            needed = [name for name, file in ((images_name, images), (labels_name, labels)) if file is None]
            raise DataError(
                f"{shown(spec)} has {there}, but no {' and no '.join(needed)}: add the file, or, of a test part, "
                "remove both"
            )


def _read(path: Path, outline: bool = False) -> np.ndarray:
    """The array of a file; with `outline` a stand-in of bytes, which are all allowed."""
    if not path.is_file():  # a pipe would be waited for
        raise DataError(f"{shown(str(path))} is not a regular file: give an IDX file")
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        if packed:
            with gzip.open(path) as file:
                return _array(file, outline)
        with path.open("rb") as file:
            return _array(file, outline)
    except (OSError, EOFError, zlib.error, ValueError, MemoryError, struct.error) as error:
        raise DataError(
            f"{shown(str(path))} cannot be read ({cause(error)}): it must be a whole IDX file; get it again"
        ) from error


def _array(file: _File, outline: bool) -> np.ndarray:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _DTYPES or not 0 < start[3] <= _LARGEST_RANK:
        raise ValueError(f"its first bytes are {start.hex(' ') or 'absent'}, which no IDX file has")
    dtype, rank = np.dtype(_DTYPES[start[2]]), start[3]
    shape = struct.unpack(f">{rank}I", file.read(4 * rank))
    size = math.prod(shape) * dtype.itemsize
    content = file.read()
    if len(content) != size:
        raise ValueError(f"its header says {shape}, thus {size:,} bytes, but {len(content):,} follow")
    if outline and dtype == np.uint8:
        return stand_in(shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
