"""Garbage collection while networks are built, one after the other."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from ..compat.tensorflow import forget_registered_gradients


@contextmanager
def collections_paused() -> Iterator[None]:
    """Collect no garbage within the block. To read thousands of objects that stay takes twice as long with it."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def old_objects_passed_over() -> Iterator[None]:
    """Collect garbage at the start; within the block, collections pass over every object that was there by then.

    Keras and KerasTuner collect garbage twice before they build a network. That takes half a second, nearly all of it
    for the objects of the libraries, which are never garbage. What becomes garbage of the objects that are passed over
    is collected after the block.
    """
    if gc.get_freeze_count():  # this block is within another, or the program has its own way
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def forget_trained_networks() -> None:
    """Let go of what the backend keeps of the networks trained so far, and of memory that was freed before.

    Without it, each trial adds some 20 MiB to the process. JAX keeps what it traced and compiled, of operations on
    arrays of a new shape too. The C library keeps freed memory, where compilers leave pieces of all sizes.
    """
    forget_registered_gradients(f"{__package__}.tensorflow_layers")
    if keras.backend.backend() == "jax":
        sys.modules["jax"].clear_caches()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
