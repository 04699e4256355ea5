"""Loading, refusing and splitting images: on slices of MNIST, on small arrays, and through Keras's own loaders."""

import gzip
import hashlib
import itertools
import json
import os
import re
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kerastuna.search.datasets.data import (
    EMBEDDED_MNIST,
    KERAS_NAMES,
    Dataset,
    check_spec,
    load_dataset,
    load_test,
    stratified_sizes,
)
from kerastuna.search.errors import DataError

Arrays = dict[str, np.ndarray]


def numbered_images(labels: list[int]) -> Arrays:
    """A training part whose image i has only pixels of value i, so that a split can be read off the pixels."""
    x = np.broadcast_to(np.arange(len(labels), dtype=np.float32)[:, None, None], (len(labels), 2, 3))
    return {"x_train": x, "y_train": np.array(labels)}


def numbers(x: np.ndarray) -> list[int]:
    return x[:, 0, 0, 0].astype(int).tolist()


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


def refusal(function: Callable[..., object], spec: str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        function(spec, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def fingerprint_or_refusal(spec: str) -> str:
    try:
        return load_dataset(spec).fingerprint
    except DataError as error:
        return str(error)


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module into the working folder, which is on no path yet; returns its name."""
    numbering = itertools.count()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != ""])
    before = set(sys.modules)

    def write(source: str) -> str:
        name = f"module_of_{tmp_path.name}_{next(numbering)}"
        (tmp_path / f"{name}.py").write_text("import numpy as np\n" + textwrap.dedent(source))
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("module_of_"):
            del sys.modules[name]


# What is loaded


def test_mnist_is_scaled_and_split_nine_to_one():
    data = load_dataset("mnist")
    with np.load(EMBEDDED_MNIST) as archive:
        x, y = archive["x_train"], archive["y_train"]
    assert (data.name, data.classes, data.input_shape) == ("mnist", 10, (28, 28, 1))
    assert data.x_train.shape == (54000, 28, 28, 1)
    assert data.x_validation.shape == (6000, 28, 28, 1)
    assert data.x_train.dtype == data.x_validation.dtype == np.float32
    assert data.y_train.dtype == data.y_validation.dtype == np.int32
    assert data.x_train.max() == 1.0
    assert data.x_train.min() == 0.0
    # Together the two parts are MNIST again: the same images with the same labels.
    parts = zip((data.x_train, data.x_validation), (data.y_train, data.y_validation), strict=True)
    found = sorted(
        (hashlib.md5(np.round(image * 255).astype(np.uint8)).digest(), label)
        for images, labels in parts
        for image, label in zip(images, labels.tolist(), strict=True)
    )
    given = sorted((hashlib.md5(image).digest(), label) for image, label in zip(x, y.tolist(), strict=True))
    assert found == given
    shares = np.bincount(data.y_validation) / np.bincount(y)
    assert np.abs(shares - 0.1).max() < 0.0002


def test_embedded_mnist_has_the_published_checksums():
    readme = (EMBEDDED_MNIST.parent / "README.md").read_text()
    assert hashlib.sha256(EMBEDDED_MNIST.read_bytes()).hexdigest() in readme
    published = dict(re.findall(r"\| (\S+-ubyte) \| ([0-9a-f]{32}) \|", readme))
    files = {"train-images-idx3": "x_train", "train-labels-idx1": "y_train"}
    files |= {"t10k-images-idx3": "x_test", "t10k-labels-idx1": "y_test"}
    with np.load(EMBEDDED_MNIST) as archive:
        for file, key in files.items():
            array = archive[key]
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            assert hashlib.md5(header + array.tobytes()).hexdigest() == published[f"{file}-ubyte"]


@pytest.mark.parametrize(
    ("x_train", "expected_first_pixel"),
    [
        (np.full((30, 4, 5), 51, np.uint8), 0.2),
        (np.full((30, 4, 5), 51, np.int64), 0.2),
        (np.full((30, 4, 5), 255, ">u2"), 1.0),
        (np.full((30, 4, 5), -7.5, np.float64), -7.5),
        (np.full((30, 4, 5), 300, np.float16), 300.0),
        (np.full((30, 4, 5), 0.25, ">f4"), 0.25),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, np.ndarray) else "",
)
def test_integers_are_scaled_and_floats_are_kept(tmp_path: Path, x_train: np.ndarray, expected_first_pixel: float):
    data = load_dataset(write_npz(tmp_path / "set.npz", small_set(x_train=x_train)))
    assert data.x_train.dtype == np.float32
    assert data.x_train.dtype.isnative
    assert data.x_train[0, 0, 0, 0] == np.float32(expected_first_pixel)


def test_channels_image_size_and_column_of_labels_are_free(tmp_path: Path):
    y_train = np.arange(30, dtype=np.int64)[:, None] % 15
    spec = write_npz(tmp_path / "colour.npz", small_set(x_train=np.zeros((30, 3, 7, 2), np.uint8), y_train=y_train))
    data = load_dataset(spec)
    assert (data.name, data.input_shape, data.classes) == ("colour", (3, 7, 2), 15)
    assert data.y_train.shape == (27,)


@pytest.mark.parametrize("compressed", [False, True])
def test_test_part_of_an_npz(tmp_path: Path, compressed: bool):
    arrays = small_set()
    spec = write_npz(tmp_path / "set.npz", arrays, compressed=compressed)
    part = load_test(spec, classes=3, input_shape=load_dataset(spec).input_shape)
    assert part is not None
    np.testing.assert_array_equal(part[0], arrays["x_test"][..., None].astype(np.float32) / 255)
    np.testing.assert_array_equal(part[1], arrays["y_test"])
    assert (part[0].dtype, part[1].dtype) == (np.float32, np.int32)


def test_a_set_without_a_test_part_has_none(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(x_test=None, y_test=None))
    assert load_test(spec) is None
    assert len(load_dataset(spec).x_train) == 27


@pytest.mark.parametrize(("file", "name"), [("two words (1).npz", "two-words-1"), ("Set.v2.NPZ", "Set.v2")])
def test_the_name_is_a_slug(tmp_path: Path, file: str, name: str):
    (tmp_path / file).write_bytes(Path(write_npz(tmp_path / "source.npz", small_set())).read_bytes())
    assert load_dataset(str(tmp_path / file)).name == name


def test_path_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_npz(tmp_path / "set.npz", small_set())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_dataset("~/set.npz").name == "set"


# The split


def test_split_is_disjoint_complete_and_in_order(tmp_path: Path):
    labels = [0] * 60 + [1] * 30 + [2] * 10
    data = load_dataset(write_npz(tmp_path / "set.npz", numbered_images(labels)))
    training, validation = numbers(data.x_train), numbers(data.x_validation)
    assert sorted(training + validation) == list(range(100))
    assert training == sorted(training)
    assert np.bincount(data.y_validation).tolist() == [6, 3, 1]
    assert data.y_train.tolist() == [labels[i] for i in training]
    assert data.y_validation.tolist() == [labels[i] for i in validation]


def test_split_is_fixed_by_the_seed(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", numbered_images([0, 1, 2, 3] * 50))
    first, again, other = (load_dataset(spec, images=40, seed=seed) for seed in (3, 3, 4))
    assert numbers(first.x_validation) == numbers(again.x_validation)
    assert numbers(first.x_train) == numbers(again.x_train)
    assert numbers(first.x_validation) != numbers(other.x_validation)
    assert numbers(first.x_train) != numbers(other.x_train)
    assert (first.identity()["split_seed"], other.identity()["split_seed"]) == (3, 4)


def test_fewer_training_images_leave_validation_alone(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", numbered_images([0, 0, 1, 2] * 50))
    everything = load_dataset(spec)
    for images, used in ((3, 3), (40, 40), (180, 180), (100_000, 180)):
        data = load_dataset(spec, images=images)
        assert numbers(data.x_validation) == numbers(everything.x_validation)
        assert len(data.x_train) == used
        assert not set(numbers(data.x_train)) & set(numbers(data.x_validation))
        assert np.bincount(data.y_train, minlength=3).min() >= 1
    assert np.bincount(load_dataset(spec, images=40).y_train).tolist() == [20, 10, 10]


@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=12).filter(lambda counts: max(counts) > 1),
    images=st.integers(0, 200),
    seed=st.integers(0, 2**32),
)
@example(counts=[1] * 11 + [4], images=0, seed=0)  # in proportion, a class with a single image would have to give it
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_class_trains_and_validation_is_never_empty(tmp_path: Path, counts: list[int], images: int, seed: int):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)).tolist()
    spec = write_npz(tmp_path / "set.npz", numbered_images(labels))
    images += len(counts)
    data, limited = load_dataset(spec, seed=seed), load_dataset(spec, images=images, seed=seed)
    total = sum(counts)
    assert len(data.x_validation) == min(max(1, round(total / 10)), total - len(counts))
    assert np.bincount(data.y_train, minlength=len(counts)).min() >= 1
    assert sorted(numbers(data.x_train) + numbers(data.x_validation)) == list(range(total))
    assert numbers(limited.x_validation) == numbers(data.x_validation)
    assert len(limited.x_train) == min(images, len(data.x_train))
    assert set(numbers(limited.x_train)) <= set(numbers(data.x_train))
    assert np.bincount(limited.y_train, minlength=len(counts)).min() >= 1


@given(counts=st.lists(st.integers(1, 10_000), min_size=1, max_size=30), share=st.floats(0, 1))
def test_sizes_follow_the_largest_remainders(counts: list[int], share: float):
    total = int(share * sum(counts))
    array = np.array(counts)
    sizes = stratified_sizes(array, total, np.zeros_like(array), array).tolist()
    assert sum(sizes) == total
    whole = [count * total // sum(counts) for count in counts]
    remainders = [count * total % sum(counts) for count in counts]
    raised = [size - least for size, least in zip(sizes, whole, strict=True)]
    assert set(raised) <= {0, 1}
    lucky = [remainder for remainder, up in zip(remainders, raised, strict=True) if up]
    unlucky = [remainder for remainder, up in zip(remainders, raised, strict=True) if not up]
    assert not lucky or not unlucky or min(lucky) >= max(unlucky)


@given(data=st.data(), counts=st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_sizes_stay_within_their_bounds(data: st.DataObject, counts: list[int]):
    least = [data.draw(st.integers(0, count)) for count in counts]
    most = [data.draw(st.integers(low, count)) for low, count in zip(least, counts, strict=True)]
    total = data.draw(st.integers(sum(least), sum(most)))
    sizes = stratified_sizes(np.array(counts), total, np.array(least), np.array(most)).tolist()
    assert sum(sizes) == total
    assert all(low <= size <= high for low, size, high in zip(least, sizes, most, strict=True))


# Fingerprint and identity


def test_fingerprint_is_of_the_training_arrays_alone(tmp_path: Path):
    def fingerprint(**replaced: np.ndarray | None) -> str:
        return load_dataset(write_npz(tmp_path / "set.npz", small_set(**replaced))).fingerprint

    original = small_set()
    x, y = original["x_train"], original["y_train"]
    assert re.fullmatch("[0-9a-f]{64}", fingerprint())
    assert fingerprint() == fingerprint(x_test=None, y_test=None)
    assert fingerprint() == fingerprint(x_train=np.asfortranarray(x))
    changed_pixel, changed_label = x.copy(), y.copy()
    changed_pixel[17, 2, 3] ^= 1
    changed_label[17] = (changed_label[17] + 1) % 3
    others = [
        fingerprint(x_train=changed_pixel),
        fingerprint(y_train=changed_label),
        fingerprint(x_train=x.astype(np.int16)),
        fingerprint(x_train=x.reshape(30, 5, 4)),
        fingerprint(x_train=x[::-1]),
        fingerprint(x_train=x // 2),
        fingerprint(x_train=(x // 2).astype(np.int8)),
    ]
    assert len({fingerprint(), *others}) == 8


def test_identity_names_what_was_used(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set())
    everything, limited = load_dataset(spec), load_dataset(spec, images=12, seed=9)
    assert everything.fingerprint == limited.fingerprint
    assert json.loads(json.dumps(limited.identity())) == {
        "fingerprint": limited.fingerprint,
        "images": 12,
        "validation": 3,
        "validation_fraction": 0.1,
        "split_seed": 9,
    }


# The test part stays closed


def test_a_damaged_test_part_does_not_concern_training(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(), compressed=True)
    damage(spec, "x_test.npy")
    damage(spec, "y_test.npy")
    assert isinstance(load_dataset(spec), Dataset)
    assert "x_test" in refusal(load_test, spec)


def test_a_search_calls_nothing_of_the_test_part(write_module: Callable[[str], str]):
    module = write_module("""
        from collections.abc import Mapping

        asked = []

        def trap():
            raise RuntimeError("the test part was opened")

        class Arrays(Mapping):
            values = {"x_train": lambda: np.zeros((30, 4, 4)), "y_train": np.arange(30) % 3, "x_test": trap,
                      "y_test": trap}
            def __getitem__(self, key):
                asked.append(key)
                return self.values[key]
            def __iter__(self):
                return iter(self.values)
            def __len__(self):
                return len(self.values)
    """)
    assert load_dataset(f"{module}:Arrays").classes == 3
    assert sys.modules[module].asked == ["x_train", "y_train"]
    assert "RuntimeError: the test part was opened" in refusal(load_test, f"{module}:Arrays")


# module:attribute


def test_a_callable_of_the_working_folder(write_module: Callable[[str], str], capsys: pytest.CaptureFixture[str]):
    module = write_module("""
        class Numbers:
            @staticmethod
            def load():
                print("fetching")
                x = np.arange(80).reshape(20, 2, 2)
                return {"x_train": x.tolist(), "y_train": lambda: [0, 1] * 10, "x_test": x[:4], "y_test": [0, 1, 0, 1]}
    """)
    spec = f"{module}:Numbers.load"
    check_spec(spec)
    assert module not in sys.modules
    data = load_dataset(spec)
    assert (data.name, data.input_shape, data.classes) == ("load", (2, 2, 1), 2)
    part = load_test(spec, classes=2, input_shape=(2, 2, 1))
    assert part is not None
    np.testing.assert_array_equal(part[0][..., 0], np.arange(16).reshape(4, 2, 2).astype(np.float32) / 255)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("load = 5", "is of type int"),
        ("other = 5", "has no attribute 'load'"),
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("def load(:", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("def load(): return [1, 2]", "returned the type list"),
        ("def load(): return {'x_train': 1}", "lacks y_train (it has ['x_train'])"),
        ("def load(): raise OSError('line one\\nline two')", "OSError: line one line two"),
        ("def load(): raise OSError('https://me:secret@host/x failed')", "https://me:***@host/x failed"),
        ("def load(): return {'x_train': lambda: 1 / 0, 'y_train': [0]}", "ZeroDivisionError"),
        ("def load(): return {'x_train': [[1], [1, 2]], 'y_train': [0, 1]}", "x_train"),
        ("def load(path): return {}", "TypeError"),
    ],
)
def test_a_callable_that_cannot_be_used(write_module: Callable[[str], str], source: str, named: str):
    module = write_module(source)
    message = refusal(load_dataset, f"{module}:load")
    assert named in message
    assert module in message
    assert "secret" not in message


def test_the_users_exception_is_the_cause(write_module: Callable[[str], str]):
    module = write_module("def load(): raise LookupError('gone')")
    with pytest.raises(DataError) as caught:
        load_dataset(f"{module}:load")
    assert isinstance(caught.value.__cause__, LookupError)


# Refusals


@pytest.mark.parametrize("function", [check_spec, load_dataset, load_test])
@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("mnits", ["'mnits'", *KERAS_NAMES, "module:attribute"]),
        ("", ["''", "unknown"]),
        ("https://me:secret@host/set", ["https://me:***@host/set", "unknown"]),
        ("module:", ["'module:'", "unknown"]),
        ("my-module:load", ["'my-module:load'", "unknown"]),
        ("no_such_module_at_all:load", ["no_such_module_at_all"]),
        ("no_such_package.inner:load", ["no_such_package"]),
        ("folder.npz/gone", ["'folder.npz/gone'", "unknown", "folder of images"]),
        ("absent.npz", ["absent.npz", "No such file"]),
        ("folder.npz", ["folder.npz", "not a regular file"]),
        ("plain.npz", ["plain.npz", "not an .npz archive"]),
        ("plain.npz/inner.npz", ["inner.npz", "Not a directory"]),
        ("empty.npz", ["empty.npz", "not an .npz archive"]),
        ("cut.npz", ["cut.npz", "cut short"]),
        ("one.npz", ["one.npz", "lacks y_train", "['x_train', 'x_test', 'y_test']"]),
        ("images.npz", ["images.npz", "lacks x_train and y_train", "['images']"]),
        ("x" * 300 + ".npz", ["File name too long"]),
    ],
)
def test_a_spec_that_names_nothing_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Callable[..., object], spec: str, named: list[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "plain.npz").write_text("x_train, y_train\n" * 50)
    (tmp_path / "empty.npz").touch()
    whole = Path(write_npz(tmp_path / "whole.npz", small_set())).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    write_npz(tmp_path / "one.npz", small_set(y_train=None))
    write_npz(tmp_path / "images.npz", {"images": np.zeros(3)})
    message = refusal(function, spec)
    assert all(words in message for words in named), message
    assert "secret" not in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set())
    Path(spec).chmod(0)
    assert "Permission denied" in refusal(check_spec, spec)


IMAGES = np.zeros((30, 4, 5), np.uint8)
WITH_NAN = np.where(np.arange(30)[:, None, None] == 7, np.nan, np.zeros((30, 4, 5)))

BAD_IMAGES = [
    (np.zeros((30, 4), np.uint8), "shape (30, 4)"),
    (np.zeros((30, 4, 4, 1, 1), np.uint8), "shape (30, 4, 4, 1, 1)"),
    (np.zeros((30, 0, 4), np.uint8), "shape (30, 0, 4)"),
    (np.zeros((0, 4, 4), np.uint8), "shape (0, 4, 4)"),
    (np.zeros((), np.uint8), "shape ()"),
    (IMAGES.astype(bool), "dtype bool"),
    (IMAGES.astype(complex), "dtype complex128"),
    (IMAGES.astype(str), "dtype <U"),
    (IMAGES.astype(object), "Object arrays cannot be loaded"),
    (IMAGES.astype("M8[s]"), "dtype datetime64[s]"),
    (IMAGES.astype(int) - 1, "from -1 to -1"),
    (IMAGES.astype(np.uint16) + 256, "from 256 to 256"),
    (WITH_NAN, "NaN, infinite"),
    (np.nan_to_num(WITH_NAN, nan=np.inf), "NaN, infinite"),
    (np.nan_to_num(WITH_NAN, nan=-np.inf).astype(np.float16), "NaN, infinite"),
    (np.nan_to_num(WITH_NAN, nan=1e39), "beyond float32"),
]
BAD_LABELS = [
    (np.arange(29) % 3, "29 labels for 30 images"),
    (np.eye(3, dtype=int)[np.arange(30) % 3], "argmax"),
    (np.zeros((30, 1, 1), int), "shape (30, 1, 1)"),
    (np.arange(30) % 3 / 1.0, "dtype float64"),
    (np.arange(30) % 2 == 0, "dtype bool"),
    ((np.arange(30) % 3).astype(str), "dtype <U"),
    (np.array([0, 1, None] * 10), "Object arrays cannot be loaded"),
    (np.arange(30) % 3 - 1, "from -1 to 1"),
    (np.array([0, 2**63] * 15, np.uint64), "from 0 to 9223372036854775808"),
]
BAD_TRAINING_LABELS = [
    (np.arange(30) % 3 + 1, "no image of class 0:"),
    (np.array([0, 9, 3] * 10), "no image of class 1, 2, 4, 5, 6, ...:"),
    (np.array([0, 1, 2**30] * 10), "1073741825 classes, but only 30 images"),
    (np.zeros(30, int), "only class 0"),
    (np.arange(30), "one image of each class"),
]


@pytest.mark.parametrize(("x_train", "named"), BAD_IMAGES)
def test_training_images_that_are_refused(tmp_path: Path, x_train: np.ndarray, named: str):
    message = refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set(x_train=x_train)))
    assert named in message
    assert "x_train" in message
    assert "set.npz" in message


@pytest.mark.parametrize(("x_test", "named"), [*BAD_IMAGES, (np.zeros((6, 5, 4)), "(5, 4, 1)")])
def test_test_images_that_are_refused(tmp_path: Path, x_test: np.ndarray, named: str):
    y_test = np.zeros(len(x_test) if x_test.ndim else 1, int)
    spec = write_npz(tmp_path / "set.npz", small_set(x_test=x_test, y_test=y_test))
    message = refusal(load_test, spec, input_shape=(4, 5, 1))
    assert named in message
    assert "x_test" in message


@pytest.mark.parametrize(("y_train", "named"), [*BAD_LABELS, *BAD_TRAINING_LABELS])
def test_training_labels_that_are_refused(tmp_path: Path, y_train: np.ndarray, named: str):
    message = refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set(y_train=y_train)))
    assert named in message
    assert "y_train" in message
    assert "set.npz" in message


@pytest.mark.parametrize(("y_test", "named"), [*BAD_LABELS, (np.arange(30) % 4, "allowed are 0 to 2")])
def test_test_labels_that_are_refused(tmp_path: Path, y_test: np.ndarray, named: str):
    spec = write_npz(tmp_path / "set.npz", small_set(x_test=IMAGES, y_test=y_test))
    message = refusal(load_test, spec, classes=3)
    assert named in message
    assert "y_test" in message


def test_test_labels_without_known_classes(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(y_test=np.array([7, 7, 7, 0, 0, 0])))
    part = load_test(spec)
    assert part is not None
    assert part[1].tolist() == [7, 7, 7, 0, 0, 0]


@pytest.mark.parametrize("absent", ["x_test", "y_test"])
def test_half_a_test_part(tmp_path: Path, absent: str):
    spec = write_npz(tmp_path / "set.npz", small_set(**{absent: None}))
    assert f"lacks {absent}" in refusal(load_test, spec)
    assert len(load_dataset(spec).x_train) == 27


def test_fewer_images_than_classes(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set())
    assert "2 training images" in refusal(load_dataset, spec, images=2)
    assert len(load_dataset(spec, images=3).x_train) == 3


def test_a_negative_seed(tmp_path: Path):
    assert "-1" in refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set()), seed=-1)


# Damage


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("member", ["x_train", "y_train"])
def test_damage_in_the_middle_of_a_member(tmp_path: Path, member: str, compressed: bool):
    with np.load(EMBEDDED_MNIST) as archive:
        arrays = {"x_train": archive["x_train"][:500], "y_train": archive["y_train"][:500]}
    spec = write_npz(tmp_path / "slice.npz", arrays, compressed=compressed)
    assert load_dataset(spec).classes == 10
    damage(spec, f"{member}.npy")
    message = refusal(load_dataset, spec)
    assert f"{member} of " in message
    assert "slice.npz" in message


@pytest.mark.parametrize(("claimed", "named"), [(499, "Bad CRC"), (400, "left over"), (501, "Bad CRC")])
def test_a_header_that_states_another_size(tmp_path: Path, claimed: int, named: str):
    with np.load(EMBEDDED_MNIST) as archive:
        arrays = {"x_train": archive["x_train"][:500], "y_train": archive["y_train"][:500]}
    spec = write_npz(tmp_path / "slice.npz", arrays)
    content = Path(spec).read_bytes()
    assert content.count(b"(500, 28, 28)") == 1
    Path(spec).write_bytes(content.replace(b"(500, 28, 28)", b"(%d, 28, 28)" % claimed))
    assert named in refusal(load_dataset, spec)


def test_an_archive_of_a_later_zip_version(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set())
    content = bytearray(Path(spec).read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 99
    Path(spec).write_bytes(content)
    assert "zip file version 9.9" in refusal(check_spec, spec)


def test_pickled_arrays_are_never_unpickled(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "unpickled"),)

    x_train = np.full((30, 4, 4), Trap(), dtype=object)
    assert "Python objects" in refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set(x_train=x_train)))
    assert not (tmp_path / "unpickled").exists()


@given(data=st.data(), compressed=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_refused_or_harmless(tmp_path: Path, data: st.DataObject, compressed: bool):
    spec = write_npz(tmp_path / "set.npz", small_set(), compressed=compressed)
    intact = load_dataset(spec).fingerprint
    content = bytearray(Path(spec).read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[position:]
    else:
        content[position] ^= data.draw(st.integers(1, 255))
    Path(spec).write_bytes(content)
    outcome = fingerprint_or_refusal(spec)
    assert outcome == intact or (spec in outcome and len(outcome.splitlines()) == 1)


# What is imported, and what comes through Keras


def run_python(program: str, **environment: str) -> dict[str, object]:
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_embedded_mnist_needs_no_keras():
    loaded = run_python("""
        import json, sys
        from kerastuna.search.datasets.data import check_spec, load_dataset, load_test
        check_spec("mnist")
        check_spec("cifar10")
        load_dataset("mnist", images=100)
        load_test("mnist")
        heavy = {"keras", "tensorflow", "jax", "torch", "keras_tuner", "optuna", "mlflow"}
        print(json.dumps({"heavy": sorted(heavy & set(sys.modules))}))
    """)
    assert loaded == {"heavy": []}


@pytest.fixture(scope="module")
def through_keras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What Keras's loaders give: Fashion-MNIST from a cache written here, the others with no network to fetch them."""
    home = tmp_path_factory.mktemp("keras")
    cache = home / "datasets" / "fashion-mnist"
    cache.mkdir(parents=True)
    for part, images in (("train", 40), ("t10k", 20)):
        x = np.full((images, 28, 28), 51, np.uint8)
        y = np.arange(images, dtype=np.uint8) % 10
        for kind, array in (("images-idx3", x), ("labels-idx1", y)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (cache / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    program = """
        import json
        from pathlib import Path
        import numpy as np
        from kerastuna.search import data
        from kerastuna.search.errors import DataError

        def failure(name):
            try:
                data.load_dataset(name)
            except DataError as error:
                return str(error)

        fashion = data.load_dataset("fashion_mnist", images=20)
        x_test, y_test = data.load_test("fashion_mnist", classes=10, input_shape=(28, 28, 1))
        result = {
            "name": fashion.name,
            "train": fashion.x_train.shape,
            "validation": fashion.x_validation.shape,
            "pixel": float(fashion.x_train[0, 0, 0, 0]),
            "test": [x_test.shape, y_test.tolist()],
            "cifar10": failure("cifar10"),
        }
        data.EMBEDDED_MNIST = Path("absent.npz")
        data.check_spec("mnist")
        result["mnist"] = failure("mnist")

        import keras
        keras.config.set_image_data_format("channels_first")
        planes = np.zeros((40, 3, 5, 6), np.uint8), np.arange(40)[:, None] % 10
        keras.datasets.cifar100.load_data = lambda: (planes, planes)  # the real one needs a network
        result["channels_first"] = data.load_dataset("cifar100").input_shape
        print(json.dumps(result))
    """
    nowhere = "http://127.0.0.1:9"
    return run_python(program, KERAS_HOME=str(home), https_proxy=nowhere, http_proxy=nowhere, no_proxy="", NO_PROXY="")


def test_a_set_of_keras(through_keras: dict[str, object]):
    assert through_keras["name"] == "fashion_mnist"
    assert through_keras["train"] == [20, 28, 28, 1]
    assert through_keras["validation"] == [4, 28, 28, 1]
    assert through_keras["pixel"] == pytest.approx(0.2)
    assert through_keras["test"] == [[20, 28, 28, 1], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 2]


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_download_that_fails(through_keras: dict[str, object], name: str):
    message = through_keras[name]
    assert isinstance(message, str)
    assert len(message.splitlines()) == 1
    assert f"'{name}' could not be loaded through Keras" in message
    assert "URL fetch failure" in message
    assert "check the network" in message


def test_channels_come_last(through_keras: dict[str, object]):
    assert through_keras["channels_first"] == [5, 6, 3]
