"""Exports of a network that was really trained, each run by its own runtime; damage to any of them is found."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.export.c_array import c_symbol, compiled_bytes, write_c_array
from kerastuna.search.export.comparison import Comparison, compare
from kerastuna.search.export.exporter import FORMATS, export
from kerastuna.search.export.files import file_sum, write_files
from kerastuna.search.export.formats import ExportSource
from kerastuna.search.export.manifest import read_manifest
from kerastuna.search.export.parity import summary, verify
from kerastuna.search.export.process import run_jobs
from kerastuna.spaces import (
    Activation,
    Architecture,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
)
from kerastuna.spaces.errors import InputError, KerastunaError

# Keras 3.15 reads TensorFlow's variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

NAME = 'mnist "small" */ 2'  # as awkward as a study may be called
FLOATS = ("keras", "savedmodel", "onnx", "litert")


SMALL = Architecture(
    (28, 28, 1),
    (
        Conv2D(8, activation="relu"),
        BatchNormalization(momentum=0.9),
        MaxPooling2D(),
        Conv2D(8, activation="relu"),
        Dropout(0.1),
        MaxPooling2D(),
        Flatten(),
        Dense(10),
        Activation("softmax"),
    ),
)


def silent(line: str) -> None:
    pass


def source_of(model: Path, data: Dataset, **changes: Any) -> ExportSource:
    fields = {
        "model_path": model,
        "name": NAME,
        "x_validation": data.x_validation,
        "y_validation": data.y_validation,
        "x_train": data.x_train,
        "classes": 10,
        "preprocessing": "grey values divided by 255 */",
        "extra": {"study": "small", "trial": 7, "params": {"filters": 8}},
    }
    return ExportSource(**{**fields, **changes})


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset("mnist", images=3_000)


@pytest.fixture(scope="module")
def models(data, tmp_path_factory) -> tuple[Path, Path]:
    """A small network, trained for an epoch, and the same with the weights it began with."""
    import keras

    from kerastuna.spaces import build_model

    keras.utils.set_random_seed(3)
    folder = tmp_path_factory.mktemp("models")
    trained: Any = build_model(SMALL)
    other = build_model(SMALL)
    trained.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    trained.fit(data.x_train, data.y_train, batch_size=64, epochs=1, verbose=0)
    trained.save(folder / "trained.keras")
    other.save(folder / "other.keras")
    return folder / "trained.keras", folder / "other.keras"


@pytest.fixture(scope="module")
def source(models, data) -> ExportSource:
    return source_of(models[0], data)


@pytest.fixture(scope="module")
def few(models, data) -> ExportSource:
    """With few images: enough to find damage by."""
    return source_of(models[0], data, x_validation=data.x_validation[::30], y_validation=data.y_validation[::30])


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory) -> tuple[Path, dict, list[str]]:
    """Every format; the backend in the environment is one that is not installed, as it may be for a study under JAX."""
    out = tmp_path_factory.mktemp("export") / "deeper" / "small"
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "jax")
        manifest = export(source, out, None, progress=lines.append)
    return out, dict(manifest), lines


@pytest.fixture
def copied(exported, tmp_path) -> Path:
    return shutil.copytree(exported[0], tmp_path / "small")


def test_every_format_gives_the_answers_of_keras(exported, source):
    _, manifest, lines = exported
    assert manifest["passed"] is True, manifest["formats"]
    assert manifest["skipped"] == {}
    assert tuple(manifest["formats"]) == FORMATS
    for name in FLOATS:
        figures = manifest["formats"][name]["validation"]
        assert figures["agreement"] == 1
        assert figures["largest_difference"] <= 1e-4
        assert figures["images"] == 6_000
    int8 = manifest["formats"]["litert_int8"]["validation"]
    assert int8["points_lost"] == pytest.approx(100 * (int8["keras_accuracy"] - int8["accuracy"]))
    assert int8["points_lost"] <= 0.3
    assert 0 < int8["largest_difference"] < 0.5  # rounded, so not the float file under another name
    assert manifest["formats"]["c_array"]["validation"]["images"] == 1_000
    for name, entry in manifest["formats"].items():
        assert entry["milliseconds_per_image"] > 0, name
        assert f"{name}: {summary(entry)}" in lines


def test_accuracy_is_that_of_the_model(exported, models, data):
    import keras

    model: Any = keras.saving.load_model(models[0])
    probabilities = model.predict(data.x_validation, verbose=0)
    accuracy = float((probabilities.argmax(axis=1) == data.y_validation).mean())
    assert 0.7 < accuracy < 1
    figures = exported[1]["formats"]["onnx"]["validation"]
    assert figures["accuracy"] == figures["keras_accuracy"] == pytest.approx(accuracy, abs=1e-12)


def test_a_microcontroller_needs_less_memory_for_int8(exported):
    arenas = {name: exported[1]["formats"][name]["arena_bytes"] for name in ("litert", "litert_int8", "c_array")}
    # the first convolution's input and output, one byte or four for each value, must fit
    assert 28 * 28 + 26 * 26 * 8 < arenas["litert_int8"] < arenas["litert"]
    assert arenas["c_array"] == arenas["litert_int8"]
    assert arenas["litert"] > 4 * (28 * 28 + 26 * 26 * 8)


def test_the_manifest_describes_what_lies_beside_it(exported, source):
    out, manifest, _ = exported
    assert json.loads((out / "manifest.json").read_text()) == manifest
    listed = {path: sums for entry in manifest["formats"].values() for path, sums in entry["files"].items()}
    lying = {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()}
    assert lying == {"manifest.json", *listed}
    for path, sums in listed.items():
        data = (out / path).read_bytes()
        assert sums == {"bytes": len(data), "sha256": sha256(data).hexdigest()}
    assert manifest["lineage"] == source.extra
    assert manifest["labels"] == list("0123456789")
    assert manifest["preprocessing"] == source.preprocessing
    assert list(out.parent.iterdir()) == [out]  # nothing is left of the work


# damage


def reseal(folder: Path) -> None:
    """Make the manifest's sums those of the files as they are, so that only their answers can tell."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["formats"].values():
        entry["files"] = {path: file_sum(folder / path) for path in entry["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_files_of_another_model_are_caught_by_their_answers(copied, few, models, data, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_files(other, source_of(models[1], data), FORMATS)
    shutil.copytree(other, copied, dirs_exist_ok=True)
    reseal(copied)
    results = verify(copied, few)
    assert {name: result["passed"] for name, result in results.items()} == dict.fromkeys(FORMATS, False)
    for name, result in results.items():
        (problem,) = result["problems"]
        assert ("another class than Keras" if name in FLOATS else "points of accuracy") in problem


def test_damaged_files_are_caught(copied, few):
    onnx, litert, int8 = (copied / f"model{end}" for end in (".onnx", ".tflite", "_int8.tflite"))
    onnx.write_bytes(onnx.read_bytes()[:-100])
    damaged = bytearray(litert.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    litert.write_bytes(damaged)
    int8.write_bytes(b"\xff" * int8.stat().st_size)
    shutil.rmtree(copied / "savedmodel")
    array = copied / "model_int8.c"
    array.write_text(array.read_text().replace("0x54, 0x46, 0x4c, 0x33", "0x54, 0x46, 0x4c, 0x34"))
    results = verify(copied, few)
    problems = {name: "; ".join(result["problems"]) for name, result in results.items()}
    assert {name for name, result in results.items() if result["passed"]} == {"keras"}
    assert "model.onnx is not what was written" in problems["onnx"]
    assert "cannot be run" in problems["onnx"]
    assert "model.tflite is not what was written" in problems["litert"]
    assert "cannot be run" in problems["litert_int8"]
    assert "savedmodel/saved_model.pb is missing" in problems["savedmodel"]
    assert "bytes are not those of model_int8.tflite" in problems["c_array"]


def test_a_folder_without_a_manifest_is_refused(tmp_path, source):
    with pytest.raises(InputError, match=r"manifest\.json is not the manifest of an export"):
        verify(tmp_path, source)
    (tmp_path / "manifest.json").write_text('{"name": "x", "formats": {"pickle": {"files": {}}}}')
    with pytest.raises(InputError, match="pickle"):
        verify(tmp_path, source)


def test_a_crash_costs_one_job(tmp_path, monkeypatch):
    (tmp_path / "crashing.py").write_text(
        "import os, signal, sys\n"
        "from kerastuna.search.export.process import serve\n"
        "def double(x):\n    return {'x': 2 * x}\n"
        "def crash():\n    print('out of cheese', file=sys.stderr)\n    sys.stderr.flush()\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
        "def fail():\n    raise ValueError('no such\\nthing')\n"
        "serve({'double': double, 'crash': crash, 'fail': fail})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    jobs = {"a": ("double", {"x": 1}), "b": ("fail", {}), "c": ("crash", {}), "d": ("double", {"x": 4})}
    assert run_jobs("crashing", jobs) == {
        "a": {"x": 2},
        "b": {"problem": "ValueError: no such thing"},
        "c": {"problem": "its process ended with SIGSEGV (out of cheese)"},
        "d": {"x": 8},
    }


# replacing an export, and what goes wrong on the way


def test_a_second_export_replaces_the_first_and_leaves_what_is_not_its_own(copied, data, tmp_path, monkeypatch):
    """The model has a layer of the user's own; the packages for ONNX are missing; the test set is opened as well."""
    (tmp_path / "user_layers.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('user')\n"
        "class Halve(keras.layers.Layer):\n"
        "    def call(self, x):\n        return x / 2\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import keras

    user_layers = importlib.import_module("user_layers")
    softmax = keras.layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input((28, 28, 1)), user_layers.Halve(), keras.layers.Flatten(), softmax])
    model.save(tmp_path / "own.keras")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)  # as if it were not installed
    (copied / "MODEL_CARD.md").write_text("old card")
    (copied / "notes").mkdir()
    (copied / "notes" / "mine.txt").write_text("keep")
    own = source_of(
        tmp_path / "own.keras",
        data,
        x_validation=data.x_validation[:200],
        y_validation=data.y_validation[:200],
        x_test=data.x_validation[200:300],
        y_test=data.y_validation[200:300],
        labels=[f"digit {label}" for label in range(10)],
        modules=["user_layers"],
    )

    def add_card(folder: Path, manifest: Any) -> None:
        assert (copied / "model.onnx").exists()  # the old export is still in place
        (folder / "MODEL_CARD.md").write_text(f"card of {manifest['name']}")

    manifest = export(own, copied, ["onnx", "keras"], progress=silent, finish=add_card)
    assert manifest["skipped"] == {"onnx": "needs tf2onnx: pip install 'kerastuna[export]'"}
    assert manifest["passed"] is False  # one that was asked for is not there
    assert manifest["formats"]["keras"]["passed"] is True
    assert manifest["formats"]["keras"]["validation"]["images"] == 200
    assert manifest["formats"]["keras"]["test"]["images"] == 100
    assert manifest["labels"][3] == "digit 3"
    assert {entry.name for entry in copied.iterdir()} == {"manifest.json", "model.keras", "MODEL_CARD.md", "notes"}
    assert (copied / "MODEL_CARD.md").read_text() == f"card of {NAME}"
    assert (copied / "notes" / "mine.txt").read_text() == "keep"
    assert (copied / "model.keras").read_bytes() == (tmp_path / "own.keras").read_bytes()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interruption_leaves_the_old_export(exported, source, error):
    out, _, _ = exported
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}

    def interrupt(line: str) -> None:
        if line.startswith("checking"):
            raise error

    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else KerastunaError) as caught:
        export(source, out, ["keras"], progress=interrupt)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    assert list(out.parent.iterdir()) == [out]
    if error is not KeyboardInterrupt:
        assert "No space left" in str(caught.value)


