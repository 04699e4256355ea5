"""Pure descriptions of networks: a frozen sequence of layers and the shapes of their outputs.

Each layer takes the output of the one before it; an `Add` also takes that of an earlier one.

Nothing here imports Keras. A description takes microseconds to make, so a search can count thousands of networks
exactly and build only those it trains. `kerastuna.spaces.space` turns a description into a Keras model with the same
layers and names. All layers can be imported from this module.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

from .errors import InfeasibleArchitecture, InputError
from .layer_base import Layer, Padding, SameShape, Shape, Side, Window, is_whole
from .layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)

__all__ = [
    "Activation",
    "Add",
    "Architecture",
    "AveragePooling2D",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Layer",
    "MaxPooling2D",
    "Padding",
    "SameShape",
    "Shape",
    "Side",
    "Window",
    "check_input_shape",
]


@final
@dataclass(frozen=True)
class Architecture:
    """A network: the shape of one input image, and the layers in order.

    Args:
        input_shape: (height, width, channels) of one image.
        layers: at least one layer.
        summary: one line for people, such as "16-32-p16 | 16-32 | p10 | conv"; if empty, it is made from the layers.

    Raises InputError for any other input shape, when there are no layers, and when an `Add` passes over more layers
    than come before it. Whether the layers fit the input is not checked here: `shapes` and `kerastuna.spaces.cost.cost`
    raise InfeasibleArchitecture when they do not.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    summary: str = ""

    def __post_init__(self) -> None:
        check_input_shape(self.input_shape)
        if not self.layers:
            raise InputError("an architecture needs at least one layer")
        for place, layer in enumerate(self.layers):
            if type(layer) is Add and layer.over > place:
                raise InputError(
                    f"Add(over={layer.over}) is layer {place + 1}: it can pass over {place} layers at most"
                )
        if not self.summary:
            object.__setattr__(self, "summary", _summarize(self.layers))

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The output shape of every layer; raises InfeasibleArchitecture when a layer does not fit its input."""
        shape: Shape = self.input_shape
        outputs: list[Shape] = [shape]  # that of the layer at a place is at place + 1
        for place, layer in enumerate(self.layers):
            shape = layer.output_shape(shape)
            if type(layer) is Add and outputs[place - layer.over] != shape:
                raise InfeasibleArchitecture(
                    f"Add(over={layer.over}) cannot add {outputs[place - layer.over]} to {shape}: the shapes must agree"
                )
            outputs.append(shape)
        return tuple(outputs[1:])

    @cached_property
    def additions(self) -> Mapping[int, int]:
        """For the place of every `Add`, from 0, that of the layer whose output it adds; -1 is the network's input."""
        return {place: place - 1 - layer.over for place, layer in enumerate(self.layers) if type(layer) is Add}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A unique name for each layer, such as "conv2d_3": its kind and its number among the layers of that kind."""
        return tuple(_names(self.layers))


def check_input_shape(shape: tuple[object, ...]) -> None:
    """Raise InputError unless `shape` is the (height, width, channels) of an image."""
    if len(shape) != 3 or not all(map(is_whole, shape)):
        raise InputError(f"input_shape={shape!r}: give (height, width, channels), whole numbers of at least 1")


def _names(layers: tuple[Layer, ...]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for layer in layers:
        kind = layer.kind
        seen[kind] = number = seen.get(kind, 0) + 1
        yield f"{kind.lower()}_{number}"


def _summarize(layers: tuple[Layer, ...]) -> str:
    """Widths joined by "-"; a pointwise convolution is "p16", a depthwise one "d3", a pooling " | ", an `Add` "+"."""
    groups: list[list[str]] = [[]]
    for layer in layers:
        match layer:
            case Conv2D(filters=filters):
                groups[-1].append(f"p{filters}" if layer.window == (1, 1) else str(filters))
            case DepthwiseConv2D():
                groups[-1].append(f"d{max(layer.window)}")
            case Add() if groups[-1]:
                groups[-1][-1] += "+"
            case MaxPooling2D() | AveragePooling2D():
                groups.append([])
            case GlobalAveragePooling2D() | GlobalMaxPooling2D():
                groups.append(["global pool"])
                groups.append([])
            case Flatten():
                groups.append(["flatten"])
                groups.append([])
            case Dense(units=units):
                groups[-1].append(f"dense {units}")
            case _:
                pass
    return " | ".join("-".join(group) for group in groups if group)
