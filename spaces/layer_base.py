"""The base classes of all layers, which compute output shapes, and the checks of their arguments."""

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Literal, final

from .errors import InfeasibleArchitecture, InputError

Shape = tuple[int, ...]
"""The shape of one image's activations, without the batch: (height, width, channels) or (features,)."""

Padding = Literal["valid", "same"]
Side = int | tuple[int, int]
"""The side of a square window, or its (height, width)."""

ONE_PIXEL = ((1, 1), 1)
"""The reach of a layer that changes each value in its place."""


class Layer(ABC):
    """One layer. Subclasses are frozen dataclasses whose fields are named as Keras names its arguments."""

    @property
    def kind(self) -> str:
        """The name of the Keras class that this layer becomes."""
        return type(self).__name__

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """The output shape for the input `shape`; raises InfeasibleArchitecture when the layer does not fit it."""

    @property
    def reach(self) -> tuple[tuple[int, int], int] | None:
        """Height and width of what one output value sees of the input, and the stride; None for the whole input."""
        return None

    def parameters(self, shape: Shape) -> tuple[int, int]:
        """Trainable and other parameters for the input `shape`, as Keras counts them."""
        return 0, 0

    def macs(self, shape: Shape, output: Shape) -> int:
        """Multiply-accumulates of a kernel for one image, whose input `shape` becomes `output`."""
        return 0


class Window(Layer):
    """A layer that slides a window over a feature map: convolutions and poolings."""

    @property
    @abstractmethod
    def window(self) -> tuple[int, int]:
        """Height and width of the window."""

    @property
    @abstractmethod
    def step(self) -> tuple[int, Padding]:
        """Stride in pixels, and padding."""

    @abstractmethod
    def output_channels(self, channels: int) -> int:
        """The number of output channels for `channels` input channels."""

    @final
    @property
    def reach(self) -> tuple[tuple[int, int], int]:
        return self.window, self.step[0]

    @final
    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = map_shape(self, shape)
        stride, padding = self.step
        window = self.window
        if padding == "same":
            out = (-(-height // stride), -(-width // stride))
        else:
            out = ((height - window[0]) // stride + 1, (width - window[1]) // stride + 1)
        if min(out) < 1:
            raise InfeasibleArchitecture(
                f"the {'x'.join(map(str, window))} window of {self.kind} would shrink a {height}x{width} map below one "
                "pixel"
            )
        return (*out, self.output_channels(channels))


class SameShape(Layer):
    """A layer that changes values, each in its place, but never the shape."""

    @final
    @property
    def reach(self) -> tuple[tuple[int, int], int]:
        return ONE_PIXEL

    @final
    def output_shape(self, shape: Shape) -> Shape:
        return shape


def sides(value: Side) -> tuple[int, int]:
    """Height and width of a window."""
    return value if isinstance(value, tuple) else (value, value)


def map_shape(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    """`shape` as (height, width, channels); raises InfeasibleArchitecture when it is a vector."""
    if len(shape) != 3:
        raise InfeasibleArchitecture(f"{layer.kind} needs a map (height, width, channels), got {shape}")
    return shape[0], shape[1], shape[2]


def is_whole(value: object) -> bool:
    """Whether `value` is a whole number of at least 1."""
    if type(value) is int:  # `isinstance` takes ten times as long
        return value >= 1
    return isinstance(value, Integral) and int(value) >= 1


def check_whole(layer: Layer, **fields: int) -> None:
    """Raise InputError unless every field of `layer` is a whole number of at least 1."""
    for name, value in fields.items():
        if not is_whole(value):
            raise InputError(f"{layer.kind}({name}={value!r}): {name} is a whole number of at least 1")


def check_window(layer: Layer, **fields: Side) -> None:
    """Raise InputError unless every field of `layer` is the side of a window, or its (height, width)."""
    for name, value in fields.items():
        if not (is_whole(value) or (isinstance(value, tuple) and len(value) == 2 and all(map(is_whole, value)))):
            raise InputError(
                f"{layer.kind}({name}={value!r}): {name} is a whole number of at least 1, or a pair of them"
            )


def check_padding(layer: Layer, padding: str) -> None:
    """Raise InputError unless `padding` is "valid" or "same"."""
    if padding not in ("valid", "same"):
        raise InputError(f'{layer.kind}(padding={padding!r}): padding is "valid" or "same"')
