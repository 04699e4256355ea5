"""The package `kerastuna` itself: its version, and its two parts."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest
from support import ROOT

kerastuna: Any = import_module("kerastuna")  # pyright knows it as a folder with two packages


def test_it_has_the_version_of_the_installed_package():
    assert kerastuna.__version__ == version("kerastuna")


def test_its_parts_need_no_import_of_their_own():
    told = "import kerastuna; print(kerastuna.search.Budget(9), kerastuna.spaces.Dense(3))"
    result = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "9" in result.stdout
    assert "Dense" in result.stdout


def test_it_has_nothing_else():
    with pytest.raises(AttributeError, match="module 'kerastuna' has no attribute 'serch'"):
        kerastuna.serch  # noqa: B018
