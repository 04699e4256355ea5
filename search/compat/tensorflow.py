"""Private names of TensorFlow that have no public replacement.

Each function gives its reason. tests/compat/test_tensorflow.py fails when an upgrade changes what they use.
"""

import inspect
import sys
from typing import Any


def forget_reduced_gradients() -> int:
    """Forget how the sums of gradients over devices are differentiated; returns how many were forgotten.

    An optimizer sums its gradients over devices, also where there is one. For each function with such a step,
    TensorFlow registers the derivative of the sum under a new name, and never removes it. It holds the whole graph of
    the function, some 10 MiB for a small network. Nobody differentiates an optimizer's step.
    """
    if (ops := sys.modules.get("tensorflow.python.framework.ops")) is None:
        return 0
    registered = ops.gradient_registry._registry
    names = [name for name, entry in list(registered.items()) if _is_of_reduction(entry["type"])]
    for name in names:
        registered.pop(name, None)
    return len(names)


def _is_of_reduction(derivative: Any) -> bool:
    """Whether a registered function is what `tf.custom_gradient` made for `ReplicaContext.all_reduce`."""
    inner = _closed_over(_closed_over(derivative, "tape_grad_fn"), "grad_fn")
    return getattr(inner, "__module__", None) == "tensorflow.python.distribute.distribute_lib"


def _closed_over(function: Any, name: str) -> Any:
    return inspect.getclosurevars(function).nonlocals.get(name) if inspect.isfunction(function) else None
