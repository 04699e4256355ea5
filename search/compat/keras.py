"""Private names of Keras that have no public replacement.

Each function gives its reason. tests/compat/test_keras.py fails when an upgrade changes what they use.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras


def all_layers(model: keras.Model) -> Sequence[keras.layers.Layer]:
    """All layers of `model`, those inside other layers too. `Model.layers` gives the outermost ones alone."""
    return list(model._flatten_layers())


def graph_of(operation: Any) -> Any:
    """The functional graph that a call of `operation` runs through; None where it has none.

    A `Sequential` model keeps its graph in a private attribute. A functional model is one itself, unless its class
    replaces `call`; the class `Functional` is not public.
    """
    call = getattr(type(operation), "call", None)
    if isinstance(operation, keras.Sequential):
        return operation._functional if call is keras.Sequential.call else None
    functional = hasattr(operation, "_run_through_graph") and str(call.__module__).startswith("keras.")
    return operation if functional else None


def run_through_graph(graph: Any, inputs: Any, operation: Callable[[Any], Callable[..., Any]]) -> Any:
    """Call every operation of a functional graph in order, each as `operation` of it, and return the outputs.

    Public calls of a model give the outputs alone, and not the operations on the way.
    """
    return graph._run_through_graph(inputs, operation_fn=operation)
