"""The private names of TensorFlow that are used still mean what they did."""

import importlib
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import pytest

from kerastuna.search.compat.tensorflow import forget_registered_gradients, order_of_each_epoch

X, Y = np.zeros((4, 3)), np.zeros((4, 2))


def test_what_an_optimizer_registers_is_forgotten_and_gradients_of_users_stay() -> None:
    tf: Any = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras makes no graphs of TensorFlow")
    registry: Any = importlib.import_module("tensorflow.python.framework.ops").gradient_registry
    forget_registered_gradients()

    @tf.custom_gradient
    def doubled(value):
        return 2.0 * value, lambda upstream: 2.0 * upstream

    @tf.function
    def forward(value):
        return doubled(value)

    forward(tf.constant(1.0))
    before = set(registry.list())
    model: Any = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    assert set(registry.list()) > before
    assert forget_registered_gradients() > 0
    assert set(registry.list()) == before
    with tf.GradientTape() as tape:
        tape.watch(value := tf.constant(3.0))
        result = forward(value)
    assert float(tape.gradient(result, value)) == 2.0
    model.fit(X, Y, verbose=0)  # trained on
    model.make_train_function(force=True)
    model.fit(X, Y, verbose=0)  # and traced anew


def orders(block: AbstractContextManager[None], first: int = 0, epochs: int = 4) -> list[list[int]]:
    """Of eight samples, in each epoch of a training from the seed 1."""
    tf: Any = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras does not shuffle by TensorFlow")
    seen: list[int] = []

    class Noting(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            if tf.is_tensor(inputs):  # and not the symbol with which the model is built
                seen.extend(np.ravel(inputs).astype(int).tolist())
            return inputs

    keras.utils.set_random_seed(1)
    model: Any = keras.Sequential([keras.Input((1,)), Noting(), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    seen.clear()
    samples = np.arange(8.0).reshape(8, 1)
    with block:
        model.fit(samples, samples, batch_size=3, initial_epoch=first, epochs=epochs, verbose=0)
    return [seen[start : start + 8] for start in range(0, len(seen), 8)]


def test_every_epoch_has_an_order_of_its_own_that_follows_from_the_seed() -> None:
    found = orders(order_of_each_epoch(7))
    assert all(sorted(order) == list(range(8)) for order in found)
    assert len(set(map(tuple, found))) == 4
    assert orders(order_of_each_epoch(7)) == found
    assert orders(order_of_each_epoch(7, 2), first=2) == found[2:]
    assert orders(order_of_each_epoch(8)) != found


def test_keras_alone_gives_all_epochs_one_order() -> None:
    """When this fails, `order_of_each_epoch` is not needed any more."""
    assert len(set(map(tuple, orders(nullcontext())))) == 1
