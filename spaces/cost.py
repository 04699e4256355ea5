"""The exact cost of an architecture in closed form, without building a Keras layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple, final

from .architecture import Architecture, Shape
from .layer_base import ONE_PIXEL

BYTES_PER_ACTIVATION = 4  # float32


class LayerCost(NamedTuple):  # made for every layer of every proposal: a dataclass takes twice as long
    """What one layer costs for one image.

    Attributes:
        name, kind: as in the architecture and in the Keras model.
        output_shape: without the batch.
        trainable, non_trainable: parameters; the non-trainable ones are the moving statistics of BatchNormalization.
        macs: multiply-accumulates of a convolution or a dense layer; 0 for every other kind.
        activation_bytes: bytes of its input plus its output, and of every earlier output that an addition still needs,
            as float32.
        receptive_field: pixels of the input image that one output value depends on, along the longer side.
    """

    name: str
    kind: str
    output_shape: Shape
    trainable: int
    non_trainable: int
    macs: int
    activation_bytes: int
    receptive_field: int

    @property
    def params(self) -> int:
        """All parameters, as `keras.Model.count_params` counts them."""
        return self.trainable + self.non_trainable


@final
@dataclass(frozen=True)
class Cost:
    """What an architecture costs for one image: each layer, and the sums over them.

    Attributes:
        layers: in the order of the architecture.
    """

    layers: tuple[LayerCost, ...]

    @property
    def trainable(self) -> int:
        """Parameters that gradients change."""
        return sum(layer.trainable for layer in self.layers)

    @property
    def non_trainable(self) -> int:
        """Parameters that gradients do not change: the moving statistics of BatchNormalization."""
        return sum(layer.non_trainable for layer in self.layers)

    @property
    def params(self) -> int:
        """All parameters, as `keras.Model.count_params` counts them."""
        return self.trainable + self.non_trainable

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all convolutions and dense layers for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def peak_activation_bytes(self) -> int:
        """Bytes of activations while the layer that needs most of them runs, as float32, for one image."""
        return max(layer.activation_bytes for layer in self.layers)

    @property
    def receptive_field(self) -> int:
        """Pixels of the input image that a value of the last feature map depends on, along the longer side.

        The whole image where there is no feature map.
        """
        maps = [layer.receptive_field for layer in self.layers if len(layer.output_shape) == 3]
        return maps[-1] if maps else self.layers[-1].receptive_field


def cost(architecture: Architecture) -> Cost:
    """The exact cost of `architecture`; raises InfeasibleArchitecture when a layer does not fit its input."""
    layers: list[LayerCost] = []
    shape: Shape = architecture.input_shape
    values = prod(shape)
    whole = architecture.input_shape[:2]
    field, pixels_per_step = (1, 1), 1
    shapes = architecture.shapes
    kept = _kept(architecture, (shape, *shapes))
    for place, (name, layer, output) in enumerate(zip(architecture.names, architecture.layers, shapes, strict=True)):
        if (reach := layer.reach) is None:
            field = whole
        elif reach is not ONE_PIXEL:
            (height, width), stride = reach
            field = (
                min(whole[0], field[0] + (height - 1) * pixels_per_step),
                min(whole[1], field[1] + (width - 1) * pixels_per_step),
            )
            pixels_per_step *= stride
        trainable, non_trainable = layer.parameters(shape)
        output_values = values if output is shape else prod(output)
        layers.append(
            LayerCost(
                name=name,
                kind=layer.kind,
                output_shape=output,
                trainable=trainable,
                non_trainable=non_trainable,
                macs=layer.macs(shape, output),
                activation_bytes=BYTES_PER_ACTIVATION * (values + output_values + kept.get(place, 0)),
                receptive_field=max(field),
            )
        )
        shape, values = output, output_values
    return Cost(tuple(layers))


def count_params(architecture: Architecture) -> int:
    """All parameters of `architecture`, as Keras counts them; raises InfeasibleArchitecture as `cost` does."""
    inputs = (architecture.input_shape, *architecture.shapes)
    return sum(sum(layer.parameters(shape)) for layer, shape in zip(architecture.layers, inputs, strict=False))


def _kept(architecture: Architecture, outputs: Sequence[Shape]) -> dict[int, int]:
    """By the place of a layer, the values of earlier outputs, besides its own input, that additions still need."""
    last_use: dict[int, int] = {}
    for place, source in architecture.additions.items():
        last_use[source] = max(place, last_use.get(source, place))
    kept: dict[int, int] = {}
    for source, last in last_use.items():
        for place in range(source + 2, last + 1):
            kept[place] = kept.get(place, 0) + prod(outputs[source + 1])
    return kept
