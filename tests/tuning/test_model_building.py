"""Models whose layers get their shapes only when they see data."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerastuna.search.tuning.model_building import (
    build_for,
    build_for_own_inputs,
    build_from_config,
    optimizers_of,
    waits_for_data,
)


class Late(keras.Model):
    """Its layer is built at the first call alone."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


def test_a_model_without_an_input_waits_until_it_is_built_whole() -> None:
    for model in (Late(), keras.Sequential([keras.layers.Dense(3)])):
        assert waits_for_data(model)
        build_for(model, (None, 4))
        assert not waits_for_data(model)
        assert model.count_params() == 15
    assert not waits_for_data(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))


def test_it_is_built_as_it_was_at_training(tmp_path: Path) -> None:
    config = tmp_path / "build_config.json"
    trained: Any = keras.Sequential([keras.layers.Dense(3)])
    trained(np.zeros((2, 4), "float32"))
    config.write_text(json.dumps(trained.get_build_config()))
    model: Any = keras.Sequential([keras.layers.Dense(3)])
    build_from_config(model, config)
    model.set_weights(trained.get_weights())
    images = np.ones((2, 4), "float32")
    np.testing.assert_allclose(model(images), trained(images))


def test_every_optimizer_of_a_model_and_its_parts_is_found() -> None:
    adam, sgd, rmsprop, inner = (getattr(keras.optimizers, name)() for name in ("Adam", "SGD", "RMSprop", "Nadam"))
    part = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    assert optimizers_of(part) == []
    part.compile(inner)
    model: Any = keras.Sequential([part])
    model.compile(adam)
    model.d_optimizer, model.others = sgd, {"g": [rmsprop]}
    assert {id(optimizer) for optimizer in optimizers_of(model)} == {id(made) for made in (adam, sgd, rmsprop, inner)}


class InTraining(keras.Layer):
    """Calls its second layer in training alone, and its third never."""

    def __init__(self) -> None:
        super().__init__()
        self.always, self.sometimes, self.never = keras.layers.Dense(4), keras.layers.Dense(2), keras.layers.Dense(9)

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.always(inputs) + (keras.ops.sum(self.sometimes(inputs)) if training else 0.0)


def test_layers_are_built_that_are_called_in_training_alone() -> None:
    model = keras.Sequential([InTraining()])
    build_for(model, (None, 4))
    assert model.count_params() == 4 * 5 + 2 * 5


def test_a_model_with_inputs_of_its_own_is_built_for_them() -> None:
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    inner = keras.Sequential([keras.Input((4,)), InTraining()])
    for model in (keras.Model({"left": left, "right": right}, inner(left + right)), inner):
        assert build_for_own_inputs(model)
        assert model.count_params() == 4 * 5 + 2 * 5
    assert not build_for_own_inputs(keras.Sequential([keras.layers.Dense(3)]))


def test_a_model_with_inputs_of_its_own_needs_no_configuration(tmp_path: Path) -> None:
    left, right = keras.Input((4,)), keras.Input((4,))
    model: Any = keras.Model([left, right], InTraining()(left + right))
    assert model.get_build_config() == {"input_shape": None}
    build_from_config(model, tmp_path / "missing.json")
    assert model.count_params() == 4 * 5 + 2 * 5


class Several(keras.Model):
    """Has several inputs, and no `build` of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.dense(keras.ops.concatenate(keras.tree.flatten(inputs), axis=-1))


@pytest.mark.parametrize("kind", [list, tuple, dict, "nested"])
def test_several_inputs_are_built_as_they_were_at_training(tmp_path: Path, kind: Any) -> None:
    left, right = np.ones((2, 4), "float32"), np.ones((2, 3), "float32")
    named = {"left": left, "right": right}
    x = {dict: named, "nested": {"both": [left, right]}}[kind] if kind in (dict, "nested") else kind([left, right])
    trained: Any = Several()
    trained(x)
    config = tmp_path / "build_config.json"
    config.write_text(json.dumps(trained.get_build_config()))
    model: Any = Several()
    build_from_config(model, config)
    assert not waits_for_data(model)
    model.set_weights(trained.get_weights())
    np.testing.assert_allclose(model(x), trained(x))
