"""`Compact`, a space of small image classifiers for records: what is known to matter at a few thousand parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Any, final

from .architecture import (
    Activation,
    Add,
    Architecture,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    Padding,
)
from .augmentation import Augmentation
from .champions import CHAMPIONS
from .convnet import MOMENTUM
from .cost import count_params
from .errors import InputError
from .layer_base import is_whole
from .recipe import Recipe
from .references import HyperparameterValues
from .space import SearchSpace

MAX_BLOCKS = 4
MAX_CONVS = 4
SMALLEST_VALID = 5
"""The side of the smallest map of a valid convolution; on a smaller one it is padded, so that any depth fits."""
NARROWEST = 2
WIDEST = 4096
"""Channels of a convolution, at least and at most."""
SCALES_PER_CHANNEL = 16
"""How finely the scale of the widths is looked for."""
ORDERS = ("conv_bn_relu", "conv_relu_bn")
HEADS = ("pool_dense", "depthwise_dense", "flatten_dense")


@final
class Compact(SearchSpace):
    """Blocks of 3x3 convolutions with a max pooling between two of them, and a recipe with augmentation.

    A unit is a convolution, BatchNormalization and ReLU, or in the references' order ReLU before BatchNormalization
    (`order`). The first block has `first_convs` units, each later one `convs`. A depthwise-separable unit
    (`convolution`) is a depthwise 3x3 and a pointwise convolution; the first unit of the network is always standard.
    With "valid" padding, a map of fewer than five pixels is padded all the same. A residual addition goes around every
    unit whose input has the shape of its output (`residual`). After each pooling there may be a pointwise unit that
    narrows the map (`transition`). Heads:

    - "pool_dense": global average pooling and a dense layer;
    - "depthwise_dense": a depthwise convolution over the whole map, which is a weighted pooling, and a dense layer;
    - "flatten_dense": Flatten and a dense layer;

    each followed by softmax.

    The widths are a profile times one scale: 1 for the first block (`stem` for the first unit), `growth` for the
    second, `late_growth` times the one before for each later block. Where the number of `parameters` is known, the
    scale is the largest with which the network has at most the share `fill` of them: from 0.7 on, or from 0.05 on where
    `smaller` networks are looked for too. Without that number, the scale is `width`.
    Channels are added one convolution after the other, from the end of each block; with residual additions, to a whole
    block at once.

    Args:
        input_shape: (height, width, channels) of one image.
        classes: number of classes, at least 2.
        parameters: the number of parameters that the networks may have, such as the budget; None: their size is free.
        smaller: whether networks of any size up to `parameters` are looked for, and not the most accurate one alone.

    Raises InputError for any other argument.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (28, 28, 1),
        classes: int = 10,
        parameters: int | None = None,
        smaller: bool = False,
    ) -> None:
        super().__init__(input_shape, classes, name="compact")
        if parameters is not None and not is_whole(parameters):
            raise InputError(f"parameters={parameters!r}: give a whole number of at least 1, or None")
        self.parameters = parameters
        self.smaller = smaller

    def architecture(self, hp: Any) -> Architecture:
        """The network at `hp`; may raise InfeasibleArchitecture where images are too small for its poolings."""
        blocks = hp.Int("blocks", 2, MAX_BLOCKS, default=3)
        first = hp.Int("first_convs", 1, MAX_CONVS, default=2)
        later = hp.Int("convs", 1, MAX_CONVS, default=3)
        stem = hp.Float("stem", 0.5, 1.0, step=0.25, default=1.0)
        growth = hp.Float("growth", 1.0, 2.5, step=0.25, default=1.5)
        late_growth = hp.Float(
            "late_growth", 0.75, 1.5, step=0.25, default=1.0, parent_name="blocks", parent_values=[3, 4]
        )
        padding = hp.Choice("padding", ["same", "valid"])
        residual = hp.Boolean("residual", parent_name="padding", parent_values=["same"])
        hp.Boolean("transition")
        design = _Design(
            self.input_shape,
            self.classes,
            depths=(first, *[later] * (blocks - 1)),
            profile=(1.0, *(growth * (late_growth or 1.0) ** block for block in range(blocks - 1))),
            stem=stem,
            padding=padding,
            separable=hp.Choice("convolution", ["standard", "separable"]) == "separable",
            bias=hp.Boolean("bias"),
            order=hp.Choice("order", ORDERS),
            residual=bool(residual),
            transition=hp.Float(
                "transition_width",
                0.25,
                1.0,
                step=0.25,
                default=0.5,
                parent_name="transition",
                parent_values=[True],
            ),
            head=hp.Choice("head", HEADS),
            dropout=hp.Float("dropout", 0.0, 0.1, step=0.05),
        )
        if self.parameters is None:
            return design.at(hp.Int("width", 4, 32, default=8))
        shares = {"min_value": 0.05, "sampling": "log"} if self.smaller else {"min_value": 0.7, "step": 0.05}
        return design.filling(int(self.parameters * hp.Float("fill", max_value=1.0, default=1.0, **shares)))

    def recipe(self, hp: Any) -> Recipe:
        """Optimizer, learning rates, batch size, augmentation, label smoothing and averaging at `hp`."""
        optimizer = hp.Choice("optimizer", ["adam", "adamw", "sgd"])
        adam_rate = hp.Float(
            "adam_rate",
            1e-3,
            3e-2,
            sampling="log",
            default=1e-2,
            parent_name="optimizer",
            parent_values=["adam", "adamw"],
        )
        sgd_rate = hp.Float(
            "sgd_rate", 1e-2, 5e-1, sampling="log", default=1e-1, parent_name="optimizer", parent_values=["sgd"]
        )
        weight_decay = hp.Choice(
            "weight_decay", [0.0, 1e-4, 1e-3, 1e-2], parent_name="optimizer", parent_values=["adamw", "sgd"]
        )
        schedule = hp.Choice("schedule", ["one_cycle", "cosine", "inverse_time"])
        decay_rate = hp.Float(
            "decay_rate",
            0.05,
            1.0,
            sampling="log",
            default=0.3,
            parent_name="schedule",
            parent_values=["inverse_time"],
        )
        return Recipe(
            learning_rate=adam_rate if sgd_rate is None else sgd_rate,
            batch_size=hp.Choice("batch_size", [32, 64, 128], default=64),
            decay=schedule,
            decay_rate=decay_rate or 0.0,
            optimizer=optimizer,
            weight_decay=weight_decay or 0.0,
            warm_up=hp.Float("warm_up", 0.05, 0.4, step=0.05, default=0.2),
            label_smoothing=hp.Float("label_smoothing", 0.0, 0.1, step=0.05),
            averaging=hp.Choice("averaging", [0.0, 0.99, 0.998]),
            augmentation=_augmentation(hp),
        )

    def starting_points(self) -> Mapping[str, HyperparameterValues]:
        """Three networks at the scale that fits: `separable`, which a search found, then `same` and `valid`, by hand.

        The first is the champion under 15,000 parameters. `same` has three blocks; at 4,000 it is a network of 3,822
        parameters that came to 99.40 % on MNIST's test images. `valid`, of two blocks with a transition, resembles one
        of 13,270 parameters that came to 99.59 %. Both figures are of one run of 20 epochs.
        """
        separable = dict(CHAMPIONS["compact-15000"].values)
        del separable["fill"]
        common = {
            "bias": False,
            "order": "conv_bn_relu",
            "convolution": "standard",
            "head": "pool_dense",
            "dropout": 0.0,
        }
        common |= {"convs": 3, "batch_size": 64, "label_smoothing": 0.0, "averaging": 0.0, "schedule": "one_cycle"}
        same = {"blocks": 3, "first_convs": 3, "stem": 1.0, "growth": 2.0, "late_growth": 1.0, "padding": "same"}
        same |= {"residual": False, "transition": False, "optimizer": "sgd", "sgd_rate": 0.1, "weight_decay": 0.0}
        same |= {"warm_up": 0.3, "augment": "affine", "rotation": 8.0, "shift": 0.08, "zoom": 0.1, "share": 0.75}
        valid = {"blocks": 2, "first_convs": 2, "stem": 0.5, "growth": 1.0, "padding": "valid"}
        valid |= {"transition": True, "transition_width": 0.5, "optimizer": "adam", "adam_rate": 0.01}
        valid |= {"warm_up": 0.3, "augment": "affine", "rotation": 10.0, "shift": 0.08, "zoom": 0.1, "share": 1.0}
        points = {"separable": separable, "same": {**common, **same}, "valid": {**common, **valid}}
        widths = {"separable": 30, "same": 4, "valid": 20}  # without a number of parameters to fill
        return {
            name: {**values, **({"width": widths[name]} if self.parameters is None else {"fill": 1.0})}
            for name, values in points.items()
        }