def test_a_replacement_that_was_killed_half_way_is_undone(copied, source):
    before = (copied / "manifest.json").read_bytes()
    work = copied.parent / f".{copied.name}.abc"
    work.mkdir()
    copied.rename(work / "previous")

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(source, copied, ["keras"], progress=interrupt)
    assert (copied / "manifest.json").read_bytes() == before
    assert list(copied.parent.iterdir()) == [copied]


def test_what_is_not_an_export_is_not_replaced(tmp_path, source):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds something else than an export"):
        export(source, tmp_path, None, progress=silent)
    with pytest.raises(InputError, match="holds something else than an export"):
        export(source, tmp_path / "thesis.txt", None, progress=silent)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    with pytest.raises(InputError, match="cannot be written"):
        export(source, tmp_path / "thesis.txt" / "deeper", None, progress=silent)


@pytest.mark.parametrize("formats", [["keras", "tflite"], []])
def test_unknown_formats_are_refused(tmp_path, source, formats):
    with pytest.raises(InputError, match="keras, savedmodel, onnx, litert, litert_int8, c_array"):
        export(source, tmp_path / "out", formats, progress=silent)
    assert not any(tmp_path.iterdir())


def test_a_model_that_cannot_be_loaded_is_an_error(tmp_path, data):
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"not a model")
    with pytest.raises(KerastunaError, match=r"broken\.keras cannot be run in Keras"):
        export(source_of(broken, data), tmp_path / "out", ["keras"], progress=silent)
    assert list(tmp_path.iterdir()) == [broken]


