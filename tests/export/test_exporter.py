"""Exports of a network that was really trained, each run by its own runtime; damage to any of them is found."""

import importlib
import json
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_support import NAME

from kerastuna.search.datasets.answers import ClassAnswers, NumberAnswers
from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.datasets.task import Classification, Regression
from kerastuna.search.errors import InputError, KerastunaError
from kerastuna.search.export.c_array import compiled_bytes
from kerastuna.search.export.exporter import FORMATS, export
from kerastuna.search.export.files import file_sum, write_files
from kerastuna.search.export.formats import ExportSource
from kerastuna.search.export.parity import summary, verify
from kerastuna.search.export.runtimes import kept_arena, run_in
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

# Keras 3.15 reads TensorFlow's variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

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
        "task": Classification(10),
        "answers": ClassAnswers(10, logits=False),
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
    assert manifest["formats"]["c_program"]["same_as_tflite_micro"] == 1
    assert manifest["formats"]["c_program"]["validation"] == manifest["formats"]["c_array"]["validation"]
    for name in ("onnx", "litert", "litert_int8"):
        assert manifest["formats"][name]["batch_normalizations"]["remaining"] == 0
    for name, entry in manifest["formats"].items():
        assert entry["milliseconds_per_image"] > 0, name
        assert f"{name}: {summary(entry, 'images')}" in lines


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
    assert manifest["output"]["shape"] == ["n", 10]
    assert manifest["preprocessing"] == source.preprocessing
    assert list(out.parent.iterdir()) == [out]  # nothing is left of the work


# rows, and predicted numbers


ROWS = ("litert", "litert_int8", "c_array", "c_program")


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> ExportSource:
    """A network of dense layers that was trained to predict a number, answered as (n,), from six columns with noise."""
    import keras

    keras.utils.set_random_seed(5)
    random = np.random.default_rng(5)
    x = random.normal(size=(2_000, 6)).astype(np.float32)
    y = (200 + 50 * np.sin(x[:, 0]) + 20 * x[:, 1] + random.normal(0, 10, len(x))).astype(np.float32)
    layers = [keras.layers.Dense(12, activation="relu"), keras.layers.Dense(1), keras.layers.Rescaling(50.0, 200.0)]
    model: Any = keras.Sequential([keras.Input((6,)), *layers, keras.layers.Reshape(())])
    model.compile(keras.optimizers.Adam(0.02), loss="mae")
    model.fit(x[:1_500], y[:1_500], batch_size=64, epochs=4, verbose=0)
    path = tmp_path_factory.mktemp("rows") / "rows.keras"
    model.save(path)
    return ExportSource(
        model_path=path,
        name="rows",
        x_validation=x[1_500:],
        y_validation=y[1_500:],
        x_train=x[:1_500],
        task=Regression(),
        answers=NumberAnswers(1),
        preprocessing="none",
        extra={},
    )


