"""Fixtures of several test modules."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import write_slice

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def mnist_slice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 training and 200 test images of MNIST in an .npz."""
    return write_slice(tmp_path_factory.mktemp("data") / "slice.npz")


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> Iterator[None]:
    """Keras and KerasTuner collect all garbage in every trial: what was imported need not be searched each time."""
    gc.freeze()
    yield
    gc.unfreeze()
