"""Which trainings an engine can take over from Keras's `fit`."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from kerastuna.search import InputError, OptunaTuner
from kerastuna.search.training import engine
from kerastuna.search.training.engine import engine_for, fit, obstacle
from kerastuna.search.training.epochs import EpochReporter
from kerastuna.spaces.convnet import ConvNet

X, Y = np.zeros((4, 3), np.float32), np.zeros(4, np.int32)


class EveryEpoch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        pass


class EveryBatch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


class EveryTest(keras.callbacks.Callback):
    def on_test_begin(self, logs: Any = None) -> None:
        pass


@pytest.fixture(scope="module")
def model() -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"epochs": 3, "verbose": 0, "shuffle": False},
        {"validation_data": (X, Y)},
        {"validation_data": None, "callbacks": None},
        {"callbacks": [EveryEpoch(), keras.callbacks.EarlyStopping(), keras.callbacks.LearningRateScheduler(float)]},
        {"callbacks": [keras.callbacks.LambdaCallback(on_epoch_end=print)]},
        {"callbacks": [EpochReporter(lambda *given: False, ())]},
    ],
)
def test_arrays_and_callbacks_of_epochs_are_no_obstacle(model: keras.Model, given: dict[str, Any]):
    assert obstacle(model, {"x": X, "y": Y, **given}) is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"class_weight": {0: 2.0}}, "class_weight is an argument of fit alone"),
        ({"y": None}, "the data are not pairs of NumPy arrays"),
        ({"x": X.tolist()}, "the data are not pairs of NumPy arrays"),
        ({"validation_data": (X,)}, "the data are not pairs of NumPy arrays"),
        ({"validation_data": (X, Y, Y)}, "the data are not pairs of NumPy arrays"),
        ({"validation_data": zip(X, Y, strict=True)}, "the data are not pairs of NumPy arrays"),
        ({"shuffle": "batch"}, "batches are to be shuffled as a whole"),
        ({"callbacks": [EveryBatch()]}, "the callback EveryBatch has on_train_batch_end"),
        ({"callbacks": [[EveryTest()]]}, "the callback EveryTest has on_test_begin"),
        (
            {"callbacks": keras.callbacks.LambdaCallback(on_train_batch_begin=print)},
            "the callback LambdaCallback has on_train_batch_begin",
        ),
    ],
)
def test_what_only_fit_can_do_is_named(model: keras.Model, given: dict[str, Any], reason: str):
    assert obstacle(model, {"x": X, "y": Y, **given}) == reason


def test_a_model_that_runs_eagerly_is_left_to_fit():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse", run_eagerly=True)
    assert obstacle(model, {"x": X, "y": Y}) == "the model runs eagerly"


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_other_backends_have_no_engine(backend: str):
    assert engine_for(backend) is None


def test_a_hypermodel_of_the_users_own_fits_itself(model: keras.Model):
    class Own(keras_tuner.HyperModel):
        def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
            return hp, model, args, kwargs

    hp = keras_tuner.HyperParameters()
    assert fit(Own(), hp, model, X, Y, epochs=2) == (hp, model, (X, Y), {"epochs": 2})


class Untouched:
    """An engine that is given nothing to train."""

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError(kwargs)


@pytest.mark.parametrize("found", [None, Untouched()])
def test_one_hot_labels_end_the_search_of_a_space_in_one_line(
    found: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "engine_for", lambda backend: found)
    x, rows = np.zeros((20, 28, 28, 1), np.float32), np.eye(10, dtype=np.float32)[np.arange(20) % 10]
    space = ConvNet((28, 28, 1), 10)
    tuner = OptunaTuner(space, "val_accuracy", 2, directory=tmp_path, project_name="rows", seed=1)
    with pytest.raises(InputError, match=r"^y has shape \(20, 10\), .* give class numbers: data\.with_class_numbers"):
        tuner.search(x, rows, epochs=1, validation_data=(x, rows), verbose=0)
    begun = [trial for trial in tuner.oracle.study.trials if trial.state.name != "WAITING"]  # starting points wait
    assert [trial.state.name for trial in begun] == ["FAIL"]
