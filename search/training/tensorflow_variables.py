"""The variables that Keras makes at the first batch on TensorFlow, made before it."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def make_variables(model: keras.Model, x: Any, y: Any) -> None:
    """Make the variables of the optimizer and of the metrics.

    TensorFlow traces a function that makes variables twice, with a branch for each of them: tracing takes three times
    as long then. Keras makes them beforehand on other backends.

    Args:
        model: built and compiled, with one output.
        x, y: of which the first sample is looked at. Nothing happens where they are not arrays, or where a strategy of
            TensorFlow's distributes the model.
    """
    strategy: Any = getattr(model, "distribute_strategy", None)
    if strategy is not tf.distribute.get_strategy() or model.optimizer.built:
        return
    if not all(isinstance(part, np.ndarray) and len(part) for part in (x, y)):
        return
    model.optimizer.build(model.trainable_variables)
    model.compute_metrics(x[:1], y[:1], np.zeros((1, *model.output_shape[1:]), keras.config.floatx()))
    model.reset_metrics()
