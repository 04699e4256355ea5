"""Models whose layers get their shapes only when they see data."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastuna.search.tuning.model_building import build_for, build_from_config, optimizers_of, waits_for_data


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
