"""BatchNormalization is folded where that is exact, and nowhere else."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from kerastuna.search.export.folding import fold
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.point import Point
from kerastuna.spaces.references import REFERENCES
from kerastuna.spaces.space import build_model

EXACT = 1e-5


def batch_normalization(**arguments: Any) -> Any:
    return layers.BatchNormalization(**arguments)


def trained(model: Any, *, negative: bool = False, seed: int = 0) -> Any:
    """`model` with weights as after training; gains above 0, or of both signs."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            mean: Any = layer.moving_mean
            channels = mean.shape[0]
            values = {
                "gamma": rng.uniform(0.3, 2, channels) * (rng.choice([-1, 1], channels) if negative else 1),
                "beta": rng.normal(size=channels),
                "moving_mean": rng.normal(size=channels),
                "moving_variance": rng.uniform(0.2, 3, channels),
            }
            for name, given in values.items():
                if getattr(layer, name) is not None:
                    getattr(layer, name).assign(given)
        elif layer.weights:
            layer.set_weights([rng.normal(size=weight.shape) / 2 for weight in layer.weights])
    return model


def chain(*parts: Any, shape: Sequence[int] = (9, 9, 2)) -> Any:
    return keras.Sequential([keras.Input(shape), *parts])


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers if not isinstance(layer, layers.InputLayer)]


def check(model: Any, folded: int, remaining: int) -> Any:
    """The folded model, after a comparison of its answers with those of `model`."""
    before = [weight.numpy() for weight in model.weights]
    result = fold(model)
    assert (result.folded, result.remaining) == (folded, remaining)
    x = np.random.default_rng(1).normal(size=(5, *model.input_shape[1:])).astype("float32")
    expected = model.predict_on_batch(x)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(result.model.predict_on_batch(x), expected, atol=EXACT * np.abs(expected).max())
    assert all((old == new.numpy()).all() for old, new in zip(before, model.weights, strict=True))
    return result.model


def conv(**arguments: Any) -> Any:
    return layers.Conv2D(3, 3, **arguments)


@pytest.mark.parametrize("name", ["eip_3", "eip_5"])
def test_nothing_remains_of_a_reference_network(name: str) -> None:
    point: Any = Point(REFERENCES[name].values)
    model = trained(build_model(ConvNet().architecture(point)))
    normalisations = kinds(model).count("BatchNormalization")
    assert normalisations >= 5
    left = kinds(check(model, normalisations, 0))
    assert not {"BatchNormalization", "Dropout"} & set(left)


@pytest.mark.parametrize(
    ("parts", "negative"),
    [
        ((conv(), batch_normalization(), conv(activation="relu")), True),
        ((conv(use_bias=False), layers.Dropout(0.5), batch_normalization(), layers.ReLU(), layers.Flatten()), True),
        ((layers.DepthwiseConv2D(3, depth_multiplier=2), batch_normalization(scale=False)), True),
        ((layers.SeparableConv2D(4, 3, depth_multiplier=2), batch_normalization(center=False)), True),
        ((layers.Flatten(), layers.Dense(4), batch_normalization()), True),
        ((conv(), layers.AveragePooling2D(2), batch_normalization()), True),
        ((conv(padding="same"), batch_normalization(), layers.MaxPooling2D()), True),
    ],
)
def test_it_folds_into_a_linear_layer_before_it(parts: Sequence[Any], negative: bool) -> None:
    assert "BatchNormalization" not in kinds(check(trained(chain(*parts), negative=negative), 1, 0))


RELU = {"activation": "relu"}


@pytest.mark.parametrize(
    "parts",
    [
        (conv(**RELU), batch_normalization(), layers.Dropout(0.1), conv(use_bias=False)),
        (conv(), layers.ReLU(), batch_normalization(), conv(strides=2)),
        (conv(activation="leaky_relu"), batch_normalization(), layers.Conv2D(4, 1, padding="same")),
        (conv(activation="tanh"), batch_normalization(), conv(dilation_rate=2)),
        (conv(), layers.ReLU(max_value=1), batch_normalization(), conv()),
        (conv(**RELU), batch_normalization(), layers.DepthwiseConv2D(3, depth_multiplier=2)),
        (conv(**RELU), batch_normalization(), layers.SeparableConv2D(4, 3, depth_multiplier=2)),
        (conv(**RELU), batch_normalization(), layers.AveragePooling2D(2, padding="same"), layers.Conv2D(4, 2)),
        (conv(**RELU), batch_normalization(), layers.Flatten(), layers.Dense(4)),
        (conv(**RELU), batch_normalization(), layers.GlobalAveragePooling2D(), layers.Dense(4)),
        (conv(**RELU), layers.MaxPooling2D(), batch_normalization(), layers.AveragePooling2D(2), layers.Conv2D(4, 1)),
        (batch_normalization(), conv()),
        (layers.DepthwiseConv2D(3, activation="relu"), batch_normalization(), conv(), batch_normalization(), conv()),
    ],
)
def test_it_folds_into_the_layer_behind_it(parts: Sequence[Any]) -> None:
    count = sum(isinstance(part, layers.BatchNormalization) for part in parts)
    assert "BatchNormalization" not in kinds(check(trained(chain(*parts), negative=True), count, 0))


@pytest.mark.parametrize("pool", [layers.MaxPooling2D(2, padding="same"), layers.GlobalMaxPooling2D()])
def test_only_gains_above_zero_pass_max_pooling(pool: Any) -> None:
    last = layers.Dense(4) if isinstance(pool, layers.GlobalMaxPooling2D) else layers.Conv2D(4, 2)

    def network() -> Any:
        return chain(conv(**RELU), batch_normalization(), pool, last)

    check(trained(network()), 1, 0)
    check(trained(network(), negative=True), 0, 1)


@pytest.mark.parametrize(
    "parts",
    [
        (conv(**RELU), batch_normalization(), conv(padding="same")),
        (conv(**RELU), batch_normalization()),
        (conv(**RELU), batch_normalization(), layers.ReLU(), conv()),
        (conv(**RELU), batch_normalization(), layers.ZeroPadding2D(), conv()),
        (conv(**RELU), batch_normalization(axis=1), conv()),
        (conv(**RELU), batch_normalization(), layers.Conv2D(3, 1, groups=3)),
    ],
)
def test_what_cannot_be_folded_stays(parts: Sequence[Any]) -> None:
    assert "BatchNormalization" in kinds(check(trained(chain(*parts)), 0, 1))


def test_a_branch_stays_exact() -> None:
    given = keras.Input((9, 9, 2))
    normalised = batch_normalization()(conv(**RELU)(given))
    branch = batch_normalization()(layers.Conv2D(3, 3, padding="same")(normalised))
    tail = conv()(batch_normalization()(layers.add([normalised, branch])))
    check(trained(keras.Model(given, tail)), 2, 1)


def test_a_layer_that_is_called_twice_is_left_alone() -> None:
    given = keras.Input((9, 9, 3))
    twice = layers.Conv2D(3, 3)
    answer = batch_normalization()(twice(batch_normalization()(twice(given))))
    check(trained(keras.Model(given, answer)), 0, 2)


def test_a_model_without_a_graph_is_returned_as_it_is() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.normalisation = batch_normalization()

        def call(self, x: Any) -> Any:
            return self.normalisation(x)

    model = Own()
    model(np.zeros((1, 3)))
    result = fold(model)
    assert (result.model, result.folded, result.remaining) == (model, 0, 1)


def test_a_model_of_dropout_alone_is_returned_as_it_is() -> None:
    model = chain(layers.Dropout(0.5))
    assert fold(model).model is model
