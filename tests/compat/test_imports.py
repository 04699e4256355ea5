"""What Keras, KerasTuner and TensorFlow import needlessly is left out, and can be imported all the same."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import script_environment

from kerastuna.search.compat.imports import UNUSED, UNUSED_BY_TENSORFLOW, backend_to_be, without_unused_packages

NAMES = [*UNUSED, *UNUSED_BY_TENSORFLOW]
PLAIN = f"""
import json, sys
import keras_tuner
print(json.dumps([name for name in {NAMES} if name in sys.modules]))
"""
QUICK = f"""
import json, sys
from kerastuna.search.compat.imports import without_unused_packages
with without_unused_packages():
    import kerastuna.search.tuning.tuner
found = [name for name in {NAMES} if name in sys.modules]
import keras, matplotlib.pyplot, sklearn.linear_model
try:
    keras.wrappers.SKLearnClassifier(None)
except ImportError as error:
    print(json.dumps([found, keras.backend.backend(), str(error)]))
"""


def told_by(program: str) -> Any:
    environment = script_environment(KERAS_BACKEND="tensorflow")
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_keras_comes_without_them() -> None:
    pytest.importorskip("jax", reason="TensorFlow imports it where it is installed")
    assert told_by(PLAIN) == NAMES
    found, backend, error = told_by(QUICK)
    assert (found, backend) == ([], "tensorflow")
    assert "SKLearnClassifier requires `scikit-learn`" in error


def test_what_was_imported_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    mine = object()
    monkeypatch.setitem(sys.modules, "sklearn", mine)
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    with without_unused_packages():
        import sklearn

        assert sklearn is mine
        with pytest.raises(ImportError):
            import jax  # noqa: F401
    assert "jax" not in sys.modules
    assert sys.modules["sklearn"] is mine


def test_the_packages_of_another_backend_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    with without_unused_packages():
        assert "jax" not in sys.modules


@pytest.mark.parametrize(
    ("file", "backend"),
    [
        ('{"backend": "jax"}', "jax"),
        ("{}", "tensorflow"),
        ("[]", "tensorflow"),
        ("{", "tensorflow"),
        (None, "tensorflow"),
    ],
)
def test_the_backend_is_that_of_the_file_of_keras(
    file: str | None, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    if file is not None:
        (tmp_path / ".keras" / "keras.json").write_text(file)
    assert backend_to_be() == backend
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "elsewhere"))
    assert backend_to_be() == "tensorflow"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert backend_to_be() == "torch"
