"""Shared by the tests: slices of real MNIST, and the command as a user types it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
KERASTUNA = Path(sys.executable).with_name("kerastuna")


def write_slice(path: Path, train: int = 600, test: int = 200) -> Path:
    """The first images of MNIST as a data set of its own."""
    with np.load(ROOT / "data" / "mnist.npz") as mnist:
        np.savez(
            path,
            x_train=mnist["x_train"][:train],
            y_train=mnist["y_train"][:train],
            x_test=mnist["x_test"][:test],
            y_test=mnist["y_test"][:test],
        )
    return path


def script_environment(**variables: str) -> dict[str, str]:
    """The environment for a test module that is run as a script: it finds what the tests share."""
    return {**os.environ, "PYTHONPATH": str(TESTS), **variables}


def run_kerastuna(folder: Path, *arguments: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
    """The installed command in `folder`; fails the test unless it ends with status `check`."""
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    result = subprocess.run(
        [str(KERASTUNA), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    if check is not None and result.returncode != check:
        pytest.fail(
            f"kerastuna {' '.join(arguments)} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}"
        )
    return result
