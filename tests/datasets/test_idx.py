"""Folders of IDX files: what is read of them, and what is refused."""

import gzip
import os
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from datasets_support import like, refusal, small_set, write_npz

from kerastuna.search.datasets.data import Dataset, check_spec, has_test, load_dataset, load_test
from kerastuna.search.datasets.idx import has_idx_files, open_idx_folder
from kerastuna.search.datasets.task import Classification, Regression

TYPES = {"|u1": 0x08, "|i1": 0x09, "<i2": 0x0B, "<i4": 0x0C, "<f4": 0x0D, "<f8": 0x0E}
NAMES = {"x_train": "train-images-idx3", "y_train": "train-labels-idx1"}
NAMES |= {"x_test": "t10k-images-idx3", "y_test": "t10k-labels-idx1"}


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, TYPES[array.dtype.str], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_folder(folder: Path, form: str = "{}-ubyte", **replaced: np.ndarray | None) -> Path:
    folder.mkdir(exist_ok=True)
    for key, array in small_set(**replaced).items():
        content = idx(array)
        name = form.format(NAMES[key])
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


@pytest.mark.parametrize(
    "form",
    ["{}-ubyte", "{}-ubyte.gz", "{}.ubyte", "emnist-letters-{}-ubyte.gz", "{}-UBYTE", "{}-int", "kmnist_{}-ubyte"],
)
def test_a_folder_is_the_data_set_of_its_arrays(tmp_path: Path, form: str):
    folder = write_folder(tmp_path / "my set", form)
    check_spec(str(folder))
    data, same = load_dataset(str(folder)), load_dataset(write_npz(tmp_path / "set.npz", small_set()))
    assert (data.name, data.task, data.input_shape) == ("my-set", Classification(3), (4, 5, 1))
    assert data.identity() == same.identity()
    np.testing.assert_array_equal(data.x_train, same.x_train)
    assert has_test(str(folder))
    part = load_test(str(folder), data)
    assert part is not None
    np.testing.assert_array_equal(part[0][..., 0], small_set()["x_test"].astype(np.float32) / 255)
    np.testing.assert_array_equal(part[1], small_set()["y_test"])


def test_names_with_a_dot(tmp_path: Path):
    write_folder(tmp_path / "set", x_test=None, y_test=None)
    for kind in ("images-idx3", "labels-idx1"):
        old = tmp_path / "set" / f"train-{kind}-ubyte"
        old.rename(old.with_name(f"train-{kind.replace('-', '.')}-ubyte"))
    data = load_dataset(str(tmp_path / "set"))
    assert data.task == Classification(3)
    assert load_test(str(tmp_path / "set"), data) is None


@pytest.mark.parametrize("dtype", TYPES)
def test_every_element_type(tmp_path: Path, dtype: str):
    x = (np.arange(600).reshape(30, 20) - 5).astype(dtype)
    folder = write_folder(tmp_path / "set", x_train=x, y_train=(np.arange(30) % 3).astype("i4"))
    read = open_idx_folder(str(folder)).readers["x_train"]()
    assert read.dtype == np.dtype(dtype)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, x)
    data = load_dataset(str(folder))
    assert (data.input_shape, data.unit) == ((20,), "rows")
    assert data.x_train[0, 0] == float(x[0, 0])


def test_labels_may_be_numbers(tmp_path: Path):
    folder = write_folder(tmp_path / "set", y_train=np.arange(30, dtype="f8") / 7)
    assert load_dataset(str(folder)).task == Regression()


def test_unpacked_files_beside_packed_ones(tmp_path: Path):
    write_folder(tmp_path / "set", "{}-ubyte.gz", x_train=np.zeros((30, 9, 9), np.uint8))
    write_folder(tmp_path / "set")
    assert load_dataset(str(tmp_path / "set")).input_shape == (4, 5, 1)


def test_a_packed_file_without_the_ending(tmp_path: Path):
    folder = write_folder(tmp_path / "set")
    for file in folder.iterdir():
        file.write_bytes(gzip.compress(file.read_bytes()))
    assert load_dataset(str(folder)).task == Classification(3)


def test_training_never_opens_the_test_part(tmp_path: Path):
    folder = write_folder(tmp_path / "set", x_test=None, y_test=None)
    os.mkfifo(folder / "t10k-images-idx3-ubyte")  # whoever opened it would wait for ever
    (folder / "t10k-labels-idx1-ubyte").write_text("no labels")
    check_spec(str(folder))
    data = load_dataset(str(folder))
    assert has_test(str(folder))
    assert "t10k-images-idx3-ubyte' is not a regular file" in refusal(load_test, folder, like=data)


def test_letters_are_numbered_from_one(tmp_path: Path):
    folder = write_folder(tmp_path / "set", y_train=np.arange(30, dtype=np.uint8) % 13 + 1)
    message = refusal(load_dataset, folder)
    assert "labels from 1 to 13, but none of the images has the label 0" in message
    assert "--task classification" in message
    data = load_dataset(str(folder), task="classification")
    assert data.task == Classification(13, names=tuple(map(str, range(1, 14))))
    assert load_dataset(str(folder), task="regression").task == Regression()


