"""The size of the network at some hyperparameters: in closed form where the space has one, else by building it."""

import logging
import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any, final

import keras
import keras_tuner
from keras_tuner.errors import FatalError

from ...spaces.architecture import Architecture
from ...spaces.chip import chip_cost
from ...spaces.cost import cost
from ...spaces.point import Point
from ...spaces.space import SearchSpace
from ..compat.keras import clear_session, settings_kept
from ..errors import KerastunaError, SpaceError
from ..study.budget import Size
from .model_building import build_for, build_for_own_inputs, waits_for_data
from .model_size import model_size

Batch = tuple[Sequence[int | None], str]
"""Shape, with None for the batch, and dtype of the inputs of a model."""

_logger = logging.getLogger(__name__)


@final
class NetworkMeasure:
    """Counts networks.

    Args:
        hypermodel: whose networks are counted. A `SearchSpace` is counted in closed form, without building.
        build: makes the model of any other hypermodel at some hyperparameters.
    """

    def __init__(self, hypermodel: Any, build: Callable[[keras_tuner.HyperParameters], Any]) -> None:
        self._hypermodel = hypermodel
        self._build = build
        self._batch: Batch | None = None

    def expect(self, x: Any) -> None:
        """Note what the models are trained on, for those that get their shapes from the data.

        Args:
            x: the first argument of `fit`. Anything but one array or a `tf.data.Dataset` of one tells nothing.
        """
        self._batch = _batch_of(x)

    def __call__(self, hp: keras_tuner.HyperParameters, costs: Collection[str]) -> Size | None:
        """The size of the network at `hp`.

        Args:
            costs: the names of those that are limited or optimised, of `COSTS`.

        Returns None where the network cannot be built; where there are no costs it is not built at all. Raises
        InfeasibleArchitecture where the layers do not fit the input, and SpaceError when it cannot be counted.
        """
        if isinstance(self._hypermodel, SearchSpace):
            architecture = _described(self._hypermodel, hp)
            counted = cost(architecture)
            chip = chip_cost(architecture)
            if chip is None and not {"ram", "flash"}.isdisjoint(costs):
                raise SpaceError(
                    f"the RAM and flash of {architecture.summary} on a chip are not known, for an activation besides "
                    "linear, relu, relu6, sigmoid, softmax and tanh: leave it out, or the limits on them"
                )
            return Size(
                counted.params,
                counted.macs,
                None if chip is None else chip.ram,
                None if chip is None else chip.flash,
                counted.peak_activation_bytes,
                architecture.summary,
                counted.receptive_field,
                len(counted.layers),
            )
        return self._by_building(hp, costs) if costs else None

    @settings_kept()
    def _by_building(self, hp: keras_tuner.HyperParameters, costs: Collection[str]) -> Size | None:
        clear_session(free_memory=False)  # a full collection takes longer than building
        try:
            model = self._build(hp)
        except (FatalError, KerastunaError):
            raise
        except Exception as error:
            # Building it for training fails in the same way, and the failure is recorded there.
            _logger.info("a network could not be counted, as it cannot be built: %s", error)
            return None
        if not isinstance(model, keras.Model):
            return None
        size = self.count(model, costs)
        if size is None:
            raise SpaceError(
                f"{model.name} has no input shape, so its parameters cannot be counted: begin it with keras.Input(...)"
            )
        return size

    def count(self, model: keras.Model, costs: Collection[str]) -> Size | None:
        """The size of a model; None where it has no input shape and the data do not tell one.

        Raises SpaceError when it cannot be built for the data, or not be counted for `costs`.
        """
        if waits_for_data(model):
            try:
                if not build_for_own_inputs(model):
                    if self._batch is None:
                        return None
                    build_for(model, *self._batch)
            except Exception as error:
                shape = "its own inputs" if self._batch is None else f"inputs of shape {self._batch[0]}"
                raise SpaceError(
                    f"{model.name} cannot be built for {shape}, so its parameters cannot be counted: begin it with "
                    "keras.Input(...)"
                ) from error
        return model_size(model, limits=costs)


def _described(space: SearchSpace, hp: keras_tuner.HyperParameters) -> Architecture:
    """The network at `hp`."""
    try:
        return space.architecture(Point(hp.values))  # pyright: ignore[reportArgumentType]
    except (LookupError, AttributeError):  # a space that reads `hp` in another way than by values that are there
        return space.architecture(hp)


def _batch_of(x: Any) -> Batch | None:
    """Shape and dtype of a batch of `x`, an array or a `tf.data.Dataset`; None for anything else.

    That is several inputs, a generator, a data set of unknown rank, and arrays of what Keras has no dtype for. Strings
    have one.
    """
    if (element := getattr(x, "element_spec", None)) is not None:
        x = element[0] if isinstance(element, tuple) else element
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if dtype is None:
        return None
    try:
        sides = tuple(None if side is None else operator.index(side) for side in shape)  # type: ignore[union-attr]
        named = "string" if getattr(dtype, "kind", "") in ("U", "S") else keras.backend.standardize_dtype(dtype)
    except (TypeError, ValueError):  # the shape is not known, not even its rank, or Keras does not know the dtype
        return None
    return ((None, *sides[1:]), named) if sides else None
