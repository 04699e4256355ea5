"""No file that is loaded can run code, and nobody but this machine reaches MLflow's interface."""

import ast
import inspect
from collections.abc import Iterator

import pytest
from support import ROOT

from kerastuna.search.tracking.store import ENVIRONMENT
from kerastuna.search.tracking.ui import ui_command

PICKLES = ("pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "torch", "pandas")
LOADERS = {
    *(f"{module}.{name}" for module in PICKLES for name in ("load", "loads", "Unpickler", "open", "read_pickle"))
}
FILES = sorted(path for room in ("search", "spaces") for path in (ROOT / room).rglob("*.py"))


def _doors(source: str) -> Iterator[str]:
    """What could run code that is in a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in PICKLES:
            yield from (
                f"{node.module}.{alias.name}" for alias in node.names if f"{node.module}.{alias.name}" in LOADERS
            )
        if isinstance(node, ast.Attribute) and f"{getattr(node.value, 'id', '')}.{node.attr}" in LOADERS:
            yield f"{getattr(node.value, 'id', '')}.{node.attr}"
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in ("enable_unsafe_deserialization", "eval", "exec", "read_pickle", "unsafe_load"):
                yield name
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "safe_mode"):
            wanted = node.arg == "safe_mode"
            if not (isinstance(node.value, ast.Constant) and node.value.value is wanted):
                yield f"{node.arg} is not {wanted}"


@pytest.mark.parametrize(
    "source",
    [
        "pickle.load(file)",
        "from pickle import loads",
        "joblib.load(path)",
        "np.load(path, allow_pickle=True)",
        "keras.saving.load_model(path, safe_mode=False)",
        "keras.saving.load_model(path, safe_mode=given)",
        "keras.config.enable_unsafe_deserialization()",
        "eval(text)",
        "pandas.read_pickle(path)",
    ],
)
def test_a_door_is_seen(source: str) -> None:
    assert list(_doors(source))


def test_no_file_that_is_loaded_can_run_code() -> None:
    open_doors = {
        str(path.relative_to(ROOT)): found
        for path in FILES
        if (found := list(_doors(path.read_text(encoding="utf-8"))))
    }
    # Between a process and its own workers; never from a file.
    pipes = {path for path in open_doors if path.startswith("search/workers/")}
    assert pipes == {"search/workers/process.py", "search/workers/pool.py", "search/workers/shared.py"}
    assert {path: found for path, found in open_doors.items() if path not in pipes} == {}
    for path in pipes:
        assert "pickle.load(" not in (ROOT / path).read_text()


def test_the_defaults_of_the_libraries_are_safe() -> None:
    import keras
    import numpy as np

    assert inspect.signature(keras.saving.load_model).parameters["safe_mode"].default is True
    assert "allow_pickle=False" in str(inspect.signature(np.load))
    assert ENVIRONMENT["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_the_user_interface_is_bound_to_this_machine() -> None:
    command, _ = ui_command("sqlite:///x.db", 5000)
    assert command[command.index("--host") + 1] == "127.0.0.1"
