"""What a check finds: files that are missing, that answer differently than Keras, or that cannot be checked.

`test_exporter.py` checks every format of a trained network. Here the files are written by hand, without a conversion.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from export_support import CLASSES, SHAPE, small_source, write_export, write_onnx

from kerastuna.search.datasets.answers import ClassAnswers, NumberAnswers
from kerastuna.search.datasets.task import Classification, Regression
from kerastuna.search.errors import InputError
from kerastuna.search.export.formats import ExportSource
from kerastuna.search.export.manifest import read_manifest, write_manifest
from kerastuna.search.export.parity import _Findings, _judge, _unlike_columns, summary, verify


def save_model(path: Path, kernel: np.ndarray) -> Path:
    softmax = keras.layers.Dense(CLASSES, activation="softmax", use_bias=False)
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), softmax])
    model.set_weights([kernel])
    model.save(path)
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Of an export whose ONNX file is right, and nothing else."""
    folder = tmp_path_factory.mktemp("parity")
    kernel = np.random.default_rng(1).normal(size=(6, CLASSES)).astype(np.float32)
    save_model(folder / "model.keras", np.roll(kernel, 1, axis=1))  # always gives the next class
    write_onnx(folder / "model.onnx", kernel)
    formats = {"keras": "model.keras", "onnx": "model.onnx", "litert": "model.tflite", "c_array": "model_int8.c"}
    write_export(folder, {name: [path] for name, path in formats.items()})
    (folder / "model.tflite").unlink()
    manifest: Any = read_manifest(folder)
    manifest["formats"]["c_array"]["program"] = {"left_out": "it has no operator"}
    write_manifest(folder, manifest)
    source = small_source(save_model(tmp_path_factory.mktemp("model") / "true.keras", kernel))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder / "nothing"))  # there is no C compiler
        return verify(folder, source)


def test_a_file_that_answers_as_keras_does_passes(results: dict[str, dict[str, Any]]) -> None:
    onnx = results["onnx"]
    assert onnx["passed"] is True
    assert onnx["problems"] == []
    assert onnx["validation"]["images"] == 10
    assert onnx["validation"]["agreement"] == 1
    assert onnx["runtime"].startswith("ONNX Runtime")


def test_another_model_is_found_by_its_answers(results: dict[str, dict[str, Any]]) -> None:
    assert results["keras"]["passed"] is False
    assert results["keras"]["problems"] == ["validation: another class than Keras on 10 of 10 images"]


def test_a_missing_file_fails(results: dict[str, dict[str, Any]]) -> None:
    assert results["litert"]["passed"] is False
    assert results["litert"]["problems"] == ["model.tflite is missing"]


def test_without_a_compiler_the_array_is_not_checked(results: dict[str, dict[str, Any]]) -> None:
    assert results["c_array"]["passed"] is None
    assert "there is no C compiler" in results["c_array"]["notes"][0]
    assert summary(results["c_array"], "images").startswith("not checked, ")


def test_an_array_without_a_program_says_why(results: dict[str, dict[str, Any]]) -> None:
    assert results["c_array"]["notes"][1] == "without a program for tflite-micro: it has no operator"


def test_the_summary_has_the_figures_on_one_line() -> None:
    figures = {"images": 2_000, "accuracy": 0.9, "points_lost": 0.25, "agreement": 0.998, "largest_difference": 0.01}
    result = {"passed": True, "problems": [], "notes": ["a note"], "bytes": 12_345, "validation": figures}
    assert summary(result | {"milliseconds_per_image": 0.123, "arena_bytes": 4_096}, "images") == (
        "passed, as Keras on 1,996 of 2,000 validation images, answers within 1.0e-02, "
        "accuracy 0.9000 (-0.25 points), 12,345 bytes, 0.12 ms an image, arena 4,096 bytes; a note"
    )
    failed = {"passed": False, "problems": ["it is wrong"], "notes": [], "bytes": 5}
    assert summary(failed, "rows") == "FAILED, it is wrong, 5 bytes"
    assert "within any bounds" in summary(failed | {"test": figures | {"largest_difference": None}}, "rows")


def test_the_summary_of_predicted_numbers() -> None:
    figures = {"images": 2_000, "mae": 1.25, "keras_mae": 1.2, "mae_lost_of_spread": 0.0125, "largest_difference": 0.01}
    result = {"passed": True, "problems": [], "notes": [], "bytes": 5, "milliseconds_per_image": 0.5, "test": figures}
    assert summary(result, "rows") == (
        "passed, 2,000 test rows, answers within 1.0e-02, MAE 1.25 (+1.25 % of the spread), 5 bytes, 0.50 ms a row"
    )
    unknown = figures | {"mae": None, "mae_lost_of_spread": None}
    assert "MAE not finite, 5 bytes" in summary(result | {"test": unknown}, "rows")


