"""An augmentation at work, on the device and in a compiled training step: the same numbers on every backend."""

from typing import Any

import keras
import numpy as np

from .augmentation import Augmentation

ops: Any = keras.ops  # of whose functions some are said to return None


def changed(images: Any, augmentation: Augmentation, draws: Any) -> Any:
    """The images as `augmentation` changes them.

    Args:
        images: (n, height, width, channels), of the backend; whole numbers are taken as Keras's floating point.
        draws: float32 (n, DRAWS), evenly from 0 to 1: what is drawn for each image.
    """
    if "float" not in keras.backend.standardize_dtype(images.dtype):
        images = ops.cast(images, keras.config.floatx())
    if augmentation.moves:
        height, width = images.shape[1:3]
        images = _moved(images, augmentation.maps(draws, height, width, ops))
    if augmentation.lights:
        images = _lit(images, *augmentation.lighting(draws, ops))
    return images


def _moved(images: Any, maps: Any) -> Any:
    """The images whose pixels come from the places in `maps`, interpolated between the four pixels around each.

    A general gather: TensorFlow's own operation is as fast, but XLA cannot compile it.
    """
    height, width, channels = images.shape[1:]
    pixels = np.arange(height * width)
    columns, rows = (pixels % width).astype(np.float32), (pixels // width).astype(np.float32)
    a, b, c, d, e, f = (maps[:, place : place + 1] for place in range(6))
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    left, top = ops.floor(x), ops.floor(y)
    firsts = ops.expand_dims(ops.arange(ops.shape(images)[0], dtype="int32"), 1) * (height * width)
    flat = ops.reshape(images, (-1, channels))
    moved: Any = 0
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        weights = (1 - ops.abs(x - column)) * (1 - ops.abs(y - row))
        is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        weights = ops.cast(ops.where(is_inside, weights, 0.0), images.dtype)
        nearest = ops.clip(row, 0, height - 1) * width + ops.clip(column, 0, width - 1)
        values = ops.take(flat, firsts + ops.cast(nearest, "int32"), axis=0)
        moved = moved + ops.expand_dims(weights, -1) * values
    return ops.reshape(moved, (-1, height, width, channels))


def _lit(images: Any, brightness: Any, contrast: Any) -> Any:
    brightness, contrast = (ops.cast(ops.reshape(each, (-1, 1, 1, 1)), images.dtype) for each in (brightness, contrast))
    images = images * brightness
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * contrast
