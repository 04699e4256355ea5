"""The layers that a network may have, each a frozen dataclass with the arguments of the Keras layer of its name."""

from dataclasses import dataclass
from math import prod
from typing import final

from .errors import InfeasibleArchitecture, InputError
from .layer_base import (
    Layer,
    Padding,
    SameShape,
    Shape,
    Side,
    Window,
    check_padding,
    check_whole,
    check_window,
    map_shape,
    sides,
)


@final
@dataclass(frozen=True)
class Conv2D(Window):
    """A convolution; `kernel_size=1` makes it a pointwise convolution. (h, w, c) -> (h', w', filters).

    Args:
        filters: number of output channels, at least 1.
        kernel_size: side of the window in pixels, or its (height, width), at least 1.
        strides: pixels from one window to the next, at least 1.
        padding: with "valid" an output side is (side - window) // strides + 1, with "same" it is ceil(side / strides).
        activation: its Keras name, or None for no activation.
        use_bias: whether each output channel has a bias.

    Raises InputError for any other argument.
    """

    filters: int
    kernel_size: Side = 3
    strides: int = 1
    padding: Padding = "valid"
    activation: str | None = None
    use_bias: bool = True

    def __post_init__(self) -> None:
        check_whole(self, filters=self.filters, strides=self.strides)
        check_window(self, kernel_size=self.kernel_size)
        check_padding(self, self.padding)

    @property
    def window(self) -> tuple[int, int]:
        return sides(self.kernel_size)

    @property
    def step(self) -> tuple[int, Padding]:
        return self.strides, self.padding

    def output_channels(self, channels: int) -> int:
        return self.filters

    def parameters(self, shape: Shape) -> tuple[int, int]:
        return (prod(self.window) * shape[-1] + self.use_bias) * self.filters, 0

    def macs(self, shape: Shape, output: Shape) -> int:
        return prod(output) * prod(self.window) * shape[-1]


@final
@dataclass(frozen=True)
class DepthwiseConv2D(Window):
    """A convolution that filters each channel separately. (h, w, c) -> (h', w', c * depth_multiplier).

    Args:
        kernel_size: side of the window in pixels, or its (height, width), at least 1.
        strides: pixels from one window to the next, at least 1.
        padding: with "valid" an output side is (side - window) // strides + 1, with "same" it is ceil(side / strides).
        depth_multiplier: output channels for each input channel, at least 1.
        activation: its Keras name, or None for no activation.
        use_bias: whether each output channel has a bias.

    Raises InputError for any other argument.
    """

    kernel_size: Side = 3
    strides: int = 1
    padding: Padding = "valid"
    depth_multiplier: int = 1
    activation: str | None = None
    use_bias: bool = True

    def __post_init__(self) -> None:
        check_whole(self, strides=self.strides, depth_multiplier=self.depth_multiplier)
        check_window(self, kernel_size=self.kernel_size)
        check_padding(self, self.padding)

    @property
    def window(self) -> tuple[int, int]:
        return sides(self.kernel_size)

    @property
    def step(self) -> tuple[int, Padding]:
        return self.strides, self.padding

    def output_channels(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def parameters(self, shape: Shape) -> tuple[int, int]:
        return (prod(self.window) + self.use_bias) * self.output_channels(shape[-1]), 0

    def macs(self, shape: Shape, output: Shape) -> int:
        return prod(output) * prod(self.window)


@dataclass(frozen=True)
class _Pooling(Window):
    """Arguments and shapes of the two poolings."""

    pool_size: Side = 2
    strides: int | None = None
    padding: Padding = "valid"

    def __post_init__(self) -> None:
        check_window(self, pool_size=self.pool_size)
        check_whole(self, strides=self.step[0])
        check_padding(self, self.padding)
        if self.strides is None and self.window[0] != self.window[1]:
            raise InputError(f"{self.kind}(pool_size={self.pool_size}): a window that is not square needs `strides`")

    @property
    def window(self) -> tuple[int, int]:
        return sides(self.pool_size)

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
        strides: pixels from one window to the next, at least 1; None means the side of the window.
        padding: with "valid" an output side is (side - window) // strides + 1, with "same" it is ceil(side / strides).

    Raises InputError for any other argument, and when the window is not square and `strides` is None.
    """


@final
@dataclass(frozen=True)
class AveragePooling2D(_Pooling):
    """The mean of each window. (h, w, c) -> (h', w', c).

    Args:
        pool_size, strides, padding: the same as for `MaxPooling2D`, with the same errors.
    """


@final
@dataclass(frozen=True)
class GlobalAveragePooling2D(Layer):
    """The mean of each channel. (h, w, c) -> (c,)."""

    def output_shape(self, shape: Shape) -> Shape:
        return (map_shape(self, shape)[2],)


@final
@dataclass(frozen=True)
class GlobalMaxPooling2D(Layer):
    """The largest value of each channel. (h, w, c) -> (c,)."""

    def output_shape(self, shape: Shape) -> Shape:
        return (map_shape(self, shape)[2],)


@final
@dataclass(frozen=True)
class Flatten(Layer):
    """All values as one vector. (h, w, c) -> (h * w * c,)."""

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)


@final
@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer. (n,) -> (units,).

    Args:
        units: number of output values, at least 1.
        activation: its Keras name, or None for no activation.
        use_bias: whether each unit has a bias.

    Raises InputError for any other argument.
    """

    units: int
    activation: str | None = None
    use_bias: bool = True

    def __post_init__(self) -> None:
        check_whole(self, units=self.units)

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise InfeasibleArchitecture(
                f"Dense needs a vector, got {shape}: put Flatten or a global pooling before it"
            )
        return (self.units,)

    def parameters(self, shape: Shape) -> tuple[int, int]:
        return (shape[-1] + self.use_bias) * self.units, 0

    def macs(self, shape: Shape, output: Shape) -> int:
        return shape[-1] * self.units


@final
@dataclass(frozen=True)
class BatchNormalization(SameShape):
    """Normalisation per channel: scale and offset are trained, mean and variance are moving statistics.

    Args:
        momentum: the share of a moving statistic that stays after each training step.
    """

    momentum: float = 0.99

    def parameters(self, shape: Shape) -> tuple[int, int]:
        return 2 * shape[-1], 2 * shape[-1]


@final
@dataclass(frozen=True)
class Dropout(SameShape):
    """Sets a random share of the values to zero during training.

    Args:
        rate: the share; at least 0 and below 1.

    Raises InputError for any other rate.
    """

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise InputError(f"Dropout(rate={self.rate}): rate is a number of at least 0 and below 1")


@final
@dataclass(frozen=True)
class Activation(SameShape):
    """An activation function.

    Args:
        function: its Keras name, such as "relu" or "softmax".
    """

    function: str


@final
@dataclass(frozen=True)
class Add(SameShape):
    """A residual addition: its input plus what went into the layers before it, value by value.

    Args:
        over: the number of layers that are passed over, at least 1. `Add(over=3)` adds the output of the layer before
            the last three; where only three layers come before, that is the network's input.

    Raises InputError for any other number. Both shapes must be the same: `Architecture.shapes` raises
    InfeasibleArchitecture where they are not.
    """

    over: int

    def __post_init__(self) -> None:
        check_whole(self, over=self.over)
