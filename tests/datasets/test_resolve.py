"""Finding data sets by their names: Keras's own, files, folders, and functions of users."""

import gzip
import itertools
import struct
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from datasets_support import like, refusal, run_python, small_set, write_npz

from kerastuna.search.datasets.data import Dataset, check_spec, load_dataset, load_test
from kerastuna.search.datasets.resolve import KERAS_NAMES, resolve
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


# module:attribute


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
    found = load_dataset(f"{module}:Arrays")
    assert found.task == Classification(3)
    assert sys.modules[module].asked == ["x_train", "y_train"]
    assert "RuntimeError: the test part was opened" in refusal(load_test, f"{module}:Arrays", like=found)
    sys.modules[module].Arrays.values["y_test"] = np.arange(6) % 3
    assert isinstance(load_dataset(f"{module}:Arrays", check_test=True), Dataset)  # the images are not asked for
    sys.modules[module].Arrays.values["y_test"] = np.arange(6)
    assert "allowed are 0 to 2" in refusal(load_dataset, f"{module}:Arrays", check_test=True)


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
    part = load_test(spec, data)
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


@pytest.mark.parametrize("function", [check_spec, load_dataset, partial(load_test, like=like())])
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


# What is imported, and what comes through Keras


def test_embedded_mnist_needs_no_keras():
    loaded = run_python("""
        import json, sys
        from kerastuna.search.datasets.data import check_spec, load_dataset, load_test
        check_spec("mnist")
        check_spec("cifar10")
        load_test("mnist", load_dataset("mnist", images=100))
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
        from kerastuna.search.datasets import data, resolve
        from kerastuna.search.errors import DataError

        def failure(name):
            try:
                data.load_dataset(name)
            except DataError as error:
                return str(error)

        fashion = data.load_dataset("fashion_mnist", images=20)
        x_test, y_test = data.load_test("fashion_mnist", fashion)
        result = {
            "name": fashion.name,
            "train": fashion.x_train.shape,
            "validation": fashion.x_validation.shape,
            "pixel": float(fashion.x_train[0, 0, 0, 0]),
            "test": [x_test.shape, y_test.tolist()],
            "cifar10": failure("cifar10"),
        }
        resolve.EMBEDDED_MNIST = Path("absent.npz")
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


def test_texts_as_python_objects_are_texts(write_module: Callable[[str], str]):
    module = write_module("def load(): return {'x_train': np.eye(4), 'y_train': np.array(list('abab'), object)}")
    assert load_dataset(f"{module}:load").task == Classification(2, names=("a", "b"))
    module = write_module("def load(): return {'x_train': np.eye(4), 'y_train': np.array(['a', 1, 'b', 1], object)}")
    assert "dtype object" in refusal(load_dataset, f"{module}:load")


def test_a_function_may_be_called_like_a_table(write_module: Callable[[str], str]):
    module = write_module("class inner: csv = staticmethod(lambda: {'x_train': np.eye(4), 'y_train': [0, 1, 0, 1]})")
    data = load_dataset(f"{module}:inner.csv")
    assert (data.name, data.task) == ("csv", Classification(2))


@pytest.mark.parametrize("spec", ["mnist", "set.npz", "no_such_module_at_all:load", "photos", "mnits"])
def test_a_target_is_for_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str):
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "set.npz", small_set())
    message = refusal(check_spec, spec, target="price")
    assert "'price'" in message
    assert "is no table" in message


def test_a_name_of_keras_is_not_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train.csv").write_text("a,b\n1,2\n")
    source = resolve("mnist")()
    assert (source.columns, source.has_test) == ((), True)


@pytest.mark.parametrize("function", [check_spec, load_dataset])
def test_a_validation_part_of_an_npz_file_is_refused_before_it_is_read(tmp_path: Path, function: Callable[..., object]):
    given = small_set()
    extra = {"x_val": given["x_test"], "y_val": given["y_test"]}
    message = refusal(function, write_npz(tmp_path / "set.npz", given | extra))
    assert "has x_val and y_val beside x_train and y_train" in message
    check_spec(write_npz(tmp_path / "named.npz", given | {"classes": np.array(["a", "b"])}))