def dense(path: Path, units: int, activation: str, kernel: np.ndarray) -> Path:
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])
    model.add(keras.layers.Dense(units, activation=activation, use_bias=False))
    model.set_weights([kernel.reshape(6, units)])
    model.save(path)
    return path


def check_keras(folder: Path, kernel: np.ndarray, exported: np.ndarray, activation: str, **task: Any) -> dict[str, Any]:
    """The check of a Keras file with the kernel `exported` against a model with `kernel`, both with one output."""
    dense(folder / "model.keras", 1, activation, exported)
    write_export(folder, {"keras": ["model.keras"]})
    (folder / "model").mkdir()
    return verify(folder, small_source(dense(folder / "model" / "true.keras", 1, activation, kernel), **task))["keras"]


TWO_CLASSES = {"task": Classification(2), "answers": ClassAnswers(1, logits=False)}


def test_one_sigmoid_output_is_read_as_two_classes(tmp_path: Path) -> None:
    """An argmax over its single column finds class 0 everywhere, in any file."""
    kernel = np.array([2, -2, 1, -1, 1, -1], np.float32)
    source = small_source(dense(tmp_path / "labelling.keras", 1, "sigmoid", kernel))
    labels = (source.x_validation.reshape(10, 6) @ kernel > 0).astype(np.int32)
    assert len(set(labels)) == 2
    right = check_keras(tmp_path, kernel, kernel, "sigmoid", **TWO_CLASSES, y_validation=labels)
    assert (right["passed"], right["validation"]["keras_accuracy"]) == (True, 1.0)


def test_a_wrong_sigmoid_output_is_caught(tmp_path: Path) -> None:
    kernel = np.array([2, -2, 1, -1, 1, -1], np.float32)
    labels = np.arange(10, dtype=np.int32) % 2
    wrong = check_keras(tmp_path, kernel, -kernel, "sigmoid", **TWO_CLASSES, y_validation=labels)
    assert wrong["problems"] == ["validation: another class than Keras on 10 of 10 images"]


def test_a_float_format_is_not_proven_where_a_constant_would_pass(tmp_path: Path) -> None:
    kernel = np.full(6, 1e-6, np.float32)
    labels = np.arange(10, dtype=np.int32) % 2
    blind = check_keras(tmp_path, kernel, kernel, "sigmoid", **TWO_CLASSES, y_validation=labels)
    assert (blind["passed"], blind["problems"]) == (None, [])
    assert blind["notes"] == ["validation: Keras's answers to all 10 images are within 0.0001: agreement says nothing"]


def test_predicted_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    kernel = np.array([2, -2, 1, -1, 1, -1], np.float32)
    numbers = {"task": Regression(), "answers": NumberAnswers(1), "y_validation": np.arange(10, dtype=np.float32)}
    wrong = check_keras(tmp_path, kernel, kernel * np.float32(1.001), "linear", **numbers)
    assert wrong["passed"] is False
    assert "an answer differs from Keras's by 0.001, above 0.0001" in wrong["problems"][0]
    assert wrong["validation"]["mae"] == pytest.approx(wrong["validation"]["keras_mae"], rel=0.01)


def test_columns_of_unlike_size_are_told_of() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    assert not _unlike_columns(x)
    assert not _unlike_columns(x * [1, 0, 1])  # there is nothing in a column that is always 0
    assert _unlike_columns(x * [1, 1, 100])
    assert not _unlike_columns(np.zeros((5, *SHAPE)))


def test_unlike_columns_are_told_of_once_for_all_parts(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32) * np.array([1, 100], np.float32)
    labels = (x[:, 0] > 0).astype(np.int32)
    model = tmp_path / "model.keras"
    model.touch()  # it is not run
    source = ExportSource(
        model_path=model,
        name="unlike",
        x_validation=x[:20],
        y_validation=labels[:20],
        x_train=x,
        task=Classification(2),
        answers=ClassAnswers(2, logits=False),
        preprocessing="as they are",
        extra={},
        x_test=x[20:],
        y_test=labels[20:],
    )
    right, wrong = np.eye(2)[labels], np.eye(2)[1 - labels]
    rows = {"validation": np.arange(20), "test": np.arange(20, 40)}
    findings = _Findings()
    _judge(findings, "litert_int8", source, wrong, right, labels, rows)
    assert [problem.partition(":")[0] for problem in findings.problems] == ["validation", "test"]
    assert findings.notes == ["int8 has one scale for all columns, and theirs differ: train on scaled columns"]


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    with pytest.raises(InputError, match=r"manifest\.json is not the manifest of an export"):
        verify(tmp_path, small_source(tmp_path / "model.keras"))
