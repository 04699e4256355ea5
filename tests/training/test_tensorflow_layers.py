"""Layers that train quicker have the numbers of Keras's own, but for what a dropout draws."""

import importlib
from typing import Any

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has these layers")
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    from kerastuna.search.training import tensorflow_layers
    from kerastuna.search.training.garbage import forget_trained_networks
    from kerastuna.search.training.tensorflow_layers import quick_layers

SHAPES = [(6, 5, 8), (6, 5, 5), (1, 7, 16), (4, 1, 3)]
"""Of maps: for the normalization by oneDNN, and for that by rows of pixels."""


def normalization(shape: tuple[int, ...], **given: Any) -> tuple[keras.Model, Any]:
    layer = keras.layers.BatchNormalization(momentum=0.9, **given)
    model = keras.Sequential([keras.Input(shape), layer])
    draw = np.random.default_rng(0)
    model.set_weights([draw.random(weight.shape, "float32") + 0.5 for weight in model.weights])
    return model, layer


def step(model: Any, x: np.ndarray, training: bool = True) -> list[np.ndarray]:
    """Answers, gradients by the images and the weights, and moving statistics of one step with an uneven loss."""

    @tf.function
    def run(images: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            answers = model(images, training=training)
            uneven = tf.sin(tf.range(tf.size(answers), dtype="float32"))
            loss = tf.reduce_sum(answers * tf.reshape(uneven, tf.shape(answers)))
        return answers, *tape.gradient(loss, [images, *model.trainable_weights])

    values = [value.numpy() for value in run(tf.constant(x))]
    return [*values, *(np.array(weight) for weight in model.non_trainable_weights)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("images", [7, 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_normalization_has_the_numbers_of_keras(shape: tuple[int, ...], images: int, training: bool):
    x = np.random.default_rng(1).random((images, *shape), "float32") * 3 - 1
    expected = step(normalization(shape)[0], x, training)
    model, layer = normalization(shape)
    with quick_layers(model):
        assert "call" in vars(layer)
        found = step(model, x, training)
    assert "call" not in vars(layer)
    for first, second in zip(expected, found, strict=True):
        np.testing.assert_allclose(second, first, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("shape", [(6, 5, 8), (6, 5, 5)])
def test_the_number_of_images_may_change(shape: tuple[int, ...]):
    model, _ = normalization(shape)
    with quick_layers(model):
        run = tf.function(lambda x: model(x, training=True), input_signature=[tf.TensorSpec((None, *shape))])
        for images in (4, 9):
            answers = run(tf.random.normal((images, *shape)))
            assert answers.shape == (images, *shape)
            normalized = (answers - model.layers[0].beta) / model.layers[0].gamma
            np.testing.assert_allclose(tf.reduce_mean(normalized, (0, 1, 2)), 0, atol=1e-5)


def test_what_computes_with_momentum_may_change_it():
    model, layer = normalization((4, 4, 3))
    with quick_layers(model):
        layer.momentum = 0.0
        model(tf.fill((2, 4, 4, 3), 5.0), training=True)
    np.testing.assert_allclose(layer.moving_mean, 5, rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0, atol=1e-6)


def test_others_are_left_as_they_are():
    class Own(keras.layers.BatchNormalization):
        pass

    shape = (4, 4, 3)
    layers: list[Any] = [
        keras.layers.BatchNormalization(center=False),
        keras.layers.BatchNormalization(axis=1),
        keras.layers.BatchNormalization(dtype="mixed_float16"),
        Own(),
        keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 3)),
        keras.layers.Conv2D(2, 3),
    ]
    model = keras.Sequential([keras.Input(shape), *layers])
    with quick_layers(model):
        assert not [layer for layer in layers if "call" in vars(layer)]
    frozen, layer = normalization(shape)
    layer.trainable = False
    x = np.random.default_rng(1).random((2, *shape), "float32")
    plain = frozen(x, training=True)
    with quick_layers(frozen):
        np.testing.assert_array_equal(frozen(x, training=True), plain)
    flat = keras.Sequential([keras.Input((6,)), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)])
    rows = np.random.default_rng(2).random((500, 6), "float32")
    with quick_layers(flat):
        answers = np.array(flat(rows, training=True))
    assert 0.4 < np.mean(answers == 0) < 0.6
    assert np.mean(answers) == pytest.approx(0, abs=0.2)


def test_nothing_changes_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tensorflow_layers.tf.config, "get_visible_devices", lambda kind: [kind])
    model, layer = normalization((4, 4, 3))
    with quick_layers(model):
        assert "call" not in vars(layer)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.8])
def test_a_dropout_drops_its_share(rate: float):
    model = keras.Sequential([keras.Input((29, 31, 7)), keras.layers.Dropout(rate, seed=1)])
    x = tf.ones((31, 29, 31, 7))
    run = tf.function(lambda: model(x, training=True))
    with quick_layers(model):
        first, second = run().numpy(), run().numpy()
    values, counts = np.unique(first, return_counts=True)
    np.testing.assert_allclose(values, [0, 1 / (1 - rate)], rtol=1e-6)
    expected, deviation = first.size * rate, (first.size * rate * (1 - rate)) ** 0.5
    assert abs(counts[0] - expected) < 4 * deviation
    both = np.mean((first == 0) & (second == 0))  # one step tells nothing of the next
    assert both == pytest.approx(rate**2, abs=4 * (rate**2 / first.size) ** 0.5)
    halves = first.reshape(-1)[: first.size // 2 * 2].reshape(-1, 2) == 0  # of one random number
    assert np.mean(halves.all(1)) == pytest.approx(rate**2, abs=6 * (rate**2 / first.size) ** 0.5)
    assert (model(x, training=False).numpy() == 1).all()


def test_a_dropout_draws_by_its_seed():
    def drawn(seed: int) -> np.ndarray:
        model = keras.Sequential([keras.Input((5, 5, 3)), keras.layers.Dropout(0.5, seed=seed)])
        with quick_layers(model):
            return np.array(model(tf.ones((2, 5, 5, 3)), training=True))

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert (drawn(1) != drawn(2)).any()


def test_the_gradient_of_a_dropout_is_what_it_kept():
    model = keras.Sequential([keras.Input((5, 5, 3)), keras.layers.Dropout(0.5)])
    x = tf.ones((2, 5, 5, 3))
    with quick_layers(model), tf.GradientTape() as tape:
        tape.watch(x)
        answers = model(x, training=True)
    np.testing.assert_array_equal(tape.gradient(answers, x), answers)


def test_nothing_is_left_of_a_trained_network():
    """TensorFlow keeps every custom gradient, and with it the graph of its step."""
    registry: Any = importlib.import_module("tensorflow.python.framework.ops").gradient_registry
    forget_trained_networks()
    before = set(registry.list())
    model: Any = normalization((6, 5, 5))[0]
    model.compile("sgd", "mse")
    x = np.ones((4, 6, 5, 5), "float32")
    with quick_layers(model):
        model.fit(x, x, verbose=0)
        assert set(registry.list()) > before
    forget_trained_networks()
    assert set(registry.list()) == before
    model.fit(x, x, verbose=0)  # trained on


def test_a_failure_leaves_the_layers_as_they_were():
    model, layer = normalization((4, 4, 3))

    def fail() -> None:
        with quick_layers(model):
            assert "call" in vars(layer)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "call" not in vars(layer)
