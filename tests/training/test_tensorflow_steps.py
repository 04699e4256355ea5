"""A step that is traced quickly has the numbers of Keras's own."""

from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from kerastuna.search.training.engine import fit
from kerastuna.spaces.architecture import (
    Architecture,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePooling2D,
)
from kerastuna.spaces.augmentation import Augmentation
from kerastuna.spaces.recipe import Recipe
from kerastuna.spaces.space import SearchSpace

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow traces twice")

HP = keras_tuner.HyperParameters()
HP.values["recipe"] = "adam"
X = np.random.default_rng(0).random((20, 6, 6, 1), "float32")
Y = np.arange(20) % 3


class Fixed(SearchSpace):
    def architecture(self, hp: Any) -> Architecture:
        head = (GlobalAveragePooling2D(), Dropout(0.3), Dense(3, activation="softmax"))
        first = (Conv2D(4, activation="relu"), BatchNormalization())
        convolutions = (*first, Conv2D(8, activation="relu"), BatchNormalization())  # of both ways to normalize
        return Architecture(self.input_shape, (*convolutions, *head))

    def recipe(self, hp: Any) -> Recipe:
        return RECIPES[hp.values["recipe"]]


SPACE = Fixed((6, 6, 1), 3)
RECIPES = {
    "adam": Recipe(0.01, 8),
    "adamw": Recipe(0.01, 8, "one_cycle", warm_up=0.3, optimizer="adamw", weight_decay=0.1, averaging=0.9),
    "sgd": Recipe(0.01, 8, "cosine", optimizer="sgd", weight_decay=0.1, label_smoothing=0.1),
    "augmented": Recipe(0.01, 8, averaging=0.9, augmentation=Augmentation(rotation=20, shift=0.1)),
}


def trained(train: Any, traces: list[Any] | None = None, **given: Any) -> tuple[keras.Model, dict[str, list[float]]]:
    keras.utils.set_random_seed(3)
    model: Any = SPACE.build(HP)
    step = model.train_step

    def noted(data: Any) -> Any:
        if traces is not None:
            traces.append(data)
        return step(data)

    model.train_step = noted
    arguments = {"epochs": 4, "verbose": 0, "validation_data": (X, Y)} | given
    return model, train(model, X, Y, **arguments).history


def by_keras(model: Any, *args: Any, **kwargs: Any) -> Any:
    return SPACE.fit(HP, model, *args, **kwargs)


def by_search(model: Any, *args: Any, **kwargs: Any) -> Any:
    return fit(SPACE, HP, model, *args, **kwargs)


@pytest.mark.parametrize("recipe", ["adam", "adamw", "sgd", "augmented"])
def test_the_numbers_are_those_of_fit(recipe: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(HP.values, "recipe", recipe)
    (by_fit, expected), (model, found) = trained(by_keras), trained(by_search)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, abs=1e-5)
    for first, second in zip(by_fit.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    assert "update_step" not in vars(model.optimizer)
    shapes = [[variable.shape for variable in model.optimizer.variables] for model in (by_fit, model)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("recipe", ["adam", "adamw"])
def test_a_step_is_traced_once(recipe: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(HP.values, "recipe", recipe)
    traces: list[Any] = []
    trained(by_search, traces, shuffle=False, epochs=1, validation_data=None)
    once = len(traces)
    traces.clear()
    trained(by_keras, traces, shuffle=False, epochs=1, validation_data=None)
    assert once == len(traces) / 2


def test_data_that_are_not_arrays_are_left_to_fit():
    data = [part.tolist() for part in (X, Y)]
    keras.utils.set_random_seed(3)
    model = SPACE.build(HP)
    history = fit(SPACE, HP, model, keras.ops.convert_to_tensor(data[0]), np.asarray(data[1]), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
