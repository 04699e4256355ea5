"""The first model of a user's own space is tried before any trial is trained."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from datasets_support import write_npz

from kerastuna.search import OptunaTuner, load_dataset
from kerastuna.search.commands.first_model import check_first_model
from kerastuna.search.datasets.data import Dataset
from kerastuna.search.errors import SpaceError
from kerastuna.spaces.convnet import ConvNet

RNG = np.random.default_rng(3)
BINARY = "binary_crossentropy"


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Sixty rows of three numbers, of two classes."""
    x = RNG.normal(size=(60, 3)).astype(np.float32)
    rows = {"x_train": x, "y_train": (x[:, 0] > 0.4).astype(int)}
    return load_dataset(write_npz(tmp_path_factory.mktemp("rows") / "rows.npz", rows))


@keras.saving.register_keras_serializable("first_model")
class Registered(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs


class Unregistered(Registered):
    pass


def told(folder: Path, data: Dataset, *layers: Any, loss: Any = BINARY, metric: str = "val_accuracy") -> list[str]:
    """What is said of a space with these layers, which are made anew for every model."""

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 4)), *(layer() for layer in layers)])
        model.compile("sgd", loss=loss, metrics=["accuracy"])
        return model

    said: list[str] = []
    tuner = OptunaTuner(build, "val_accuracy", 1, directory=folder)
    check_first_model(tuner, data, "mine:build", metric, said.append)
    return said


def sigmoid() -> Any:
    return keras.layers.Dense(1, activation="sigmoid")


def little_above_zero() -> Any:
    """Logits between 0 and 0.5: the second class by a loss of logits, the first by a metric of probabilities."""
    bias: Any = keras.initializers.Constant(0.2)
    return keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=bias)


def test_a_model_that_can_be_read_and_saved_is_not_spoken_of(tmp_path: Path, two_classes: Dataset) -> None:
    assert told(tmp_path, two_classes, Registered, sigmoid) == []


def test_a_layer_that_is_not_registered_is_told_at_once(tmp_path: Path, two_classes: Dataset) -> None:
    [line] = told(tmp_path, two_classes, Unregistered, sigmoid)
    assert "layer Unregistered" in line
    assert "put @keras.saving.register_keras_serializable() before the class" in line


@pytest.mark.parametrize(
    ("layers", "loss", "message"),
    [
        ([sigmoid, lambda: keras.layers.Reshape((1, 1))], BINARY, r"answers are of shape \(n, 1, 1\)"),
        ([little_above_zero], keras.losses.BinaryCrossentropy(from_logits=True), "reports accuracy"),
    ],
)
def test_answers_that_cannot_be_read_are_refused(
    tmp_path: Path, two_classes: Dataset, layers: Any, loss: Any, message: str
) -> None:
    with pytest.raises(SpaceError, match=f"space 'mine:build': .*{message}"):
        told(tmp_path, two_classes, *layers, loss=loss)


def test_samples_that_the_model_does_not_take_are_refused(tmp_path: Path, two_classes: Dataset) -> None:
    with pytest.raises(SpaceError, match=r"does not take the samples of the data set as they are.*\(n, 3\)") as refused:
        told(tmp_path, two_classes, lambda: keras.layers.Reshape((9, 9)), sigmoid)
    assert len(str(refused.value).splitlines()) == 1


def test_a_model_that_cannot_be_built_is_left_to_its_trial(tmp_path: Path, two_classes: Dataset) -> None:
    built: list[int] = []

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        built.append(1)
        if len(built) > 1:
            raise ValueError("no more")
        return keras.Sequential([keras.Input((3,)), sigmoid()])

    said: list[str] = []
    tuner = OptunaTuner(build, "val_accuracy", 1, directory=tmp_path)
    check_first_model(tuner, two_classes, "mine:build", "val_accuracy", said.append)
    assert said == ["the model at the default hyperparameters cannot be built (ValueError: no more)"]


def test_a_search_space_of_ours_is_known_to_be_right(tmp_path: Path, two_classes: Dataset) -> None:
    tuner = OptunaTuner(ConvNet(), "val_accuracy", 1, budget=900, directory=tmp_path)
    check_first_model(tuner, two_classes, "kerastuna.spaces.convnet:ConvNet", "val_accuracy", pytest.fail)
