"""`ConvNet`, a space of small image classifiers that contains the reference networks."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, final

from .architecture import (
    Activation,
    Architecture,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
)
from .recipe import Recipe
from .references import REFERENCES, HyperparameterValues
from .space import SearchSpace

MAX_BLOCKS = 3
MAX_CONVS = 3
MOMENTUM = 0.9
"""Of the moving statistics. Keras's default, 0.99, needs about 500 steps; before that, validation is meaningless."""
HEADS = ("conv", "gap", "pool_dense", "flatten_dense")
POINTWISE = ("none", "before_pool", "after_pool")
POOLING = MaxPooling2D()


@final
class ConvNet(SearchSpace):
    """Blocks of 3x3 convolutions, each followed by a 2x2 max pooling, and a head that classifies.

    A 3x3 convolution has "valid" padding and ReLU, then BatchNormalization, then Dropout, in the order of the reference
    networks. A pointwise (1x1) convolution with ReLU may come before or after each pooling, and before the head. Heads:

    - "conv": one valid convolution over the whole map to `classes` channels, BatchNormalization, Dropout, Flatten;
    - "gap": a pointwise convolution to `classes` channels, BatchNormalization, Dropout, global average pooling;
    - "pool_dense": global average pooling and a dense layer;
    - "flatten_dense": Flatten and a dense layer;

    each followed by softmax. With a dropout rate of 0 there are no Dropout layers. A network whose feature map would
    shrink below one pixel is infeasible.

    Args:
        input_shape: (height, width, channels) of one image.
        classes: number of classes, at least 2.
    """

    def __init__(self, input_shape: tuple[int, int, int] = (28, 28, 1), classes: int = 10) -> None:
        super().__init__(input_shape, classes, name="convnet")

    def architecture(self, hp: Any) -> Architecture:
        """The network at `hp`; raises InfeasibleArchitecture when its feature map would shrink below one pixel."""
        blocks = [self._block(hp, number) for number in range(1, hp.Int("blocks", 1, MAX_BLOCKS) + 1)]
        for number in range(len(blocks) + 1, MAX_BLOCKS + 1):
            self._block(hp, number)  # only to declare its hyperparameters, which are inactive here
        hp.Boolean("head_pointwise")
        pointwise = hp.Int("head_pointwise_width", 4, 32, step=2, parent_name="head_pointwise", parent_values=[True])
        head = hp.Choice("head", HEADS)
        rate = hp.Float("dropout", 0.0, 0.25, step=0.05)

        layers: list[Layer] = []
        summary: list[str] = []
        for widths, placement, width in blocks:
            for filters in widths:
                layers += [_convolution(filters), *_normalised(rate)]
            convs = "-".join(map(str, widths))
            if placement == "before_pool":
                layers += [_pointwise(width), POOLING]
                summary.append(f"{convs}-p{width}")
            elif placement == "after_pool":
                layers += [POOLING, _pointwise(width)]
                summary += [convs, f"p{width}"]
            else:
                layers.append(POOLING)
                summary.append(convs)
        if pointwise is not None:
            layers.append(_pointwise(pointwise))
            summary.append(f"p{pointwise}")
        layers += self._head(head, rate, layers)
        return Architecture(self.input_shape, tuple(layers), summary=" | ".join([*summary, head.replace("_", "+")]))

    def recipe(self, hp: Any) -> Recipe:
        """The learning rate, its decay and the batch size at `hp`."""
        decay = hp.Choice("decay", ["inverse_time", "exponential", "cosine", "constant"])
        rate = hp.Float(
            "decay_rate",
            0.01,
            1.0,
            sampling="log",
            default=0.1,
            parent_name="decay",
            parent_values=["inverse_time", "exponential"],
        )
        return Recipe(
            learning_rate=hp.Float("learning_rate", 3e-4, 1e-2, sampling="log", default=3e-3),
            batch_size=hp.Choice("batch_size", [32, 64, 128, 256], default=64),
            decay=decay,
            decay_rate=0.0 if rate is None else rate,
        )

    def starting_points(self) -> Mapping[str, HyperparameterValues]:
        """The reference networks."""
        return {name: reference.values for name, reference in REFERENCES.items()}

    @staticmethod
    def _block(hp: Any, number: int) -> tuple[list[int], str | None, int | None]:
        """Widths of the 3x3 convolutions, the place of the pointwise convolution, and its width."""
        prefix = f"block{number}"
        with hp.conditional_scope("blocks", list(range(number, MAX_BLOCKS + 1))):
            convs = hp.Int(f"{prefix}_convs", 1, MAX_CONVS)
            widths = [hp.Int(f"{prefix}_conv1", 4, 48, step=2, default=8)]
            for conv in range(2, MAX_CONVS + 1):
                active = list(range(conv, MAX_CONVS + 1))
                with hp.conditional_scope(f"{prefix}_convs", active):
                    widths.append(hp.Int(f"{prefix}_conv{conv}", 4, 48, step=2, default=8))
            placement = hp.Choice(f"{prefix}_pointwise", POINTWISE)
            width = hp.Int(
                f"{prefix}_pointwise_width",
                4,
                32,
                step=2,
                parent_name=f"{prefix}_pointwise",
                parent_values=list(POINTWISE[1:]),
            )
        return widths[: convs or 0], placement, width

    def _head(self, head: str, rate: float, body: list[Layer]) -> list[Layer]:
        last: list[Layer] = [Activation("softmax")]
        match head:
            case "conv":
                height, width = Architecture(self.input_shape, tuple(body)).shapes[-1][:2]
                return [Conv2D(self.classes, kernel_size=(height, width)), *_normalised(rate), Flatten(), *last]
            case "gap":
                return [Conv2D(self.classes, kernel_size=1), *_normalised(rate), GlobalAveragePooling2D(), *last]
            case "pool_dense":
                return [GlobalAveragePooling2D(), Dense(self.classes), *last]
            case _:
                return [Flatten(), Dense(self.classes), *last]


# Layers never change: each is made once, which would take a fifth of the time of a count otherwise.


@lru_cache(typed=True)
def _convolution(filters: Any) -> Conv2D:
    return Conv2D(filters, activation="relu")


@lru_cache(typed=True)
def _pointwise(filters: Any) -> Conv2D:
    return Conv2D(filters, kernel_size=1, activation="relu")


@lru_cache
def _normalised(rate: float) -> tuple[Layer, ...]:
    normalisation = BatchNormalization(momentum=MOMENTUM)
    return (normalisation, Dropout(rate)) if rate else (normalisation,)
