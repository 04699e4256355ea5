"""Private names of TensorFlow that have no public replacement.

Each function gives its reason. tests/compat/test_tensorflow.py fails when an upgrade changes what they use.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def forget_registered_gradients(*also: str) -> int:
    """Forget how what a training step computed is differentiated; returns how many derivatives were forgotten.

    An optimizer sums its gradients over devices, also where there is one. For each function with such a step,
    TensorFlow registers the derivative of the sum under a new name, and never removes it. It holds the whole graph of
    the function, some 10 MiB for a small network. Nobody differentiates an optimizer's step.

    Args:
        also: modules whose custom gradients are forgotten, too: those of steps that were traced.
    """
    if (ops := sys.modules.get("tensorflow.python.framework.ops")) is None:
        return 0
    registered = ops.gradient_registry._registry
    modules = {"tensorflow.python.distribute.distribute_lib", *also}
    names = [name for name, entry in list(registered.items()) if _module_of(entry["type"]) in modules]
    for name in names:
        registered.pop(name, None)
    return len(names)


@contextmanager
def order_of_each_epoch(seed: int, first: int = 0) -> Iterator[None]:
    """Within the block, Keras's `fit` on TensorFlow gives every epoch an order of the samples of its own.

    Once a seed is set, `tf.random.shuffle` in a data set begins anew with every iterator. Keras makes an iterator for
    each epoch, and so all epochs of a training would have the same batches in the same order.

    Args:
        seed: of the orders, at least 0. The order of an epoch is a function of it and of the epoch.
        first: the epoch, from 0, that `fit` begins with.
    """
    import tensorflow
    from keras.src.trainers.data_adapters import array_data_adapter

    tf: Any = tensorflow
    adapters: Any = array_data_adapter.ArrayDataAdapter
    plain = adapters.get_tf_dataset
    with tf.device("CPU:0"):  # where data sets are made
        epoch = tf.Variable(first, dtype=tf.int64, trainable=False)

    def shuffle(indices: Any) -> Any:
        seeds = tf.stack([tf.constant(seed, tf.int64), epoch.assign_add(1)])
        return tf.random.experimental.stateless_shuffle(indices, seeds)

    def get_tf_dataset(adapter: Any) -> Any:
        if tf.distribute.has_strategy():
            return plain(adapter)
        kept = tf.random.shuffle
        tf.random.shuffle = shuffle
        try:
            return plain(adapter)  # traces the function that shuffles
        finally:
            tf.random.shuffle = kept

    adapters.get_tf_dataset = get_tf_dataset
    try:
        yield
    finally:
        adapters.get_tf_dataset = plain


def _module_of(derivative: Any) -> str | None:
    """The module of the function whose derivative `tf.custom_gradient` registered; None for another derivative."""
    return getattr(_closed_over(_closed_over(derivative, "tape_grad_fn"), "grad_fn"), "__module__", None)


def _closed_over(function: Any, name: str) -> Any:
    return inspect.getclosurevars(function).nonlocals.get(name) if inspect.isfunction(function) else None
