"""What an export checks of a model's file."""

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerastuna.search import Dataset, export_model, load_dataset
from kerastuna.search.commands.exported_model import check_whole, labelled_for
from kerastuna.search.datasets.task import Classification
from kerastuna.search.errors import SpaceError

AGAIN = "run kerastuna confirm --again"


def test_a_damaged_champion_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "champion.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}" * 100)
    check_whole(path, AGAIN)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"{}{}", b"{}[]"))
    with pytest.raises(SpaceError, match=r"damaged \(its part config\.json\): run kerastuna confirm --again"):
        check_whole(path, AGAIN)
    for torn in (whole[:50], b"", b"nothing"):
        path.write_bytes(torn)
        with pytest.raises(SpaceError, match=r"cannot be read .*: run kerastuna confirm --again"):
            check_whole(path, AGAIN)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Sixty rows of two numbers, of three classes that have numbers."""
    path = tmp_path_factory.mktemp("data") / "points.npz"
    x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    np.savez(path, x_train=x, y_train=np.arange(60) % 3)
    return load_dataset(str(path))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, numbered: Dataset) -> Dataset:
    """The same, with one-hot rows."""
    path = tmp_path_factory.mktemp("data") / "rows.npz"
    np.savez(path, x_train=numbered.x_train, y_train=np.eye(3)[numbered.y_train])
    return load_dataset(str(path))


def network(loss: Any, inputs: int = 2) -> Any:
    model = keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", loss, metrics=["accuracy"], run_eagerly=True)
    return model


@keras.saving.register_keras_serializable("test_exported_model")
def loss_of_the_users_own(y: Any, z: Any) -> Any:
    return keras.losses.categorical_crossentropy(y, z)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy", "mse"])
@pytest.mark.parametrize("given", ["numbered", "rows"])
def test_a_model_is_exported_whichever_labels_its_loss_takes(
    loss: str, given: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    data: Dataset = request.getfixturevalue(given)
    before = data.task
    export = export_model(network(loss), data, formats=["keras"], out=tmp_path / "out", progress=lambda line: None)
    assert export.passed
    assert export.manifest["task"] == Classification(3, one_hot=not loss.startswith("sparse")).record()
    assert data.task == before, "the caller's data are their own"


def test_labels_are_converted_and_nothing_else(numbered: Dataset, rows: Dataset) -> None:
    there = labelled_for(network("categorical_crossentropy"), numbered)
    assert (there.task, there.y_train.dtype) == (Classification(3, one_hot=True), np.float32)
    np.testing.assert_array_equal(there.y_validation.argmax(axis=1), numbered.y_validation)
    back = labelled_for(network("sparse_categorical_crossentropy"), there)
    assert (back.task, back.y_train.dtype) == (numbered.task, np.int32)
    for one, other in ((back.y_train, numbered.y_train), (back.y_validation, numbered.y_validation)):
        np.testing.assert_array_equal(one, other)
    assert labelled_for(network("categorical_crossentropy"), rows) is rows
    for loss in ("sparse_categorical_crossentropy", loss_of_the_users_own, None):
        assert labelled_for(network(loss), numbered) is numbered


def test_what_the_model_does_not_take_is_told_in_one_line(numbered: Dataset, tmp_path: Path) -> None:
    for model, told in (
        (
            network(loss_of_the_users_own),
            r"cannot be computed for the targets, which are int32 \(n,\) .*: give targets",
        ),
        (
            network("mse", inputs=5),
            r"not take the samples of points, which are float32 \(n, 2\) .*: give the data that",
        ),
    ):
        with pytest.raises(SpaceError, match=told) as refused:
            export_model(model, numbered, formats=["keras"], out=tmp_path / "out")
        assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()