def test_sources_that_cannot_be_exported_are_refused(tmp_path, models, data):
    with pytest.raises(InputError, match=r"not a \.keras file"):
        source_of(tmp_path / "absent.keras", data)
    with pytest.raises(InputError, match="validation images are of shape"):
        source_of(models[0], data, y_validation=data.y_validation[:-1])
    with pytest.raises(InputError, match="belong together"):
        source_of(models[0], data, x_test=data.x_validation)
    with pytest.raises(InputError, match="2 labels are given for 10 classes"):
        source_of(models[0], data, labels=["a", "b"])


# how far a format may differ


def comparison(images: int, lost: int, regained: int = 0, **changes: Any) -> Comparison:
    """Keras is right on 99 in 100 images, the format on `lost` fewer and on `regained` that Keras gets wrong."""
    keras = images * 99 // 100
    fields = {"correct": keras - lost, "keras_correct": keras, "same": images, "largest_difference": 0.0}
    return Comparison(images=images, regained=regained, **{**fields, **changes})


@pytest.mark.parametrize(
    ("images", "lost", "regained", "refused"),
    [
        (5_000, 15, 0, False),  # 0.30 points
        (5_000, 16, 0, True),
        (10_000, 30, 500, False),
        (10_000, 31, 500, True),  # enough images: chance is no excuse
        (5_000, -200, 0, False),  # better than Keras
        (4_999, 16, 0, False),  # 0.32 points, on too few images to tell
        (1_000, 10, 0, False),  # 3 allowed, and 3 * sqrt(10)
        (1_000, 18, 0, True),
        (1_000, 18, 20, False),  # right and wrong on many others: chance alone loses as much
        (200, 180, 0, True),  # nonsense is told from few
    ],
)
def test_int8_may_lose_three_tenths_of_a_point(images, lost, regained, refused):
    compared = comparison(images, lost, regained)
    assert bool(compared.int8_problem()) is refused
    assert bool(compared.int8_note()) is (images < 5_000)


