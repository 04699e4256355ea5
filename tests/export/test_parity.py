"""What a check finds: files that are missing, that answer differently than Keras, or that cannot be checked.

`test_exporter.py` checks every format of a trained network. Here the files are written by hand, without a conversion.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from export_support import CLASSES, SHAPE, small_source, write_export, write_onnx

from kerastuna.search.errors import InputError
from kerastuna.search.export.parity import summary, verify


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
    assert summary(results["c_array"]).startswith("not checked, ")


def test_the_summary_has_the_figures_on_one_line() -> None:
    figures = {"images": 2_000, "accuracy": 0.9, "points_lost": 0.25, "agreement": 0.998, "largest_difference": 0.01}
    result = {"passed": True, "problems": [], "notes": ["a note"], "bytes": 12_345, "validation": figures}
    assert summary(result | {"milliseconds_per_image": 0.123, "arena_bytes": 4_096}) == (
        "passed, as Keras on 1,996 of 2,000 validation images, probabilities within 1.0e-02, "
        "accuracy 0.9000 (-0.25 points), 12,345 bytes, 0.12 ms an image, arena 4,096 bytes; a note"
    )
    failed = {"passed": False, "problems": ["it is wrong"], "notes": [], "bytes": 5}
    assert summary(failed) == "FAILED, it is wrong, 5 bytes"
    assert "within any bounds" in summary(failed | {"test": figures | {"largest_difference": None}})


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    with pytest.raises(InputError, match=r"manifest\.json is not the manifest of an export"):
        verify(tmp_path, small_source(tmp_path / "model.keras"))