@pytest.fixture(scope="module")
def exported_rows(rows, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("rows") / "out"
    return out, dict(export(rows, out, ROWS, progress=silent))


def test_a_network_that_predicts_numbers_from_rows_is_exported(exported_rows, rows):
    import keras

    out, manifest = exported_rows
    assert manifest["passed"] is True, manifest["formats"]
    assert {name: entry["passed"] for name, entry in manifest["formats"].items()} == dict.fromkeys(ROWS, True)
    model: Any = keras.saving.load_model(rows.model_path)
    mae = float(np.abs(model.predict(rows.x_validation, verbose=0) - rows.y_validation).mean())
    assert mae < 0.5 * rows.y_validation.std()
    for name in ROWS:
        figures = manifest["formats"][name]["validation"]
        assert figures["images"] == 500
        assert figures["keras_mae"] == pytest.approx(mae, rel=1e-5)
        assert figures["mae_lost_of_spread"] < 0.02
        assert manifest["formats"][name]["arena_bytes"] > 0
    assert manifest["output"]["shape"] == ["n"]
    assert manifest["formats"]["litert"]["validation"]["largest_difference"] <= 1e-4
    assert 1e-4 < manifest["formats"]["litert_int8"]["validation"]["largest_difference"] < 0.1
    assert "MODEL_ROWS_INPUT_SIZE 6\n" in (out / "model_int8.h").read_text()


def test_files_that_are_better_than_the_model_are_not_proven_by_that(exported_rows, rows, tmp_path):
    import keras

    other: Any = keras.saving.load_model(rows.model_path, compile=False)
    other.set_weights([weight[::-1] for weight in other.get_weights()])
    other.save(tmp_path / "other.keras")
    changed = ExportSource(**{**vars(rows), "model_path": tmp_path / "other.keras"})
    results = verify(exported_rows[0], changed)
    assert "an answer differs from Keras's" in results["litert"]["problems"][0]
    assert "closer to the targets than Keras by" in results["litert_int8"]["notes"][0]
    assert results["c_array"]["notes"] == ["not proven: it is the int8 file, which is not"]
    assert [results[name]["passed"] for name in ROWS] == [False, None, None, None]


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
        task=Classification(10, names=tuple(f"digit {label}" for label in range(10))),
        modules=["user_layers"],
    )

    def add_card(folder: Path, manifest: Any) -> None:
        assert (copied / "model.onnx").exists()  # the old export is still in place
        (folder / "MODEL_CARD.md").write_text(f"card of {manifest['name']}")

    manifest = export(own, copied, ["onnx", "keras"], progress=silent, finish=add_card)
    assert manifest["skipped"] == {"onnx": "needs tf2onnx: pip install 'PATH/TO/kerastuna[export]'"}
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
    with pytest.raises(InputError, match="keras, savedmodel, onnx, litert, litert_int8, c_array, c_program"):
        export(source, tmp_path / "out", formats, progress=silent)
    assert not any(tmp_path.iterdir())


def test_a_model_that_cannot_be_loaded_is_an_error(tmp_path, data):
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"not a model")
    with pytest.raises(KerastunaError, match=r"broken\.keras cannot be run in Keras"):
        export(source_of(broken, data), tmp_path / "out", ["keras"], progress=silent)
    assert list(tmp_path.iterdir()) == [broken]


def test_the_array_of_an_export_is_the_int8_file(exported):
    out, manifest, _ = exported
    assert compiled_bytes(out / "model_int8.c", NAME) == (out / "model_int8.tflite").read_bytes()
    assert manifest["formats"]["c_array"]["symbol"] == "model_mnist__small_____2"
    quantization = manifest["formats"]["litert_int8"]["quantization"]
    header = (out / "model_int8.h").read_text()
    assert f"_INPUT_SCALE {np.float32(quantization['input']['scale'])!s}f" in header
    assert f"_OUTPUT_ZERO_POINT ({quantization['output']['zero_point']})" in header


def test_the_array_has_a_program_with_the_first_image(exported, source):
    out, manifest, _ = exported
    entry = manifest["formats"]["c_array"]
    assert entry["program"]["operators"] == ["CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "RESHAPE", "SOFTMAX"]
    files = {f"tflite_micro/{name}" for name in ("main.cc", "test_image.h", "CMakeLists.txt")}
    assert set(entry["files"]) == {"model_int8.c", "model_int8.h", *files}
    first = ", ".join(f"{value!s}f" for value in source.x_validation[0].reshape(-1)[:10])
    assert f"test_input[] = {{\n    {first},\n" in (out / "tflite_micro" / "test_image.h").read_text()
    assert '#include "model_int8.h"' in (out / "tflite_micro" / "main.cc").read_text()


@pytest.mark.parametrize("exports", ["exported", "exported_rows"])
def test_the_array_has_an_arena_in_which_it_runs(request, exports):
    out, manifest = request.getfixturevalue(exports)[:2]
    entry = manifest["formats"]["c_array"]
    arena = entry["program"]["arena_bytes"]
    assert f"_ARENA_BYTES {arena}\n" in (out / "model_int8.h").read_text()
    assert arena == entry["arena_bytes"] == manifest["formats"]["litert_int8"]["arena_bytes"]
    assert run_in(str(out / "model_int8.tflite"), arena) == {}
    kept = kept_arena(str(out / "model_int8.tflite"))["bytes"]
    assert kept <= arena < kept + 2_048
    assert (arena > kept + 16) == (exports == "exported_rows")  # small networks need more while they are planned
