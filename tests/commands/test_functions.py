"""`confirm` and `export_champion` as functions: what they return, what a notebook shows, and what they raise."""

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerastuna.search import (
    Champion,
    InputError,
    SpaceError,
    StudyError,
    confirm,
    export_champion,
    export_model,
    load_dataset,
)


@pytest.fixture(scope="module")
def folder(searched: Any) -> Path:
    return searched.folder


@pytest.fixture(scope="module")
def champion(folder: Path) -> Champion:
    before = Path.cwd()
    os.chdir(folder)  # the data and the space were named from there
    try:
        return confirm("tiny", top=1, seeds=1, device="cpu")
    finally:
        os.chdir(before)


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_the_champion_tells_of_itself(champion: Champion) -> None:
    assert champion.record["validation"]["n"] == champion.record["test"]["n"] == 1
    assert str(champion).startswith(f"champion: trial {champion.record['trial']}, {champion.record['params']:,} param")
    assert champion._repr_html_() == f"<pre>{champion}</pre>"
    assert confirm("tiny", top=1, seeds=1, device="cpu").record == champion.record  # it was confirmed already


def test_the_champion_is_exported(champion: Champion, tmp_path: Path) -> None:
    told: list[str] = []
    export = export_champion("tiny", formats=["keras"], out=tmp_path / "out", progress=told.append)
    assert export.passed
    assert export.folder == tmp_path / "out"
    assert list(export.manifest["formats"]) == ["keras"]
    assert (export.folder / "manifest.json").is_file()
    assert [line.split()[0] for line in str(export).splitlines() if " yes " in line] == ["keras"]
    assert export._repr_html_().startswith("<pre>")
    assert told


def test_errors_are_raised(champion: Champion, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="study 'two' does not exist"):
        confirm("two")
    with pytest.raises(InputError, match="there is no study yet"):
        export_champion(folder=tmp_path)
    with pytest.raises(InputError, match="--trial 999: study 'tiny' has no complete trial"):
        export_champion("tiny", trial=999)
    with pytest.raises(InputError, match="onyx"):
        export_champion("tiny", formats=["onyx"])


def network(*layers: keras.layers.Layer) -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(3, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_any_model_is_exported(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    np.savez(tmp_path / "points.npz", x_train=x, y_train=np.arange(60) % 3)
    data, told = load_dataset(str(tmp_path / "points.npz")), []
    export = export_model(network(), data, name="points", formats=["keras"], out=tmp_path / "out", progress=told.append)
    assert export.passed
    assert export.folder == tmp_path / "out"
    assert export.manifest["name"] == "points"
    assert export.manifest["lineage"] == {"params": 9}
    exported: Any = keras.saving.load_model(export.folder / "model.keras")
    answers = exported.predict(data.x_validation, verbose=0)
    assert answers.shape == (6, 3)
    assert told
    with pytest.raises(InputError, match="onyx"):
        export_model(network(), data, formats=["onyx"])
    with pytest.raises(SpaceError, match=r"^model cannot be exported: the model has a lambda"):
        export_model(network(keras.layers.Lambda(lambda values: 2 * values)), data)
