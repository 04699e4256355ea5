"""Whose score it is: the epoch whose weights a model has when its training is over.

A callback may restore the weights of an earlier epoch, as `EarlyStopping(restore_best_weights=True)` does, and an
optimizer may put averaged weights in their place at the end. A score has to be that of the weights that are kept.
"""

import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import keras
import numpy as np

from ...spaces.recipe_in_keras import samples_trained_on
from .metric_values import numbers_in

_logger = logging.getLogger(__name__)


@final
class ValidatedWeights:
    """Remembers, by a checksum, which weights were validated in every epoch."""

    def __init__(self) -> None:
        self._validates = False
        self._tested: int | None = None
        self._epochs: list[int | None] = []

    def test_begins(self, model: Any) -> None:
        """The weights of `model` are going to be validated."""
        if not self._validates:
            self._validates = True
            self._epochs = [None] * len(self._epochs)
        self._tested = _checksum(model)

    def epoch_ends(self, model: Any) -> None:
        """An epoch ended. If nothing is validated in any, its weights are those that the model has now."""
        self._epochs.append(self._tested if self._validates else _checksum(model))
        self._tested = None

    def epoch_passes(self) -> None:
        """An epoch was trained in another process, and its weights are not known."""
        self._epochs.append(None)

    def epochs_since(self, model: Any) -> int | None:
        """How many epochs ago the weights were validated that `model` has now: 0 for the last epoch.

        None where they never were, as after an epoch that `validation_freq` passes over. 0 too where nothing is known,
        because the callbacks were not told of the model.
        """
        if all(then is None for then in self._epochs):
            return 0
        now = _checksum(model)
        return next((ago for ago, then in enumerate(reversed(self._epochs)) if then == now), None)


def _checksum(model: Any) -> int | None:
    if (weights := getattr(model, "weights", None)) is None:
        return None
    checksum = 0
    for weight in weights:
        checksum = zlib.crc32(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes(), checksum)
    return checksum


def result_of_kept_weights(
    result: Any, epochs: Sequence[Mapping[str, Any]], ago: int | None, again: Callable[[], Mapping[str, float]]
) -> Any:
    """The result of a training with the score of the weights that the model has at its end.

    Only a `History` is changed: another result is what the user's own code says of the model.

    Args:
        result: what `HyperModel.fit` returned.
        epochs: the metrics that every epoch reported.
        ago: how many epochs ago these weights were validated; None if never.
        again: validates them now, and returns the metrics.
    """
    if ago == 0 or not isinstance(result, keras.callbacks.History):
        return result
    if ago is not None:
        return _until(result, epochs, ago)
    metrics = again()
    if not metrics:
        _logger.warning("the weights that a model ends with could not be validated: its score is of earlier ones")
    result.history |= {name: [*result.history.get(name, ())[:-1], value] for name, value in metrics.items()}
    return result


def _until(history: keras.callbacks.History, epochs: Sequence[Mapping[str, Any]], ago: int) -> keras.callbacks.History:
    """The history without its last `ago` epochs; itself where it has no more than these."""

    def kept(name: str, values: list[Any]) -> list[Any]:
        # An epoch without validation adds nothing to the values of a metric in validation.
        is_told = any(name in epoch for epoch in epochs)
        late = sum(name in epoch for epoch in epochs[-ago:]) if is_told else ago
        return values[: max(0, len(values) - late)] or values

    if ago >= max(map(len, history.history.values()), default=0):
        return history
    until = keras.callbacks.History()
    until.epoch = history.epoch[:-ago]
    until.history = {name: kept(name, values) for name, values in history.history.items()}
    return until


def validated_again(model: Any, given: Mapping[str, Any]) -> dict[str, float]:
    """The metrics in validation of the weights that a compiled model has now; empty where they cannot be computed.

    Args:
        model: that was trained.
        given: the arguments of `model.fit` by name. Data that can be read once only are left alone.
    """
    data = given.get("validation_data")
    if data is None and given.get("validation_split"):
        data = _held_out(given)
    if not getattr(model, "compiled", False) or data is None:
        return {}
    arguments: dict[str, Any] = {"steps": given.get("validation_steps")}
    if isinstance(data, tuple | list):
        arguments |= dict(zip(("x", "y", "sample_weight"), data, strict=False))
        arguments["batch_size"] = given.get("validation_batch_size") or given.get("batch_size")
    elif isinstance(data, keras.utils.PyDataset) or hasattr(data, "element_spec"):
        arguments["x"] = data
    else:
        return {}
    found = model.evaluate(**arguments, verbose=0, return_dict=True)
    return {f"val_{name}": value for name, value in numbers_in(found).items()}


def _held_out(given: Mapping[str, Any]) -> tuple[Any, ...]:
    """What `fit` takes for validation with `validation_split`: the last samples, targets and weights."""
    arrays = tuple(given.get(name) for name in ("x", "y", "sample_weight"))
    trained = samples_trained_on(len(keras.tree.flatten(arrays[0])[0]), given["validation_split"])
    last: Any = keras.tree.map_structure(lambda array: None if array is None else array[trained:], arrays)
    return last
