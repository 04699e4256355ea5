"""A server of commands that search a tiny space."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_server import CommandServer

SPACE = """
    import keras

    def build(hp):
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(hp.Int("units", 1, 40), activation="relu"))
        model.add(keras.layers.Dense(2, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CommandServer]:
    """In a folder with a tiny space and a tiny data set, for `kerastuna search`."""
    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 2
    np.savez(tmp_path / "tiny.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    (tmp_path / "tiny_space.py").write_text(textwrap.dedent(SPACE))
    with CommandServer(tmp_path, CUDA_VISIBLE_DEVICES="", TF_NUM_INTRAOP_THREADS="1") as server:
        yield server
