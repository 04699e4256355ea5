"""Layers whose training step takes TensorFlow on a CPU half of the time that Keras's own take.

In a small network they take more of a step than its convolutions do. The numbers are those of Keras within rounding,
which grows over many steps, but for what a dropout draws: other values are dropped, as many, and by the same seed.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

LANES = 8
"""Channels that oneDNN takes at once: with a multiple of them, its own normalization is the quickest."""
CHOICES = 2**16
"""Values of the random number that decides whether a dropout drops one."""


@contextmanager
def quick_layers(model: keras.Model) -> Iterator[None]:
    """Within the block, normalizations and dropouts of maps train `model` quicker; nothing changes on a GPU."""
    with ExitStack() as stack:
        if not tf.config.get_visible_devices("GPU"):
            for layer in model.layers:
                if (call := _quick_call(layer)) is not None:
                    layer.call = call
                    stack.callback(delattr, layer, "call")
        yield


def _quick_call(layer: Any) -> Callable[..., Any] | None:
    """What `layer` does in place of its own `call`; None for what it has."""
    if "call" in vars(layer) or layer.dtype_policy.name != "float32":
        return None
    if type(layer) is keras.layers.BatchNormalization:
        # Keras 3.13 has no `renorm`.
        is_plain = layer.center and layer.scale and not getattr(layer, "renorm", False) and layer.axis == -1
        return _normalization(layer) if is_plain else None
    if type(layer) is keras.layers.Dropout:
        return None if layer.noise_shape is not None else _dropout(layer)
    return None


def _normalization(layer: Any) -> Callable[..., Any]:
    plain = layer.call

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        shape = inputs.shape
        if not training or not layer.trainable or mask is not None or len(shape) != 4 or shape[-2] is None:
            return plain(inputs, training=training, mask=mask)
        normalized = _by_rows if shape[-1] % LANES else _by_library
        outputs, mean, variance = normalized(inputs, layer.gamma.value, layer.beta.value, layer.epsilon)
        outputs.set_shape(shape)
        for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + value * (1.0 - layer.momentum))
        return outputs

    return call


def _by_library(images: Any, scale: Any, offset: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """The normalized images, and the mean and the variance of each channel, by oneDNN."""
    none = tf.zeros((0,))
    done = tf.raw_ops.FusedBatchNormV3(
        x=images, scale=scale, offset=offset, mean=none, variance=none, epsilon=epsilon, is_training=True
    )
    count = tf.cast(tf.size(images) // images.shape[-1], images.dtype)
    # It tells the variance of a population of which these are a sample; Keras that of these alone.
    return done.y, done.batch_mean, done.batch_variance * ((count - 1) / count)


@tf.custom_gradient
def _by_rows(images: Any, scale: Any, offset: Any, epsilon: Any) -> Any:
    """The same as `_by_library`, for any number of channels.

    A whole row of pixels is taken at once, since TensorFlow is slow where the last axis is short, and the gradient is
    in closed form (Ioffe and Szegedy 2015, section 3).
    """
    width, channels = images.shape[-2:]
    shape = tf.shape(images)
    rows = tf.reshape(images, (-1, width * channels))
    ones = tf.ones((1, tf.shape(rows)[0]), rows.dtype)
    count = tf.cast(tf.size(images) // channels, rows.dtype)

    def total(values: Any) -> Any:
        return tf.reduce_sum(tf.reshape(tf.matmul(ones, values), (width, channels)), 0)

    def wide(values: Any) -> Any:
        return tf.tile(values, [width])

    mean = total(rows) / count
    centered = rows - wide(mean)
    variance = total(tf.square(centered)) / count
    inverse = tf.math.rsqrt(variance + epsilon)
    outputs = centered * wide(scale * inverse) + wide(offset)

    def gradient(of_outputs: Any, *of_statistics: Any) -> Any:  # which nothing is differentiated by
        given = tf.reshape(of_outputs, (-1, width * channels))
        of_offset = total(given)
        of_scale = total(given * centered) * inverse
        part = centered * wide(inverse * of_scale / count)
        of_rows = (given - wide(of_offset / count) - part) * wide(scale * inverse)
        return tf.reshape(of_rows, shape), of_scale, of_offset, None

    return (tf.reshape(outputs, shape), mean, variance), gradient


def _dropout(layer: Any) -> Callable[..., Any]:
    plain, rate = layer.call, layer.rate

    def call(inputs: Any, training: Any = False) -> Any:
        if not training or not 0 < rate < 1 or len(inputs.shape) != 4:
            return plain(inputs, training=training)
        seed = tf.cast(layer.seed_generator.next(), tf.int32)
        size = tf.size(inputs)
        # A random number of 32 bits decides of two values.
        words: Any = tf.random.stateless_uniform  # said to want bounds
        drawn = words([(size + 1) // 2], seed, minval=None, maxval=None, dtype=tf.uint32)
        drawn = tf.reshape(tf.bitcast(drawn, tf.uint16), (-1,))[:size]
        stays = tf.cast(drawn >= min(round(rate * CHOICES), CHOICES - 1), inputs.dtype) * (1 / (1 - rate))
        return inputs * tf.reshape(stays, tf.shape(inputs))

    return call