def _augmentation(hp: Any) -> Augmentation | None:
    augment = hp.Choice("augment", ["affine", "none"])
    with hp.conditional_scope("augment", ["affine"]):
        rotation = hp.Float("rotation", 0.0, 14.0, step=2.0, default=8.0)
        shift = hp.Float("shift", 0.0, 0.14, step=0.02, default=0.08)
        zoom = hp.Float("zoom", 0.0, 0.14, step=0.02, default=0.1)
        share = hp.Float("share", 0.5, 1.0, step=0.25, default=0.75)
    if augment == "none":
        return None
    return Augmentation(rotation=rotation, shift=shift, zoom=zoom, share=share)


@final
@dataclass(frozen=True)
class _Design:
    """A network but for the scale of its widths.

    Attributes:
        depths, profile: of each block, the number of its units and its width at the scale 1.
        stem: width of the first unit, as a share of its block's.
        transition: width of the pointwise unit after a pooling, as a share of the block's before; None: no such unit.
    """

    input_shape: tuple[int, int, int]
    classes: int
    depths: Sequence[int]
    profile: Sequence[float]
    stem: float
    padding: Padding
    separable: bool
    bias: bool
    order: str
    residual: bool
    transition: float | None
    head: str
    dropout: float

    def filling(self, limit: int) -> Architecture:
        """The network with the largest scale at which it has at most `limit` parameters, or else the smallest one."""
        low, high = 0, SCALES_PER_CHANNEL
        while high <= WIDEST * SCALES_PER_CHANNEL and self._fits(high, limit):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._fits(middle, limit) else (low, middle)
        return self.at(low / SCALES_PER_CHANNEL)

    def _fits(self, step: int, limit: int) -> bool:
        return count_params(self.at(step / SCALES_PER_CHANNEL)) <= limit

    def at(self, scale: float) -> Architecture:
        """The network whose widths are `scale` times the profile."""
        layers: list[Layer] = []
        summary: list[str] = []
        side = min(self.input_shape[:2])
        before = self.input_shape[2]
        for block, (depth, profile) in enumerate(zip(self.depths, self.profile, strict=True)):
            if block:
                layers.append(MaxPooling2D())
                side //= 2
                texts = []
                if self.transition is not None:
                    before = _width(scale * self.transition * self.profile[block - 1], 0.5)
                    layers += self._unit([Conv2D(before, 1, use_bias=self.bias)])
                    texts = [f"p{before}"]
            else:
                texts = []
            for number in range(depth):
                is_first = block == number == 0
                share = profile * (self.stem if is_first else 1.0)
                width = _width(scale * share, 0.5 if self.residual else (number + 0.5) / depth)
                padded = self.padding == "same" or side < SMALLEST_VALID
                unit = self._unit(self._convolution(width, "same" if padded else "valid", is_first), self.dropout)
                added = self.residual and width == before
                layers += [*unit, Add(len(unit))] if added else unit
                texts.append(f"{'s' if self.separable and not is_first else ''}{width}{'+' if added else ''}")
                side -= 0 if padded else 2
                before = width
            summary.append("-".join(texts))
        layers += self._head(layers)
        return Architecture(
            self.input_shape, tuple(layers), summary=" | ".join([*summary, self.head.replace("_", "+")])
        )

    def _convolution(self, width: int, padding: Padding, is_first: bool) -> list[Layer]:
        if self.separable and not is_first:
            return [DepthwiseConv2D(3, padding=padding, use_bias=False), Conv2D(width, 1, use_bias=self.bias)]
        return [Conv2D(width, 3, padding=padding, use_bias=self.bias)]

    def _unit(self, convolution: list[Layer], dropout: float = 0.0) -> list[Layer]:
        normalised = BatchNormalization(momentum=MOMENTUM)
        last = convolution[-1]
        assert isinstance(last, Conv2D)
        if self.order == "conv_bn_relu":
            unit = [*convolution, normalised, Activation("relu")]
        else:
            unit = [*convolution[:-1], replace(last, activation="relu"), normalised]
        return [*unit, Dropout(dropout)] if dropout else unit

    def _head(self, body: list[Layer]) -> list[Layer]:
        last: list[Layer] = [Dense(self.classes), Activation("softmax")]
        match self.head:
            case "pool_dense":
                return [GlobalAveragePooling2D(), *last]
            case "depthwise_dense":
                height, width = Architecture(self.input_shape, tuple(body)).shapes[-1][:2]
                return [DepthwiseConv2D((height, width), use_bias=False), Flatten(), *last]
            case _:
                return [Flatten(), *last]


def _width(share: float, offset: float) -> int:
    """Channels of a convolution; the larger its `offset`, from 0 to 1, the sooner it has one more."""
    return min(max(NARROWEST, floor(share + offset)), WIDEST)
