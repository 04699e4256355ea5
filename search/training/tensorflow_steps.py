"""What makes a training step of Keras's `fit` quick on TensorFlow. Numbers differ by rounding."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...spaces.recipe_in_keras import averages_of
from .tensorflow_layers import quick_layers


@contextmanager
def quick_steps(model: keras.Model, x: Any, y: Any) -> Iterator[None]:
    """Within the block, `model.fit` traces its step in a third of the time, and on a CPU does it in less.

    Args:
        model: of a `SearchSpace`: built and compiled, with one output.
        x, y: of which the first sample is looked at. Nothing changes where they are not arrays, or where a strategy of
            TensorFlow's distributes the model.
    """
    strategy: Any = getattr(model, "distribute_strategy", None)
    arrays = all(isinstance(part, np.ndarray) and len(part) for part in (x, y))
    if strategy is not tf.distribute.get_strategy() or not arrays:
        yield
        return
    _make_variables(model, x[:1], y[:1])
    update = _adam_step(model)
    if update is not None:
        model.optimizer.update_step = update
    try:
        with quick_layers(model):
            yield
    finally:
        if update is not None:
            del model.optimizer.update_step


def _make_variables(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    """Make the variables of the optimizer and of the metrics, as Keras does beforehand on other backends.

    TensorFlow traces a function that makes variables twice, with a branch for each of them.
    """
    if model.optimizer.built:
        return
    model.optimizer.build(model.trainable_variables)
    model.compute_metrics(x, y, np.zeros((1, *model.output_shape[1:]), keras.config.floatx()))
    model.reset_metrics()


def _adam_step(model: keras.Model) -> Any:
    """`update_step` of Adam and AdamW with one operation a variable, where Keras has thirty; None for others.

    The operation computes 1 - beta_2 in float32, which is 1.3e-5 off, and the size of a step half as much.
    """
    runs_eagerly = model.run_eagerly or tf.config.functions_run_eagerly()  # without a graph for each step
    if runs_eagerly or type(model.optimizer) not in (keras.optimizers.Adam, keras.optimizers.AdamW):
        return None
    adam: Any = model.optimizer
    trained: Any = model.trainable_variables
    moments = adam.variables[2 + len(averages_of(adam)) :]  # after the number of steps and the learning rate
    if adam.amsgrad or len(moments) != 2 * len(trained):
        return None
    places = {id(variable.value): place for place, variable in enumerate(trained)}
    shared: dict[str, Any] = {}

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        if shared.get("graph") is not (graph := tf.compat.v1.get_default_graph()):
            steps = tf.cast(adam.iterations.value + 1, variable.dtype)
            shared["graph"], shared["powers"] = graph, [tf.pow(beta, steps) for beta in (adam.beta_1, adam.beta_2)]
        momentum, velocity = (moments[2 * places[id(variable)] + part].value for part in (0, 1))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            beta1_power=shared["powers"][0],
            beta2_power=shared["powers"][1],
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=adam.beta_1,
            beta2=adam.beta_2,
            epsilon=adam.epsilon,
            grad=gradient,
        )

    return update_step
