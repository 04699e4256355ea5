"""`kerastuna export --model`: the model in a file, compared on the data that are named."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

KERAS = ("--formats", "keras")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A model of 28x28 images that has seen none, in a file."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input((28, 28, 1)), keras.layers.AveragePooling2D(4), keras.layers.Flatten()]
    model: Any = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "small.keras")
    return tmp_path / "small.keras"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "own.npz", x_train=random.integers(0, 256, (200, 28, 28), np.uint8), y_train=np.arange(200) % 10
    )
    return tmp_path / "own.npz"


def test_the_model_in_a_file_is_exported(kerastuna: Any, tmp_path: Path, saved: Path, data: Path) -> None:
    status, out, err = kerastuna("export", "--model", str(saved), "--data", str(data), *KERAS, "--json")
    assert status == 0, err
    manifest = json.loads(out)
    assert (manifest["passed"], manifest["name"], manifest["lineage"]["params"]) == (True, "small", 500)
    assert "compared on 20 validation samples of own" in err
    (path,) = (tmp_path / "export" / "small").rglob("*.keras")
    models: list[Any] = [keras.models.load_model(each) for each in (saved, path)]
    ours, theirs = (model.get_weights() for model in models)
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))

    given = ("--out", str(tmp_path / "elsewhere" / "tiny"), *KERAS)
    status, out, err = kerastuna("export", "--model", str(saved), "--data", str(data), *given)
    assert status == 0, err
    assert json.loads((tmp_path / "elsewhere" / "tiny" / "manifest.json").read_text())["name"] == "tiny"


def test_the_data_may_have_one_hot_labels_where_the_model_takes_class_numbers(
    kerastuna: Any, tmp_path: Path, saved: Path, data: Path
) -> None:
    with np.load(data) as own:
        np.savez(tmp_path / "rows.npz", x_train=own["x_train"], y_train=np.eye(10)[own["y_train"]])
    status, out, err = kerastuna("export", "--model", str(saved), "--data", "rows.npz", *KERAS, "--json")
    assert status == 0, err
    manifest = json.loads(out)
    assert (manifest["passed"], manifest["task"]) == (True, {"classes": 10})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "none.keras"], "--model none.keras: there is no such file: give a .keras file"),
        (["--model", "own.npz"], "own.npz cannot be loaded"),
        (["--model", "small.keras", "--trial", "0"], "--model exports the model in a file: leave out --trial"),
        (
            ["--model", "small.keras", "--study", "s", "--test"],
            "--model exports the model in a file: leave out --study, --test",
        ),
        (["--model", "small.keras", "--epochs", "2"], "--images and --epochs are for --reference: leave them out"),
        (["--data", "own.npz"], "--data, --task and --target are for --model: leave them out"),
        (
            ["--model", "small.keras", "--data", "other.npz"],
            "--model small.keras takes 28x28x1 and the samples of other are 8x9x1: give the --data that it was trained",
        ),
        (
            ["--model", "small.keras", "--data", "rows.csv"],
            "--model small.keras takes 28x28x1 and the samples of rows are 2: give the --data that it was trained on",
        ),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(
    kerastuna: Any, tmp_path: Path, saved: Path, data: Path, arguments: list[str], told: str
) -> None:
    np.savez(tmp_path / "other.npz", x_train=np.zeros((40, 8, 9), np.uint8), y_train=np.arange(40) % 2)
    (tmp_path / "rows.csv").write_text("a,b,c\n" + "".join(f"{n},{n * n},{n % 2}\n" for n in range(40)))
    status, out, err = kerastuna("export", *arguments, *KERAS)
    assert (status, out) == (2, "")
    assert told in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not (tmp_path / "export").exists()
