"""Packages that Keras, KerasTuner and TensorFlow import for parts of theirs that no worker uses.

A third of the time of a worker's imports goes into them.
tests/compat/test_imports.py fails when an upgrade changes what is imported.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNUSED = (
    "matplotlib",  # keras.visualization
    "sklearn",  # keras.wrappers, and KerasTuner's BayesianOptimization and SklearnTuner
)
UNUSED_BY_TENSORFLOW = ("jax",)  # TensorFlow Lite's converter of functions of JAX


@contextmanager
def without_unused_packages() -> Iterator[None]:
    """Within the block, which imports Keras and KerasTuner, those packages are not imported unless they were before.

    Afterwards anybody can import them, but the parts of Keras and KerasTuner say that they are missing: this is for
    processes of our own, and not for a user's program.
    """
    unused = [*UNUSED, *(UNUSED_BY_TENSORFLOW if backend_to_be() == "tensorflow" else ())]
    hidden = [name for name in unused if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, sys) is None:
                del sys.modules[name]


def backend_to_be() -> str:
    """The name of the backend that Keras has once it is imported, found as Keras finds it."""
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen
    home = os.path.expanduser("~")  # that of pathlib may fail
    folder = os.environ.get("KERAS_HOME", os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras"))
    try:
        settings = json.loads(Path(os.path.expanduser(folder), "keras.json").read_text())
        return str(settings.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):  # Keras then says what is wrong with it, or has its default
        return "tensorflow"