@pytest.mark.parametrize("function", [check_spec, load_dataset, partial(load_test, like=like())])
@pytest.mark.parametrize(
    ("names", "named"),
    [
        ("train-images-idx3-ubyte", ["has train-images-idx3-ubyte, but no train-labels-idx1-ubyte"]),
        ("train-labels-idx1-ubyte", ["but no train-images-idx3-ubyte: add"]),
        ("t10k-images-idx3-ubyte t10k-labels-idx1-ubyte", ["no train-images-idx3-ubyte and no train-labels-idx1"]),
        (
            "train-images-idx3-ubyte train-labels-idx1-ubyte t10k-labels-idx1-ubyte",
            ["but no t10k-images-idx3-ubyte", "remove both"],
        ),
        ("pictures-idx3-ubyte", ["pictures-idx3-ubyte has not the name", "train-images-idx3-ubyte"]),
        ("a-train-images-idx3-ubyte b-train-labels-idx1-ubyte", ["several data sets, 'a', 'b'", "of its own"]),
        ("train-images-idx3-ubyte train-images.idx3-ubyte train-labels-idx1-ubyte", ["both for x_train: keep one"]),
        ("t10k-images-idx3-ubyte test-images-idx3-ubyte", ["both for x_test: keep one"]),
    ],
)
def test_names_that_are_refused(tmp_path: Path, function: Callable[..., object], names: str, named: list[str]):
    for name in names.split():
        (tmp_path / name).touch()
    message = refusal(function, tmp_path)
    assert all(words in message for words in named), message


WHOLE = idx(small_set()["x_train"])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "its first bytes are absent"),
        (b"\0\0\x08", "its first bytes are 00 00 08"),
        (b"\0\0\x07\x03" + WHOLE[4:], "its first bytes are 00 00 07 03"),
        (b"\x01\0\x08\x03" + WHOLE[4:], "its first bytes are 01 00 08 03"),
        (b"\0\0\x08\0", "its first bytes are 00 00 08 00"),
        (b"\0\0\x08\x09" + bytes(36), "its first bytes are 00 00 08 09"),
        (b"<html>not found</html>", "its first bytes are 3c 68 74 6d"),
        (WHOLE[:12], "cannot be read (error: unpack requires a buffer of 12 bytes)"),
        (WHOLE[:-1], "(30, 4, 5), thus 600 bytes, but 599 follow"),
        (WHOLE + b"\0", "thus 600 bytes, but 601 follow"),
        (b"\0\0\x0e\x08" + b"\xff" * 32, "bytes, but 0 follow"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: bytes, named: str, packed: bool):
    folder = write_folder(tmp_path / "set")
    (folder / "train-images-idx3-ubyte").write_bytes(gzip.compress(content) if packed else content)
    message = refusal(load_dataset, folder)
    assert named in message
    assert "set/train-images-idx3-ubyte' cannot be read" in message
    assert "get it again" in message


def test_damage_in_a_packed_file(tmp_path: Path):
    noise = np.random.default_rng(1).integers(0, 256, (30, 9, 9), dtype=np.uint8)
    file = write_folder(tmp_path / "set", "{}-ubyte.gz", x_train=noise) / "train-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    for at in (3, 20, len(whole) // 2, len(whole) - 6):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        assert "train-images-idx3-ubyte.gz' " in refusal(load_dataset, tmp_path / "set")
    for length in (1, 2, 9, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert "train-images-idx3-ubyte.gz' " in refusal(load_dataset, tmp_path / "set")


def test_counts_that_differ(tmp_path: Path):
    folder = write_folder(tmp_path / "set", y_train=np.zeros(29, np.uint8))
    assert "train-labels-idx1-ubyte' has 29 targets for 30 images" in refusal(load_dataset, folder)


def test_folders_without_idx_files(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".train-images-idx3-ubyte").touch()
    assert not has_idx_files(str(tmp_path))
    assert not has_idx_files(str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        ({"x_test": np.zeros((6, 5, 4), np.uint8)}, "both must have one shape"),
        ({"x_test": np.full((6, 4, 5), np.nan, np.float32)}, "NaN, infinite or beyond float32"),
        ({"y_test": np.full(6, 3, np.uint8)}, "allowed are 0 to 2"),
        ({"y_test": np.zeros(7, np.uint8)}, "7 targets for 6 images"),
    ],
)
@pytest.mark.parametrize("form", ["{}-ubyte", "{}-ubyte.gz"])
def test_a_test_part_that_cannot_be_used_is_found_before_it_is_opened(
    tmp_path: Path, replaced: dict[str, np.ndarray], told: str, form: str
):
    assert isinstance(load_dataset(str(write_folder(tmp_path / "good", form)), check_test=True), Dataset)
    folder = write_folder(tmp_path / "bad", form, **replaced)
    assert told in refusal(load_dataset, folder, check_test=True)
    assert isinstance(load_dataset(str(folder)), Dataset)
