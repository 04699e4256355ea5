"""Loading a model for its conversion. `test_exporter.py` converts, which takes long, and runs what was written."""

import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kerastuna.search.errors import InputError
from kerastuna.search.export import writers
from kerastuna.search.export.formats import FORMATS
from kerastuna.search.export.writers import load_model


def test_every_format_that_is_converted_has_a_writer() -> None:
    converted = FORMATS.keys() - {"keras", "c_array", "c_program"}  # copied, and made of the int8 file
    assert [name for name in converted if not callable(getattr(writers, name, None))] == []


def test_a_layer_of_a_user_is_imported_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "layers_of_a_user.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('user')\n"
        "class Third(keras.layers.Layer):\n"
        "    def call(self, x):\n        return x / 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        layer = importlib.import_module("layers_of_a_user").Third()
    model = keras.Sequential([keras.Input((2, 2)), layer])
    model.compile("sgd", "mse")
    path = str(tmp_path / "model.keras")
    model.save(path)
    del sys.modules["layers_of_a_user"]  # as in a new process
    keras.saving.get_custom_objects().pop("user>Third")
    with pytest.raises(InputError, match="there is no module no_such_module_at_all"):
        load_model(path, ("no_such_module_at_all",))
    loaded = load_model(path, ("layers_of_a_user",))
    assert not loaded.compiled
    np.testing.assert_allclose(loaded(np.ones((1, 2, 2), np.float32)), np.full((1, 2, 2), 1 / 3), rtol=1e-6)
    del sys.modules["layers_of_a_user"]
    keras.saving.get_custom_objects().pop("user>Third")