def test_floats_must_agree_on_every_image_within_a_ten_thousandth():
    assert comparison(6_000, 0, largest_difference=1e-4).float_problem() == ""
    assert "differs" in comparison(6_000, 0, largest_difference=1.01e-4).float_problem()
    assert "differs" in comparison(6_000, 0, largest_difference=float("inf")).float_problem()
    assert "1 of 6,000" in comparison(6_000, 0, same=5_999).float_problem()


def test_answers_are_counted_against_those_of_keras():
    expected = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], np.float32)
    answers = np.array([[0.9, 0.1], [0.55, 0.45], [0.35, 0.65], [0.3, 0.7]], np.float32)
    compared = compare(expected, answers, np.array([0, 1, 1, 0], np.int32))
    assert (compared.correct, compared.keras_correct, compared.regained, compared.same) == (2, 2, 1, 2)
    assert compared.largest_difference == pytest.approx(0.35)
    answers[0, 0] = np.nan
    figures = compare(expected, answers, np.array([0, 1, 1, 0], np.int32))
    assert figures.float_problem()
    assert figures.figures()["largest_difference"] is None


# the C array

QUANTIZATION = {"input": {"scale": 1 / 255, "zero_point": -128}, "output": {"scale": 1.0, "zero_point": 5}}


def write_array(folder: Path, data: bytes) -> Path:
    (folder / "model.tflite").write_bytes(data)
    source = folder / "array.c"
    write_c_array(
        folder / "model.tflite",
        source,
        name=NAME,
        shape=(28, 14, 3),
        classes=10,
        preprocessing="none /* at */ all",
        quantization=QUANTIZATION,
    )
    return source


