"""Going on with a training that was killed, from its checkpoint. On a CPU the result is that of an undisturbed one.

Everything that decides the epochs to come is kept or follows from what is kept. The order of the samples does: it is
drawn from the seed of the training and the epoch, except by Keras's `fit` on JAX, which draws it from NumPy. Trainings
of which that is not sure have no checkpoint, and begin anew.
"""

import functools
import logging
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar, final

import keras
import numpy as np

from ..compat.keras import random_state_kept, settings_kept
from ..compat.tensorflow import order_of_each_epoch
from .checkpoints import Checkpoint, SavedState, UnfitCheckpoint, Values, can_be_kept, values_of
from .device import software
from .epochs import EpochMetrics, EpochReporter, OutOfTime
from .hypermodels import has_own_fit

SECONDS_BETWEEN = 20.0
"""Least time from the beginning of a training to its first checkpoint, and from one to the next: a quick one has none.

With Adam a checkpoint has 12 bytes for each parameter, and 20 to 40 KB besides: 210 KB for the 14,652 parameters of
eip_3. There is one file for each training that runs, and for each trained model of a confirmation that is not over.
"""
BACKENDS = ("tensorflow", "jax")
"""Of which it is known how Keras draws the order of the samples."""
ARGUMENTS = frozenset(
    {"x", "y", "epochs", "validation_data", "callbacks", "shuffle", "verbose", "batch_size", "validation_batch_size"}
)
"""Arguments of `fit` with which a training can be gone on with."""
ROWS = 256
"""Of the samples, by which they are told from others."""

_logger = logging.getLogger(__name__)
Result = TypeVar("Result")


def checkpoint_for(
    path: Path,
    hypermodel: Any,
    values: Mapping[str, Any],
    seed: int,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Checkpoint | None:
    """The checkpoint of a training; None for one that has to begin anew.

    That is one by a `fit` of the hypermodel's own, whose callbacks have a state of their own, whose data are not arrays
    in memory, or that is distributed.

    Args:
        path: of its file.
        hypermodel: that is trained.
        values: of its hyperparameters.
        seed: of the training.
        args, kwargs: of `fit`, without the callbacks that this package adds.
    """
    given: dict[str, Any] = {**dict(zip(("x", "y"), args, strict=False)), **kwargs}
    validation: Any = given.get("validation_data") or ()
    data: list[Any] = [given.get("x"), given.get("y"), *(validation if isinstance(validation, tuple) else [validation])]
    if (
        has_own_fit(hypermodel)
        or keras.backend.backend() not in BACKENDS
        or keras.distribution.distribution() is not None
        or len(args) > 2
        or given.keys() - ARGUMENTS
        or given.get("callbacks")
        or given.get("shuffle", True) not in (True, False)
        or not all(isinstance(part, np.ndarray) and part.dtype.kind in "biuf" for part in data)
    ):
        return None
    plain = ("epochs", "shuffle", "batch_size", "validation_batch_size")
    identity = {
        "values": dict(values),
        "seed": seed,
        "arguments": {name: given[name] for name in plain if name in given},
        "data": [[part.shape, part.dtype.str, _sum_of(part)] for part in data],
        **_software(),
    }
    return Checkpoint(path, identity)


_software = functools.cache(software)  # it looks into the metadata of all packages


def _sum_of(samples: np.ndarray) -> int:
    """A number that tells these samples from others, of some of them: all take a second where there are many."""
    chosen = samples[:: max(1, len(samples) // ROWS)]
    return zlib.crc32(np.ascontiguousarray(chosen).tobytes())


@final
class Checkpointer(keras.callbacks.Callback):
    """Keeps the state of a training, and begins with the one that was kept. It comes after the reporter.

    Args:
        checkpoint: of the training.
        reporter: of its epochs. It reports those again that were trained before.
        saved: the state to go on from; None to begin anew.
    """

    def __init__(self, checkpoint: Checkpoint, reporter: EpochReporter, saved: SavedState | None) -> None:
        super().__init__()
        self._checkpoint, self._reporter, self._saved = checkpoint, reporter, saved
        self._last = time.monotonic()
        self._is_kept = False
        self._at_end: Values | None = None

    @property
    def _is_due(self) -> bool:
        return self._is_kept and time.monotonic() - self._last >= SECONDS_BETWEEN

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Raises UnfitCheckpoint where the state is of another network."""
        model: Any = self.model
        self._is_kept = can_be_kept(model)
        if self._saved is not None:
            self._saved.restore(model)
            self._reporter.take_over(self._saved.history)
        self._last = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        model, told = self.model, self.params
        assert model is not None
        assert told is not None
        is_over = model.stop_training or epoch + 1 >= told["epochs"]
        ran_out = self._is_kept and isinstance(self._reporter.failure, OutOfTime)
        if ran_out or (self._is_due and not is_over):
            self._checkpoint.save(model, values_of(model), self._reporter.history)
            self._last = time.monotonic()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Complete Keras's own history, which has only the epochs of this process."""
        model: Any = self.model
        before = () if self._saved is None else self._saved.history
        for name, values in model.history.history.items():
            values[:0] = [metrics[name] for metrics in before if name in metrics]
        model.history.epoch[:0] = range(len(before))
        # Once the model is evaluated, Keras on JAX has deleted those of an optimizer that averages the weights.
        self._at_end = values_of(model) if self._is_due else None

    def finish(self, history: Sequence[EpochMetrics]) -> None:
        """Keep the state at the end of the training, with the metrics of every epoch."""
        model: Any = self.model
        if self._at_end is not None:
            self._checkpoint.save(model, self._at_end, history, is_finished=True)


def first_epoch(saved: SavedState | None) -> dict[str, int]:
    """The argument of `fit` that lets it go on from `saved`, where there is one."""
    return {} if saved is None else {"initial_epoch": len(saved.history)}


def seeded(seed: int, saved: SavedState | None) -> AbstractContextManager[None]:
    """Set the seed of a training, for everything that is random. `fit` is to be called within the block.

    `trained_on` sets the random state of the program again when the training ends.

    Args:
        seed: of the training.
        saved: the state that it goes on from; None to begin anew.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() != "tensorflow":
        return nullcontext()
    return order_of_each_epoch(seed, 0 if saved is None else len(saved.history))


def trained_on(checkpoint: Checkpoint | None, train: Callable[[SavedState | None], Result]) -> Result:
    """What `train` returns when it goes on from `checkpoint`; it begins anew where there is none that fits.

    The random state of the program and Keras's settings are afterwards what they were before, also when `train` raises.

    Args:
        checkpoint: of the training; None where it has none.
        train: is given the state to go on from, or None.
    """
    saved = None if checkpoint is None else checkpoint.load()
    with settings_kept(), random_state_kept():
        try:
            return train(saved)
        except UnfitCheckpoint as error:
            assert checkpoint is not None
            _logger.warning("%s is not used (%s): its training begins anew", checkpoint.path, error)
            checkpoint.remove()
            return train(None)
