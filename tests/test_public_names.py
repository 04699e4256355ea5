"""The names that users may import, and their docstrings."""

import importlib
import inspect
import re
import subprocess
import sys
from importlib.resources import files
from typing import Any

import pytest

from kerastuna.search.tuning.settings import OracleArguments, TunerArguments

PUBLIC = {
    "kerastuna.search": [
        "Budget",
        "Champion",
        "DataError",
        "Dataset",
        "DeviceError",
        "Export",
        "Figures",
        "InfeasibleArchitecture",
        "InputError",
        "KerastunaError",
        "OptunaOracle",
        "OptunaTuner",
        "OverBudget",
        "SearchFailed",
        "SearchObserver",
        "Size",
        "SpaceError",
        "StudyError",
        "confirm",
        "export_champion",
        "export_model",
        "leaderboard",
        "load_dataset",
        "load_test",
        "study_figures",
    ],
    "kerastuna.spaces": [
        "REFERENCES",
        "Activation",
        "Add",
        "Architecture",
        "Augmentation",
        "AveragePooling2D",
        "BatchNormalization",
        "Compact",
        "Conv2D",
        "ConvNet",
        "Cost",
        "Dense",
        "DepthwiseConv2D",
        "Dropout",
        "Flatten",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling2D",
        "InfeasibleArchitecture",
        "InputError",
        "KerastunaError",
        "Layer",
        "LayerCost",
        "MaxPooling2D",
        "Recipe",
        "Reference",
        "SearchSpace",
        "build_model",
        "cost",
        "count_params",
    ],
}
HANDED_ON = {
    "OptunaOracle": list(OracleArguments.__annotations__),
    "OptunaTuner": [name for name in TunerArguments.__annotations__ if name != "logger"],  # KerasTuner ignores it
}
"""Keyword arguments that the signatures show as `**arguments`."""
NAMES = [(package, name) for package, names in PUBLIC.items() for name in names]


def public(package: str, name: str) -> Any:
    return getattr(importlib.import_module(package), name)


@pytest.mark.parametrize("package", PUBLIC)
def test_the_public_names(package: str):
    module = importlib.import_module(package)
    assert module.__all__ == PUBLIC[package]
    assert set(PUBLIC[package]) <= set(dir(module))
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018


def test_all_of_them_can_be_imported_at_once():
    lower_first = sorted(PUBLIC, reverse=True)  # spaces, of which search imports some
    program = "".join(f"from {package} import *; print(*({', '.join(PUBLIC[package])},))\n" for package in lower_first)
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=300)


@pytest.mark.parametrize("package", PUBLIC)
def test_type_checkers_are_told_that_there_are_types(package: str):
    assert files(package).joinpath("py.typed").is_file()


@pytest.mark.parametrize(("package", "name"), [named for named in NAMES if named[1] != "REFERENCES"])
def test_docstrings_name_every_argument(package: str, name: str):
    found = public(package, name)
    text = vars(found).get("__doc__") if isinstance(found, type) else found.__doc__
    assert text
    assert not text.startswith(f"{name}(")  # the docstring that dataclasses generate
    if isinstance(found, type) and issubclass(found, Exception):
        return  # its only argument is the message
    arguments = [name for name in inspect.signature(found).parameters if name not in ("args", "kwargs", "arguments")]
    arguments += HANDED_ON.get(name, ())
    assert [name for name in arguments if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_public_members_have_docstrings(package: str, name: str):
    found = public(package, name)
    members = [] if not isinstance(found, type) else [member for member in vars(found) if not member.startswith("_")]
    functions = [m for m in members if callable(getattr(found, m)) or isinstance(vars(found)[m], property)]
    assert [member for member in functions if not inspect.getdoc(getattr(found, member))] == []