@pytest.mark.parametrize("command", [["cc", "-std=c11"], ["c++", "-std=c++17", "-x", "c++"], ["c++", "-x", "c++"]])
def test_the_array_and_its_numbers_reach_c_and_cpp(tmp_path, command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    source = write_array(tmp_path, bytes(range(256)) * 3 + b"\x00")
    symbol = c_symbol(NAME)
    macro = symbol.upper()
    names = ("INPUT_HEIGHT", "INPUT_WIDTH", "INPUT_CHANNELS", "CLASSES", "INPUT_ZERO_POINT", "OUTPUT_ZERO_POINT")
    whole = ", ".join(f"{macro}_{name}" for name in ("LENGTH", *names))
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include "array.h"\nint main(void) {{ printf("{"%d " * 7}%.9g %.9g %d %d", {whole}, '
        f"(double){macro}_INPUT_SCALE, (double){macro}_OUTPUT_SCALE, {symbol}[255], (int)sizeof {symbol}); }}\n"
    )
    program = tmp_path / "program"
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([*command, *strict, tmp_path / "main.c", source, "-o", program], check=True)
    numbers = [float(word) for word in subprocess.check_output([program], text=True).split()]
    assert numbers[:7] == [769, 28, 14, 3, 10, -128, 5]
    assert np.float32(numbers[7]) == np.float32(1 / 255)
    assert numbers[8:] == [1.0, 255, 769]


def test_the_array_is_compared_as_compiled(tmp_path, monkeypatch):
    data = os.urandom(1_000)
    source = write_array(tmp_path, data)
    assert compiled_bytes(source, NAME) == data
    source.write_text(source.read_text().replace("0x", "0y", 1))
    with pytest.raises(KerastunaError, match="does not compile"):
        compiled_bytes(source, NAME)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiled_bytes(source, NAME) is None


def test_the_array_of_an_export_is_the_int8_file(exported):
    out, manifest, _ = exported
    assert compiled_bytes(out / "model_int8.c", NAME) == (out / "model_int8.tflite").read_bytes()
    assert manifest["formats"]["c_array"]["symbol"] == "model_mnist__small_____2"
    quantization = manifest["formats"]["litert_int8"]["quantization"]
    header = (out / "model_int8.h").read_text()
    assert f"_INPUT_SCALE {np.float32(quantization['input']['scale'])!s}f" in header
    assert f"_OUTPUT_ZERO_POINT ({quantization['output']['zero_point']})" in header


def test_without_a_compiler_the_array_is_not_checked(few, copied, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    manifest = dict(read_manifest(copied))
    manifest["formats"] = {"c_array": manifest["formats"]["c_array"]}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    (result,) = verify(copied, few).values()
    assert result["passed"] is None
    assert "there is no C compiler" in result["notes"][0]
    assert summary(result).startswith("not checked")
