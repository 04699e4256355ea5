"""Pure descriptions of networks: a frozen sequence of layers, and the shapes that it gives.

Nothing here knows Keras. A description costs microseconds, so a search can count thousands of networks exactly and
build only those it trains; `kerastuna.spaces.space` turns a description into a Keras model with the same layers and
names.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from numbers import Integral
from typing import Literal, final

from .errors import InfeasibleArchitecture, InputError

Shape = tuple[int, ...]
"""The shape of one image's activations, without the batch: (height, width, channels) or (features,)."""

Padding = Literal["valid", "same"]
Side = int | tuple[int, int]
"""The side of a square window, or its (height, width)."""


class Layer(ABC):
    """One layer. Subclasses are frozen dataclasses whose fields are named as Keras names its arguments."""

    @property
    def kind(self) -> str:
        """The name of the Keras class that this layer becomes."""
        return type(self).__name__

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """The shape this layer makes of `shape`; raises InfeasibleArchitecture where it cannot."""


class Window(Layer):
    """A layer that slides a window over a map: the convolutions and poolings."""

    @property
    @abstractmethod
    def window(self) -> tuple[int, int]:
        """Height and width of the window."""

    @property
    @abstractmethod
    def step(self) -> tuple[int, Padding]:
        """Stride and padding."""

    @abstractmethod
    def output_channels(self, channels: int) -> int:
        """Channels out for `channels` in."""

    @final
    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = _map_shape(self, shape)
        stride, padding = self.step
        if padding == "same":
            out = (-(-height // stride), -(-width // stride))
        else:
            out = ((height - self.window[0]) // stride + 1, (width - self.window[1]) // stride + 1)
        if min(out) < 1:
            window = "x".join(map(str, self.window))
            raise InfeasibleArchitecture(
                f"the {window} window of {self.kind} would shrink a {height}x{width} map below one pixel"
            )
        return (*out, self.output_channels(channels))


class SameShape(Layer):
    """A layer that changes values, never the shape."""

    @final
    def output_shape(self, shape: Shape) -> Shape:
        return shape


@final
@dataclass(frozen=True)
class Conv2D(Window):
    """A convolution; `kernel_size=1` makes it a pointwise convolution. (h, w, c) -> (h', w', filters).

    Args:
        filters: channels out, at least 1.
        kernel_size: side of the window in pixels, or its (height, width), at least 1.
        strides: pixels from one window to the next, at least 1.
        padding: "valid" makes (side - window) // strides + 1 of a side, "same" makes ceil(side / strides).
        activation: by its Keras name, or None for none.
        use_bias: whether there is a bias for each channel out.

    Raises InputError when an argument is not of that form.
    """

    filters: int
    kernel_size: Side = 3
    strides: int = 1
    padding: Padding = "valid"
    activation: str | None = None
    use_bias: bool = True

    def __post_init__(self) -> None:
        _check_whole(self, filters=self.filters, strides=self.strides)
        _check_window(self, kernel_size=self.kernel_size)
        _check_padding(self, self.padding)

    @property
    def window(self) -> tuple[int, int]:
        return _sides(self.kernel_size)

    @property
    def step(self) -> tuple[int, Padding]:
        return self.strides, self.padding

    def output_channels(self, channels: int) -> int:
        return self.filters


@final
@dataclass(frozen=True)
class DepthwiseConv2D(Window):
    """A convolution of each channel by itself. (h, w, c) -> (h', w', c * depth_multiplier).

    Args:
        kernel_size: side of the window in pixels, or its (height, width), at least 1.
        strides: pixels from one window to the next, at least 1.
        padding: "valid" makes (side - window) // strides + 1 of a side, "same" makes ceil(side / strides).
        depth_multiplier: channels out for each channel in, at least 1.
        activation: by its Keras name, or None for none.
        use_bias: whether there is a bias for each channel out.

    Raises InputError when an argument is not of that form.
    """

    kernel_size: Side = 3
    strides: int = 1
    padding: Padding = "valid"
    depth_multiplier: int = 1
    activation: str | None = None
    use_bias: bool = True

    def __post_init__(self) -> None:
        _check_whole(self, strides=self.strides, depth_multiplier=self.depth_multiplier)
        _check_window(self, kernel_size=self.kernel_size)
        _check_padding(self, self.padding)

    @property
    def window(self) -> tuple[int, int]:
        return _sides(self.kernel_size)

    @property
    def step(self) -> tuple[int, Padding]:
        return self.strides, self.padding

    def output_channels(self, channels: int) -> int:
        return channels * self.depth_multiplier


@dataclass(frozen=True)
class _Pooling(Window):
    pool_size: Side = 2
    strides: int | None = None
    padding: Padding = "valid"

    def __post_init__(self) -> None:
        _check_window(self, pool_size=self.pool_size)
        _check_whole(self, strides=self.step[0])
        _check_padding(self, self.padding)
        if self.strides is None and self.window[0] != self.window[1]:
            raise InputError(
                f"{self.kind}(pool_size={self.pool_size}): give the strides of a window that is not square"
            )

    @property
    def window(self) -> tuple[int, int]:
        return _sides(self.pool_size)

    @property
    def step(self) -> tuple[int, Padding]:
        return (self.window[0] if self.strides is None else self.strides), self.padding

    def output_channels(self, channels: int) -> int:
        return channels


@final
@dataclass(frozen=True)
class MaxPooling2D(_Pooling):
    """The largest value of each window. (h, w, c) -> (h', w', c).

    Args:
        pool_size: side of the window in pixels, or its (height, width), at least 1.
        strides: pixels from one window to the next, at least 1; None for the side of the window.
        padding: "valid" makes (side - window) // strides + 1 of a side, "same" makes ceil(side / strides).

    Raises InputError when an argument is not of that form, and for a window that is not square without strides.
    """


@final
@dataclass(frozen=True)
class AveragePooling2D(_Pooling):
    """The mean of each window. (h, w, c) -> (h', w', c).

    Args:
        pool_size, strides, padding: as of `MaxPooling2D`, and with the same errors.
    """


@final
@dataclass(frozen=True)
class GlobalAveragePooling2D(Layer):
    """The mean of each channel. (h, w, c) -> (c,)."""

    def output_shape(self, shape: Shape) -> Shape:
        return (_map_shape(self, shape)[2],)


@final
@dataclass(frozen=True)
class GlobalMaxPooling2D(Layer):
    """The largest value of each channel. (h, w, c) -> (c,)."""

    def output_shape(self, shape: Shape) -> Shape:
        return (_map_shape(self, shape)[2],)


@final
@dataclass(frozen=True)
class Flatten(Layer):
    """Every value in one vector. (h, w, c) -> (h * w * c,)."""

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)


@final
@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer. (n,) -> (units,).

    Args:
        units: values out, at least 1.
        activation: by its Keras name, or None for none.
        use_bias: whether there is a bias for each value out.

    Raises InputError when an argument is not of that form.
    """

    units: int
    activation: str | None = None
    use_bias: bool = True

    def __post_init__(self) -> None:
        _check_whole(self, units=self.units)

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise InfeasibleArchitecture(
                f"Dense needs a vector, got {shape}: put Flatten or a global pooling before it"
            )
        return (self.units,)


@final
@dataclass(frozen=True)
class BatchNormalization(SameShape):
    """Normalisation per channel: scale and offset are trained, mean and variance are moving statistics.

    Args:
        momentum: the share of a moving statistic that a training step keeps.
    """

    momentum: float = 0.99


@final
@dataclass(frozen=True)
class Dropout(SameShape):
    """Sets a share of the values to zero while training.

    Args:
        rate: the share, from 0 to below 1.

    Raises InputError for another rate.
    """

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise InputError(f"Dropout(rate={self.rate}): the rate lies from 0 to below 1")


@final
@dataclass(frozen=True)
class Activation(SameShape):
    """An activation function by its Keras name, such as "relu" or "softmax"."""

    function: str


@final
@dataclass(frozen=True)
class Architecture:
    """A network: the shape of one input image and the layers it passes, in order.

    Args:
        input_shape: (height, width, channels) of one image.
        layers: at least one layer.
        summary: one line for people, such as "16-32-p16 | 16-32 | p10 | conv"; made from the layers when it is empty.

    Raises InputError when the input shape or the layers are not of that form. Whether the layers fit the input is only
    asked by `shapes` and by the cost.
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
        """The output shape of every layer; raises InfeasibleArchitecture where a layer does not fit."""
        shape: Shape = self.input_shape
        shapes: list[Shape] = []
        for layer in self.layers:
            shape = layer.output_shape(shape)
            shapes.append(shape)
        return tuple(shapes)

    @property
    def names(self) -> tuple[str, ...]:
        """A unique name per layer, such as "conv2d_3": its kind and its number among that kind."""
        return tuple(_names(self.layers))


def check_input_shape(shape: tuple[object, ...]) -> None:
    """Raise InputError unless `shape` is the (height, width, channels) of an image."""
    if len(shape) != 3 or not all(map(_is_whole, shape)):
        raise InputError(f"input_shape={shape!r}: give (height, width, channels), whole numbers of at least 1")


def _names(layers: tuple[Layer, ...]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for layer in layers:
        seen[layer.kind] += 1
        yield f"{layer.kind.lower()}_{seen[layer.kind]}"


def _summarize(layers: tuple[Layer, ...]) -> str:
    """Widths joined by "-", pointwise convolutions as "p16", depthwise ones as "d3", poolings as " | "."""
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


def _sides(value: Side) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _map_shape(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise InfeasibleArchitecture(f"{layer.kind} needs a map (height, width, channels), got {shape}")
    return shape[0], shape[1], shape[2]


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and int(value) >= 1


def _check_whole(layer: Layer, **fields: int) -> None:
    for name, value in fields.items():
        if not _is_whole(value):
            raise InputError(f"{layer.kind}({name}={value!r}): {name} is a whole number of at least 1")


def _check_window(layer: Layer, **fields: Side) -> None:
    for name, value in fields.items():
        sides = _sides(value)
        if len(sides) != 2 or not all(map(_is_whole, sides)):
            raise InputError(
                f"{layer.kind}({name}={value!r}): {name} is a whole number of at least 1, or a pair of them"
            )


def _check_padding(layer: Layer, padding: str) -> None:
    if padding not in ("valid", "same"):
        raise InputError(f'{layer.kind}(padding={padding!r}): padding is "valid" or "same"')
