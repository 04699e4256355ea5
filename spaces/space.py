"""A search space with a closed form: it describes a network and its recipe, and this module turns both into Keras."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, final

import keras
import keras_tuner

from .architecture import (
    Activation,
    Architecture,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    MaxPooling2D,
    check_input_shape,
)
from .cost import Cost, cost
from .errors import InfeasibleArchitecture, InputError
from .recipe import Recipe
from .references import HyperparameterValues

VALIDATION_BATCH_SIZE = 512


class SearchSpace(keras_tuner.HyperModel, ABC):
    """A KerasTuner `HyperModel` whose networks are described before they are built.

    A subclass writes `architecture(hp)` and `recipe(hp)`, both pure functions of the hyperparameters; building and
    training follow from them. Any KerasTuner tuner can search it. Kerastuna's own also counts a proposal's parameters
    from the description, and never builds one that is over the budget.

    Args:
        input_shape: (height, width, channels) of one image.
        classes: number of classes, at least 2.
        name: of its models; None lets Keras choose one.

    Raises InputError when an argument is not of that form.
    """

    def __init__(self, input_shape: tuple[int, int, int], classes: int, name: str | None = None) -> None:
        super().__init__(name=name)
        if classes < 2:
            raise InputError(f"classes={classes}: a classifier needs at least 2")
        check_input_shape(tuple(input_shape))
        height, width, channels = input_shape
        self.input_shape = (height, width, channels)
        self.classes = classes

    @abstractmethod
    def architecture(self, hp: keras_tuner.HyperParameters) -> Architecture:
        """The network at `hp`. Ends in `classes` probabilities. May raise InfeasibleArchitecture."""

    @abstractmethod
    def recipe(self, hp: keras_tuner.HyperParameters) -> Recipe:
        """How the network at `hp` is trained."""

    def starting_points(self) -> Mapping[str, HyperparameterValues]:
        """Points worth trying first, by name: the values of their active hyperparameters. None unless overridden."""
        return {}

    @final
    def cost(self, hp: keras_tuner.HyperParameters) -> Cost:
        """The exact cost of the network at `hp`; raises InfeasibleArchitecture where the layers do not fit."""
        return cost(self.architecture(hp))

    @final
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The compiled Keras model at `hp`; raises InfeasibleArchitecture where the layers do not fit."""
        model = build_model(self.architecture(hp), name=self.name)
        recipe = self.recipe(hp)
        # KerasTuner builds a network for every condition it sees here. `declare_hyperparameters` has met them all
        # already, and the networks it would build may be infeasible or over the budget.
        hp.active_scopes.clear()
        hp.inactive_scopes.clear()
        model.compile(
            optimizer=keras.optimizers.Adam(recipe.learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model

    @final
    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Train `model` by the recipe at `hp`: `model.fit` with its batch size and learning rates.

        Takes what `model.fit` takes but `batch_size`, which is the recipe's; labels are whole numbers from 0. Returns
        the `History`, to which the learning rate of each epoch is added. Raises InputError when `batch_size` is given.
        """
        if "batch_size" in kwargs or len(args) > 2:  # the third argument of `model.fit` is the batch size
            given = args[2] if len(args) > 2 else kwargs["batch_size"]
            raise InputError(f"batch_size={given}: the batch size is part of this space's recipe; leave it out")
        recipe = self.recipe(hp)
        epochs = kwargs.get("epochs", 1)
        schedule = keras.callbacks.LearningRateScheduler(lambda epoch, _: recipe.learning_rate_at(epoch, epochs))
        kwargs["callbacks"] = [schedule, *(kwargs.get("callbacks") or [])]
        images = kwargs.get("x", args[0] if args else None)
        if hasattr(images, "shape"):  # a tf.data.Dataset or a generator brings its own batches
            kwargs["batch_size"] = recipe.batch_size
            kwargs.setdefault("validation_batch_size", VALIDATION_BATCH_SIZE)
        return model.fit(*args, **kwargs)

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Register every hyperparameter of the space in `hp`, conditional ones included, without building a network."""
        explored: list[Any] = []
        pending: list[Any] = [[]]
        while pending:
            conditions = pending.pop(0)
            explored.append(conditions)
            point = hp.copy()
            point.values = {condition.name: condition.values[0] for condition in conditions}
            for declared in point.space:  # KerasTuner's `ensure_active_values` would draw values unseeded
                if point.is_active(declared):
                    point.values.setdefault(declared.name, declared.default)
            with suppress(InfeasibleArchitecture):  # the hyperparameters met on the way are all that is asked for
                self.architecture(point)
            self.recipe(point)
            hp.merge(point, overwrite=False)
            pending += [scope for scope in point.inactive_scopes if scope not in explored and scope not in pending]


def build_model(architecture: Architecture, name: str | None = None) -> keras.Model:
    """The Keras model of `architecture`, not compiled, with its layers' names.

    Args:
        name: of the model; None lets Keras choose one.

    Raises InfeasibleArchitecture where the layers do not fit, and InputError for a layer of another package.
    """
    architecture.shapes  # noqa: B018  raises here, with the layer's name, rather than inside Keras
    layers = [_keras_layer(layer, name) for name, layer in zip(architecture.names, architecture.layers, strict=True)]
    return keras.Sequential([keras.Input(architecture.input_shape), *layers], name=name)


def _keras_layer(layer: Layer, name: str) -> keras.layers.Layer:
    match layer:
        case Activation(function=function):
            return keras.layers.Activation(function, name=name)
        case (
            Conv2D()
            | DepthwiseConv2D()
            | Dense()
            | BatchNormalization()
            | Dropout()
            | MaxPooling2D()
            | AveragePooling2D()
            | GlobalAveragePooling2D()
            | GlobalMaxPooling2D()
            | Flatten()
        ):
            return getattr(keras.layers, layer.kind)(**vars(layer), name=name)
        case _:
            raise InputError(f"{layer.kind} is not a layer that Kerastuna can build")
