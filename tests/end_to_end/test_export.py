"""The command: a network with one sigmoid output and a layer of the user's own, from its search to its export.

The images that the network calls class 1 are also counted by hand. An argmax over its one column would call none so.
"""

import json
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import call_kerastuna

from kerastuna.search.export.parity import verify

SPACE = """
    import keras
    from keras import layers

    def compiled(model):
        model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
        return model

    @keras.saving.register_keras_serializable()
    class Centre(layers.Layer):
        def call(self, images): return images - 0.5

    class Unregistered(layers.Layer):
        def call(self, images): return images - 0.5

    @keras.saving.register_keras_serializable()
    class Whole(keras.Model):
        def __init__(self, units, **named):
            super().__init__(**named)
            self.units, self.flat = units, layers.Flatten()
            self.hidden, self.answer = layers.Dense(units, "relu"), layers.Dense(1, "sigmoid")
        def call(self, images): return self.answer(self.hidden(self.flat(images)))
        def get_config(self): return {**super().get_config(), "units": self.units}

    def one_output(hp, first=Centre):
        head = [layers.Dense(hp.Int("units", 4, 9), "relu"), layers.Dense(1, "sigmoid")]
        return compiled(keras.Sequential([first(), layers.Flatten(), *head]))  # without Input: built by its first data

    def subclassed(hp): return compiled(Whole(hp.Int("units", 4, 9)))

    def unregistered(hp): return one_output(hp, Unregistered)
"""
COMMON = ("--data", "two.npz", "--budget", "500", "--trials", "1", "--epochs", "4", "--device", "cpu", "--no-confirm")
FORMATS = ("--formats", "keras,litert,litert_int8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of grey images; the second is a little brighter, and there are three of it to one of the first."""
    folder = tmp_path_factory.mktemp("export")
    random = np.random.default_rng(0)
    y = (np.arange(800) % 4 > 0).astype(np.int64)
    x = (0.5 * random.random((800, 4, 4)) + 0.1 * y[:, np.newaxis, np.newaxis]).astype(np.float32)
    np.savez(folder / "two.npz", x_train=x, y_train=y)
    (folder / "my_networks.py").write_text(textwrap.dedent(SPACE))
    return folder


def export(folder: Path, space: str, *arguments: str, check: int = 0) -> Any:
    """Search in `space`, and export the one trial."""
    searched = ("search", "--space", f"my_networks:{space}", "--study", space, *COMMON)
    call_kerastuna(folder, *searched)
    return call_kerastuna(folder, "export", "--study", space, "--trial", "0", *arguments, check=check)


@pytest.fixture(scope="module")
def exported(folder: Path) -> dict[str, Any]:
    return json.loads(export(folder, "one_output", *FORMATS, "--json").stdout)


def test_the_accuracy_is_that_of_keras(folder: Path, exported: dict[str, Any]) -> None:
    import keras

    from kerastuna.search.datasets.data import load_dataset

    data = load_dataset(str(folder / "two.npz"))
    path = folder / "export" / "one_output-trial-0000" / "model.keras"
    model: Any = keras.saving.load_model(path)
    _, accuracy = model.evaluate(data.x_validation, data.y_validation, verbose=0)
    says = (model.predict(data.x_validation, verbose=0)[:, 0] > 0.5).astype(int)
    assert 0.8 < accuracy < 1
    assert 0 < says.sum() < len(says)
    assert exported["passed"] is True
    for name in ("keras", "litert"):
        figures = exported["formats"][name]["validation"]
        assert figures["keras_accuracy"] == figures["accuracy"] == pytest.approx(accuracy, abs=1e-6)
        assert figures["accuracy"] == pytest.approx(float((says == data.y_validation).mean()), abs=1e-12)
        assert figures["agreement"] == 1
    assert exported["output"] == {"dtype": "float32", "shape": ["n", 1], "meaning": "the probability of class 1"}
    assert exported["labels"] == ["0", "1"]


def test_files_of_another_network_are_caught(folder: Path, exported: dict[str, Any], tmp_path: Path) -> None:
    """They give the other class for each image, and the manifest has their sums."""
    import keras

    from kerastuna.search.datasets.data import load_dataset
    from kerastuna.search.export.files import write_files
    from kerastuna.search.export.formats import ExportSource
    from kerastuna.search.export.manifest import write_manifest

    path, other = folder / "export" / "one_output-trial-0000" / "model.keras", tmp_path / "other.keras"
    model: Any = keras.saving.load_model(path)
    model.layers[-1].set_weights([-weight for weight in model.layers[-1].get_weights()])
    model.save(other)
    data = load_dataset(str(folder / "two.npz"))
    source = ExportSource(
        model_path=path,
        name=exported["name"],
        x_validation=data.x_validation,
        y_validation=data.y_validation,
        x_train=data.x_train,
        task=data.task,
        answers=data.task.answers((1,), False),
        preprocessing="none",
        extra={},
        modules=["my_networks"],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # where the module is
        written, problems, _ = write_files(tmp_path, replace(source, model_path=other), list(exported["formats"]))
        write_manifest(tmp_path, {**exported, "formats": written})
        results = verify(tmp_path, source)
    assert problems == {}
    assert {name: result["passed"] for name, result in results.items()} == dict.fromkeys(exported["formats"], False)
    for name in ("keras", "litert"):
        assert "another class than Keras on 80 of 80 images" in results[name]["problems"][0]
    assert "points of accuracy on 80 images" in results["litert_int8"]["problems"][0]


def test_a_subclassed_model_that_is_built_by_its_first_data_is_exported(folder: Path) -> None:
    manifest = json.loads(export(folder, "subclassed", "--formats", "keras,onnx", "--json").stdout)
    assert {name: entry["passed"] for name, entry in manifest["formats"].items()} == {"keras": True, "onnx": True}


def test_a_layer_that_is_not_registered_is_told_in_one_line(folder: Path) -> None:
    result = export(folder, "unregistered", "--formats", "keras", check=2)
    assert result.stderr.splitlines() == [
        "kerastuna: unregistered-trial-0000 cannot be exported: layer Unregistered of my_networks is not registered "
        "with Keras: put @keras.saving.register_keras_serializable() before the class, else the champion cannot be "
        "loaded or exported"
    ]
    assert not (folder / "export" / "unregistered-trial-0000").exists()
