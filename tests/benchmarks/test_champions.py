"""Every champion that is kept gives the accuracy that is stated of it, on all test images of MNIST."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerastuna.search.datasets.data import load_dataset, load_test
from kerastuna.search.export.runtimes import RUNTIMES

FOLDER = Path(__file__).parents[2] / "benchmarks" / "champions"
CHAMPIONS = json.loads((FOLDER / "champions.json").read_text())


@pytest.fixture(scope="module")
def test_images() -> Any:
    return load_test("mnist", load_dataset("mnist"))


@pytest.mark.parametrize("name", CHAMPIONS)
def test_a_champion_has_the_size_that_is_stated(name: str):
    model = keras.saving.load_model(FOLDER / name / "model.keras")
    assert model.count_params() == CHAMPIONS[name]["params"] <= int(name.rpartition("-")[2])


@pytest.mark.parametrize(("name", "file"), [(name, file) for name in CHAMPIONS for file in CHAMPIONS[name]["files"]])
def test_a_champion_has_the_accuracy_that_is_stated(name: str, file: str, test_images: Any):
    x, y = test_images
    path = FOLDER / name / file
    answers = (
        in_litert(path, x) if path.suffix == ".tflite" else keras.saving.load_model(path).predict(x, 500, verbose=0)
    )
    # An answer may differ on another processor: at most 3 of the 10,000.
    assert np.mean(answers.argmax(1) == y) == pytest.approx(CHAMPIONS[name]["files"][file], abs=3.5e-4)


def in_litert(path: Path, x: np.ndarray) -> np.ndarray:
    open_file, batch = RUNTIMES["litert"]
    _, predict = open_file(str(path), ())
    return np.concatenate([predict(x[start : start + batch]) for start in range(0, len(x), batch)])


def test_every_folder_is_stated():
    assert {folder.name for folder in FOLDER.iterdir() if folder.is_dir()} == set(CHAMPIONS)
