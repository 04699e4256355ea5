"""Pure descriptions of networks: a frozen sequence of layers and the shapes of their outputs.

Nothing here imports Keras. A description takes microseconds to make, so a search can count thousands of networks
exactly and build only those it trains. `kerastuna.spaces.space` turns a description into a Keras model with the same
layers and names. All layers can be imported from this module.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from .errors import InputError
from .layer_base import Layer, Padding, SameShape, Shape, Side, Window, is_whole
from .layers import (
    Activation,
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

    Raises InputError for any other input shape, and when there are no layers. Whether the layers fit the input is not
    checked here: `shapes` and `kerastuna.spaces.cost.cost` raise InfeasibleArchitecture when they do not.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    summary: str = ""

    def __post_init__(self) -> None:
        check_input_shape(self.input_shape)
        if not self.layers:
            raise InputError("an architecture needs at least one layer")
        if not self.summary:
            object.__setattr__(self, "summary", _summarize(self.layers))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The output shape of every layer; raises InfeasibleArchitecture when a layer does not fit its input."""
        shape: Shape = self.input_shape
        shapes: list[Shape] = []
        for layer in self.layers:
            shape = layer.output_shape(shape)
            shapes.append(shape)
        return tuple(shapes)

    @property
    def names(self) -> tuple[str, ...]:
        """A unique name for each layer, such as "conv2d_3": its kind and its number among the layers of that kind."""
        return tuple(_names(self.layers))


def check_input_shape(shape: tuple[object, ...]) -> None:
    """Raise InputError unless `shape` is the (height, width, channels) of an image."""
    if len(shape) != 3 or not all(map(is_whole, shape)):
        raise InputError(f"input_shape={shape!r}: give (height, width, channels), whole numbers of at least 1")


def _names(layers: tuple[Layer, ...]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for layer in layers:
        seen[layer.kind] += 1
        yield f"{layer.kind.lower()}_{seen[layer.kind]}"


def _summarize(layers: tuple[Layer, ...]) -> str:
    """Widths joined by "-"; a pointwise convolution is "p16", a depthwise one "d3", a pooling " | "."""
    groups: list[list[str]] = [[]]
    for layer in layers:
        match layer:
            case Conv2D(filters=filters):
                groups[-1].append(f"p{filters}" if layer.window == (1, 1) else str(filters))
            case DepthwiseConv2D():
                groups[-1].append(f"d{max(layer.window)}")
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
