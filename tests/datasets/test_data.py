"""Loading data sets: slices of MNIST, small arrays, callables, and Keras's own loaders."""

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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from datasets_support import damage, refusal, small_set, write_npz

from kerastuna.search.datasets.data import (
    EMBEDDED_MNIST,
    KERAS_NAMES,
    Dataset,
    check_spec,
    load_dataset,
    load_test,
)
from kerastuna.search.datasets.task import Classification
from kerastuna.search.errors import DataError


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
    assert (data.name, data.task, data.input_shape) == ("mnist", Classification(10), (28, 28, 1))
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
    assert (data.name, data.input_shape, data.task) == ("colour", (3, 7, 2), Classification(15))
    assert data.y_train.shape == (27,)


@pytest.mark.parametrize("compressed", [False, True])
def test_test_part_of_an_npz(tmp_path: Path, compressed: bool):
    arrays = small_set()
    spec = write_npz(tmp_path / "set.npz", arrays, compressed=compressed)
    part = load_test(spec, task=Classification(3), input_shape=load_dataset(spec).input_shape)
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
    assert load_dataset(f"{module}:Arrays").task == Classification(3)
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
    assert (data.name, data.input_shape, data.task) == ("load", (2, 2, 1), Classification(2))
    part = load_test(spec, task=Classification(2), input_shape=(2, 2, 1))
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
        from kerastuna.search.datasets import data
        from kerastuna.search.errors import DataError

        def failure(name):
            try:
                data.load_dataset(name)
            except DataError as error:
                return str(error)

        fashion = data.load_dataset("fashion_mnist", images=20)
        x_test, y_test = data.load_test("fashion_mnist", task=fashion.task, input_shape=(28, 28, 1))
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
