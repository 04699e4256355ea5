"""Private names of Keras that have no public replacement.

Each function gives its reason. tests/compat/test_keras.py fails when an upgrade changes what they use.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

SETTINGS = (
    "custom_objects_scope_dict",  # keras.saving.custom_object_scope
    "distribution",  # keras.distribution.set_distribution
    "dtype_policy",  # keras.config.set_dtype_policy
    "flash_attention",  # keras.config.disable_flash_attention
    "interactive_logging",  # keras.config.disable_interactive_logging
    "remat_scope_stack",  # keras.RematScope
    "safe_mode_saving",  # keras.config.enable_unsafe_deserialization
    "torch_device",  # keras.device, on torch
    "traceback_filtering",  # keras.config.disable_traceback_filtering
)
"""What a program sets and Keras forgets when a session is cleared, each with the function or the block that sets it."""
RANDOM_STATE = ("global_random_seed", "global_seed_generator")
"""What `keras.utils.set_random_seed` sets in Keras itself."""
_kept: ContextVar[Mapping[str, Any] | None] = ContextVar("kept", default=None)


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


@contextmanager
def settings_kept() -> Iterator[None]:
    """Keras's settings are at the end of the block what they were at its start. A block within another does nothing.

    Keras keeps what a program has set beside what building a network leaves behind, and `clear_session` erases both.
    There is no public way to tell them apart.
    """
    if _kept.get() is not None:
        yield
        return
    token = _kept.set(_read(SETTINGS))
    try:
        yield
    finally:
        set_kept_settings()
        _kept.reset(token)


def set_kept_settings() -> None:
    """Set Keras's settings to those at the start of the outermost `settings_kept`; outside of one, do nothing."""
    _write(_kept.get() or {})


def clear_session(free_memory: bool = True) -> None:
    """Clear Keras's session, without the settings. Within `settings_kept` they are then those at its start."""
    with settings_kept():
        keras.utils.clear_session(free_memory=free_memory)
        set_kept_settings()


@contextmanager
def random_state_kept() -> Iterator[None]:
    """What `keras.utils.set_random_seed` sets in Python, NumPy and Keras is after the block what it was before.

    There is no public way to ask Keras for its own part. TensorFlow's seed stays: it cannot be asked for.
    """
    own, python, numpy = _read(RANDOM_STATE), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        _write(own)


def _read(names: Sequence[str]) -> dict[str, Any]:
    return {name: global_state.get_global_attribute(name) for name in names}


def _write(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        global_state.set_global_attribute(name, value)
