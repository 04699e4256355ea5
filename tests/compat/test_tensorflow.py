"""The private names of TensorFlow that are used still mean what they did."""

import importlib
from typing import Any

import keras
import numpy as np
import pytest

from kerastuna.search.compat.tensorflow import forget_reduced_gradients

X, Y = np.zeros((4, 3)), np.zeros((4, 2))


def test_what_an_optimizer_registers_is_forgotten_and_gradients_of_users_stay() -> None:
    tf: Any = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras makes no graphs of TensorFlow")
    registry: Any = importlib.import_module("tensorflow.python.framework.ops").gradient_registry
    forget_reduced_gradients()

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
    assert forget_reduced_gradients() > 0
    assert set(registry.list()) == before
    with tf.GradientTape() as tape:
        tape.watch(value := tf.constant(3.0))
        result = forward(value)
    assert float(tape.gradient(result, value)) == 2.0
    model.fit(X, Y, verbose=0)  # trained on
    model.make_train_function(force=True)
    model.fit(X, Y, verbose=0)  # and traced anew
