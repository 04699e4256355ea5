"""Search spaces that describe a network before it is built, and the step from a description to a Keras model."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, final

import keras
import keras_tuner

from .architecture import (
    Activation,
    Add,
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
from .recipe_in_keras import LOSS, callbacks_of, optimizer_of, samples_trained_on, trained_by
from .references import HyperparameterValues

VALIDATION_BATCH_SIZE = 512


def check_labels(y: Any, validation: Any) -> None:
    """Refuse one-hot rows, which the loss of a `SearchSpace` does not take: each of its trials would fail by them.

    Labels that are no arrays, such as those within a `tf.data.Dataset`, are not looked at.

    Args:
        y: labels of the training, (n,) or (n, 1), or None.
        validation: as `validation_data` of `model.fit`.

    Raises InputError for an array of rank 2 with several columns.
    """
    validated = validation[1] if isinstance(validation, tuple | list) and len(validation) > 1 else None
    for name, labels in (("y", y), ("y of validation_data", validated)):
        shape = tuple(getattr(labels, "shape", ()))
        if len(shape) == 2 and shape[1] != 1:
            raise InputError(
                f"{name} has shape {shape}, and the networks of a SearchSpace take one number for each image, (n,): "
                "give class numbers: data.with_class_numbers(), or y.argmax(axis=1)"
            )


class SearchSpace(keras_tuner.HyperModel, ABC):
    """A KerasTuner `HyperModel` whose networks are described before they are built.

    A subclass implements `architecture(hp)` and `recipe(hp)`, both pure functions of the hyperparameters. Building and
    training follow from them. Any KerasTuner tuner can search the space. `OptunaTuner` also counts the parameters of a
    proposal from its description, and never builds a network that is over the budget.

    Args:
        input_shape: (height, width, channels) of one image.
        classes: number of classes, at least 2.
        name: the name of its models; with None, Keras chooses one.

    Raises InputError for any other input shape or number of classes.
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
        """The network at `hp`; its output is `classes` probabilities. May raise InfeasibleArchitecture."""

    @abstractmethod
    def recipe(self, hp: keras_tuner.HyperParameters) -> Recipe:
        """How the network at `hp` is trained."""

    def starting_points(self) -> Mapping[str, HyperparameterValues]:
        """Points to try first: the values of their active hyperparameters, by name. Empty unless overridden."""
        return {}

    @final
    def cost(self, hp: keras_tuner.HyperParameters) -> Cost:
        """The exact cost of the network at `hp`; raises InfeasibleArchitecture when a layer does not fit its input."""
        return cost(self.architecture(hp))

    @final
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The compiled Keras model at `hp`; raises InfeasibleArchitecture when a layer does not fit its input."""
        model = build_model(self.architecture(hp), name=self.name)
        recipe = self.recipe(hp)
        # KerasTuner would build a network for every condition that it finds here. `declare_hyperparameters` has already
        # found all of them, and those networks may be infeasible or over the budget.
        hp.active_scopes.clear()
        hp.inactive_scopes.clear()
        model.compile(optimizer=optimizer_of(recipe, model), loss=LOSS, metrics=["accuracy"])
        return model

    @final
    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Train `model` by the recipe at `hp`.

        Takes the arguments of `model.fit` except `batch_size`. Labels are whole numbers from 0. Returns the `History`,
        which also holds the learning rate of each epoch. Raises InputError for one-hot labels, and when `batch_size` is
        given.
        """
        if "batch_size" in kwargs or len(args) > 2:  # the third argument of `model.fit` is the batch size
            given = args[2] if len(args) > 2 else kwargs["batch_size"]
            raise InputError(f"batch_size={given}: the batch size is part of this space's recipe; leave it out")
        check_labels(kwargs.get("y", args[1] if len(args) > 1 else None), kwargs.get("validation_data"))
        recipe = self.recipe(hp)
        images = kwargs.get("x", args[0] if args else None)
        array = images if hasattr(images, "shape") else None
        split = kwargs.get("validation_split") or 0.0
        trained_on = array[: samples_trained_on(len(array), split)] if split and array is not None else array
        own = callbacks_of(recipe, kwargs.get("epochs", 1), trained_on)
        kwargs["callbacks"] = [*own, *(kwargs.get("callbacks") or [])]
        if array is not None:  # a tf.data.Dataset or a generator has its own batches
            kwargs["batch_size"] = recipe.batch_size
            kwargs.setdefault("validation_batch_size", VALIDATION_BATCH_SIZE)
        with trained_by(recipe, model, recipe.augmentation):
            return model.fit(*args, **kwargs)

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Register every hyperparameter of the space in `hp`, also the conditional ones, without building a network."""
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
            with suppress(InfeasibleArchitecture):  # only the hyperparameters declared on the way are needed
                self.architecture(point)
            self.recipe(point)
            hp.merge(point, overwrite=False)
            pending += [scope for scope in point.inactive_scopes if scope not in explored and scope not in pending]


def build_model(architecture: Architecture, name: str | None = None) -> keras.Model:
    """The Keras model of `architecture`, not compiled, with its layers' names: functional where it has an `Add`.

    Args:
        name: the name of the model; with None, Keras chooses one.

    Raises InfeasibleArchitecture when a layer does not fit its input, and InputError for a layer that is not one of
    `kerastuna.spaces`.
    """
    architecture.shapes  # noqa: B018  raises here, with the layer's name, before Keras does
    layers = [_keras_layer(layer, name) for name, layer in zip(architecture.names, architecture.layers, strict=True)]
    image = keras.Input(architecture.input_shape)
    additions = architecture.additions
    if not additions:
        return keras.Sequential([image, *layers], name=name)
    outputs: list[Any] = [image]  # that of the layer at a place is at place + 1
    for place, layer in enumerate(layers):
        outputs.append(layer([outputs[-1], outputs[additions[place] + 1]] if place in additions else outputs[-1]))
    return keras.Model(image, outputs[-1], name=name)


def _keras_layer(layer: Layer, name: str) -> keras.layers.Layer:
    match layer:
        case Activation(function=function):
            return keras.layers.Activation(function, name=name)
        case Add():
            return keras.layers.Add(name=name)
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
            raise InputError(
                f"{layer.kind} is not a layer that Kerastuna can build; use the layers of kerastuna.spaces"
            )
