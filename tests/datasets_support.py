"""Shared by the tests of data sets: small arrays, .npz files, damage to them, and what a refusal says."""

import json
import os
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kerastuna.search.datasets.data import Dataset
from kerastuna.search.datasets.task import Classification, Task
from kerastuna.search.errors import DataError

Arrays = dict[str, np.ndarray]


def small_set(**replaced: np.ndarray | None) -> Arrays:
    """Thirty uint8 images of three classes, with a test part of six; None takes an array away."""
    rng = np.random.default_rng(5)
    arrays = {
        "x_train": rng.integers(0, 256, (30, 4, 5), dtype=np.uint8),
        "y_train": np.arange(30, dtype=np.uint8) % 3,
        "x_test": rng.integers(0, 256, (6, 4, 5), dtype=np.uint8),
        "y_test": np.arange(6, dtype=np.uint8) % 3,
    }
    return {key: array for key, array in {**arrays, **replaced}.items() if array is not None}


def like(task: Task | None = None, shape: tuple[int, ...] = (4, 5, 1), columns: tuple[str, ...] = ()) -> Dataset:
    """A training part without samples, for a test part to be compared with; by default that of `small_set`."""
    x, y = np.zeros((0, *shape), np.float32), np.zeros(0, np.int32)
    return Dataset("any", x, y, x, y, task or Classification(3), "", 0, columns)


def write_npz(path: Path, arrays: Arrays, *, compressed: bool = False) -> str:
    (np.savez_compressed if compressed else np.savez)(path, allow_pickle=True, **arrays)
    return str(path)


def data_of_member(path: str, member: str) -> tuple[int, int]:
    """Where the bytes of a member start in its archive, and how many there are."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
    header = Path(path).read_bytes()[info.header_offset : info.header_offset + 30]
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    return info.header_offset + 30 + name_length + extra_length, info.compress_size


def damage(path: str, member: str) -> None:
    """Inverts eight bytes in the middle of a member."""
    start, length = data_of_member(path, member)
    content = bytearray(Path(path).read_bytes())
    middle = start + length // 2
    content[middle : middle + 8] = bytes(255 - byte for byte in content[middle : middle + 8])
    Path(path).write_bytes(content)


def refusal(function: Callable[..., object], spec: str | Path, **options: object) -> str:
    """The one line in which `function` refuses `spec`."""
    with pytest.raises(DataError) as caught:
        function(str(spec), **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def run_python(program: str, **environment: str) -> dict[str, object]:
    """What a program that runs in a process of its own prints as JSON."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
