"""What an architecture takes on a microcontroller as int8, in closed form: its file, and the arena of tflite-micro.

The operators of the file follow from the layers: dropout is left out, an activation of the ReLU kind is part of the
layer before it, and BatchNormalization is folded into a neighbour (as `kerastuna.search.export.folding` does it) where
that is exact. What each operator takes besides its weights and its values was measured; `benchmarks/chip.py` does that,
and compares the bound with files of random networks.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple, final

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
    Shape,
)

_KEPT = {
    "add": 188,
    "average_pool": 172,
    "conv": 252,
    "dense": 268,
    "depthwise": 268,
    "logistic": 150,
    "max_pool": 172,
    "maximum": 176,
    "mean": 176,
    "multiply": 188,
    "relu": 110,
    "reshape": 128,
    "softmax": 236,
    "tanh": 122,
}
"""Bytes of the arena that tflite-micro 64-bit keeps for an operator of each kind and its tensors, besides its channels:
measured. A 32-bit chip needs less."""
_KEPT_ONCE, _KEPT_PER_CHANNEL = 768, 8
_CONSTANTS = {"add": 1, "conv": 2, "dense": 2, "depthwise": 2, "maximum": 1, "mean": 1, "multiply": 1, "reshape": 1}
"""How many tensors of the file an operator of each kind has besides its input and output, at most."""
_SCRATCHES = {"maximum": 3, "mean": 3}
_PLANNED_TENSOR, _PLANNED_VALUE, _PLANNED_SCRATCH = 32, 40, 88
"""Bytes that tflite-micro 64-bit takes to plan where values lie, before they take this place: for each tensor, in
addition for each that is computed or the input, and for each scratch buffer: read from its source and measured."""
_PREPARED = {"conv": (640, 12), "depthwise": (640, 12)}
_PREPARED_OTHER = (384, 8)
"""Bytes that it takes to prepare an operator of a kind, before that, and for each channel: measured."""
_FILED = {
    "add": 336,
    "average_pool": 296,
    "conv": 592,
    "dense": 480,
    "depthwise": 712,
    "logistic": 200,
    "max_pool": 240,
    "maximum": 248,
    "mean": 248,
    "multiply": 336,
    "relu": 216,
    "reshape": 200,
    "softmax": 184,
    "tanh": 200,
}
"""Bytes of the file for an operator of each kind and its tensors, besides weights and channels: measured."""
_FILED_ONCE, _FILED_PER_CHANNEL = 1152, 28
LEAST_FLASH = _FILED_ONCE + min(_FILED.values())
"""No network takes fewer bytes of flash, as it is counted here."""
LEAST_RAM = _KEPT_ONCE + min(_KEPT.values()) + _PREPARED_OTHER[0]
"""No network takes fewer bytes of RAM, as it is counted here."""
_PASSED = {AveragePooling2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D}
_FUSING = {AveragePooling2D, Conv2D, Dense, DepthwiseConv2D, MaxPooling2D}
"""The kinds of layers whose operator may have an activation of the ReLU kind as a part."""
_FUSED = ("relu", "relu6")
_LINEAR = (None, "linear")
_OPERATOR_OF = {"relu": "relu", "relu6": "relu", "sigmoid": "logistic", "softmax": "softmax", "tanh": "tanh"}
_KNOWN = _PASSED | _FUSING | {Activation, Add, BatchNormalization}


@final
class Operator(NamedTuple):
    """One operator of the int8 file.

    Attributes:
        kind: such as "conv".
        values: that it gives, one byte each.
        weights: bytes of its kernel.
        channels: that have a bias of 4 bytes and a scale of their own.
        scratch: bytes that it needs while it runs.
        sources: which values it takes: 0 is the network's input, n the output of the n-th operator.
    """

    kind: str
    values: int
    weights: int = 0
    channels: int = 0
    scratch: int = 0
    sources: tuple[int, ...] = ()


@final
@dataclass(frozen=True)
class ChipCost:
    """What a network takes on a microcontroller, at most.

    Attributes:
        flash: bytes of the int8 LiteRT file.
        ram: bytes of tflite-micro's arena: values, or if that takes more the work before there are any; and what the
            interpreter keeps of each operator.
        remaining: number of BatchNormalizations that cannot be folded and run as a multiplication and an addition.
        operators: of the file, in order.
    """

    flash: int
    ram: int
    remaining: int
    operators: tuple[Operator, ...]


def chip_cost(architecture: Architecture) -> ChipCost | None:
    """What `architecture` takes on a chip, at most; None and errors as in `operators_of`.

    The arena is that of tflite-micro's reference kernels, which the export measures too. Others, such as CMSIS-NN's,
    take more of it for some layers.
    """
    if (found := operators_of(architecture)) is None:
        return None
    operators, remaining = found
    values = [prod(architecture.input_shape), *(operator.values for operator in operators)]
    last = [max(0, place - 1) for place in range(len(values))]  # an operator makes the value behind its own place
    for place, operator in enumerate(operators):
        for source in operator.sources:
            last[source] = max(last[source], place)
    last[-1] = max(0, len(operators) - 1)
    buffers = [(_aligned(size), max(0, place - 1), last[place]) for place, size in enumerate(values)]
    buffers += [(_aligned(op.scratch), place, place) for place, op in enumerate(operators) if op.scratch]
    arena = max(offset + size for offset, (size, _, _) in zip(planned(buffers), buffers, strict=True))
    channels = sum(operator.channels for operator in operators)
    kept = _KEPT_ONCE + _KEPT_PER_CHANNEL * channels + sum(_KEPT[operator.kind] for operator in operators)
    filed = _FILED_ONCE + _FILED_PER_CHANNEL * channels + sum(_FILED[operator.kind] for operator in operators)
    weights = sum(_aligned(operator.weights) for operator in operators)
    return ChipCost(_aligned(filed + weights), max(arena, _beginning(operators)) + _aligned(kept), remaining, operators)


def _beginning(operators: Sequence[Operator]) -> int:
    """Bytes that tflite-micro takes at most to prepare the operators, and then to plan where their values lie."""
    values = 1 + len(operators)
    tensors = values + sum(_CONSTANTS.get(operator.kind, 0) for operator in operators)
    scratches = sum(_SCRATCHES.get(operator.kind, 0) for operator in operators)
    most = _PLANNED_TENSOR * tensors + _PLANNED_VALUE * values + _PLANNED_SCRATCH * scratches
    for operator in operators:
        once, each = _PREPARED.get(operator.kind, _PREPARED_OTHER)
        most = max(most, once + each * operator.channels)
    return _aligned(most)


def _aligned(size: int) -> int:
    """`size` as a multiple of 16 bytes."""
    return -(-size // 16) * 16


def operators_of(architecture: Architecture) -> tuple[tuple[Operator, ...], int] | None:
    """The operators of the int8 file, and how many BatchNormalizations remain; None for a layer that is not one
    of `kerastuna.spaces`, or has another activation than linear, relu, relu6, sigmoid, softmax and tanh.

    A BatchNormalization before a max pooling is taken to be folded, which needs gains that are not negative. Where
    vectors are added, the converter makes reshapes and repeats dense layers; as many as it may make are here. Raises
    InfeasibleArchitecture when a layer does not fit its input.
    """
    layers, shapes, added = architecture.layers, architecture.shapes, architecture.additions
    tapped = frozenset(added.values())
    adds_vectors = any(len(shapes[place]) == 1 for place in added)
    operators: list[Operator] = []
    made = [0]  # the value that a layer gives: that of the layer at a place is at place + 1
    remaining = 0
    fusable: Sequence[str] = ()  # the activations that would be part of the operator before

    def run(operator: Operator, *sources: int) -> None:
        operators.append(operator._replace(sources=sources))

    for place, (layer, after) in enumerate(zip(layers, shapes, strict=True)):
        activation = layer.function if type(layer) is Activation else getattr(layer, "activation", None)
        if activation not in (*_LINEAR, *_OPERATOR_OF) or type(layer) not in _KNOWN:
            return None
        before, source = (shapes[place - 1] if place else architecture.input_shape), made[-1]
        fusable, count = () if place - 1 in tapped else fusable, len(operators)
        if type(layer) is Activation:
            if activation in _LINEAR or activation in fusable:
                fusable = _fusable_after(activation, fusable)
            else:
                run(Operator(_OPERATOR_OF[activation], prod(after)), source)
                fusable = ()
        elif type(layer) is Add:
            run(Operator("add", prod(after)), source, made[added[place] + 1])
            fusable = _FUSED
        elif type(layer) is not Dropout and not _folds(layers, place, tapped):
            takes = [source]
            if adds_vectors and type(layer) is Dense:
                if place - 1 in tapped or type(layers[place - 1]) is not Flatten:
                    run(Operator("reshape", prod(before)), source)
                    takes = [len(operators)]
                if activation in _LINEAR and _is_tapped(layers, place, tapped):
                    run(Operator("dense", prod(after), channels=after[-1]), *takes)
                    takes.append(len(operators))
            for operator in _operators(layer, before, after):
                run(operator, *takes)
                takes = [len(operators)]
            fusable = _FUSED if type(layer) in _FUSING else ()
            if activation in _FUSED:
                fusable = _fusable_after(activation, fusable)
            elif activation not in _LINEAR:
                run(Operator(_OPERATOR_OF[activation], prod(after)), len(operators))
                fusable = ()
            remaining += type(layer) is BatchNormalization
        made.append(source if len(operators) == count else len(operators))
    return tuple(operators), remaining


def _fusable_after(activation: str | None, fusable: Sequence[str]) -> Sequence[str]:
    """What of `fusable` would still be part of an operator that `activation` is part of."""
    if activation in _LINEAR:
        return fusable
    return ("relu",) if activation == "relu" and "relu" in fusable else ()


def _is_tapped(layers: Sequence[Layer], place: int, tapped: Container[int]) -> bool:
    """Whether an addition takes the values of the layer at `place`, or those with a BatchNormalization folded in."""
    while place not in tapped:
        place += 1
        if place == len(layers) or type(layers[place]) not in (BatchNormalization, Dropout):
            return False
    return True


def _operators(layer: Layer, before: Shape, after: Shape) -> Iterator[Operator]:
    values = prod(after)
    match layer:
        case Conv2D():
            yield Operator("conv", values, prod(layer.window) * before[-1] * layer.filters, layer.filters)
        case DepthwiseConv2D():
            yield Operator("depthwise", values, prod(layer.window) * after[-1], after[-1])
        case Dense():
            yield Operator("dense", values, before[-1] * layer.units, layer.units)
        case MaxPooling2D():
            yield Operator("max_pool", values)
        case AveragePooling2D():
            yield Operator("average_pool", values)
        case GlobalAveragePooling2D():
            yield Operator("mean", values, scratch=4 * values)
        case GlobalMaxPooling2D():
            yield Operator("maximum", values, scratch=4 * values)
        case Flatten():
            yield Operator("reshape", values)
        case _:  # BatchNormalization
            yield Operator("multiply", values, weights=after[-1])
            yield Operator("add", values, weights=after[-1])


def _folds(layers: Sequence[Layer], place: int, tapped: Container[int]) -> bool:
    """Whether the layer at `place` is a BatchNormalization that is folded; additions take the outputs of `tapped`."""
    if type(layers[place]) is not BatchNormalization:
        return False
    for before in range(place - 1, -1, -1):
        layer = layers[before]
        if before in tapped:
            break
        if isinstance(layer, (Conv2D, DepthwiseConv2D, Dense)):
            if layer.activation in _LINEAR:
                return True
            break
        if type(layer) not in (AveragePooling2D, Dropout, GlobalAveragePooling2D):
            break
    for behind in range(place + 1, len(layers)):
        layer = layers[behind]
        if behind - 1 in tapped:
            return False
        if isinstance(layer, (Conv2D, DepthwiseConv2D)):
            return layer.padding == "valid" or layer.window == (1, 1)
        if type(layer) is Dense:
            return True
        if type(layer) not in _PASSED:
            return False
    return False


def planned(buffers: Sequence[tuple[int, int, int]]) -> list[int]:
    """Where tflite-micro's greedy planner places buffers of (bytes, first use, last use): an offset for each.

    It places the largest first, each at the lowest place that is free during its use; of equal ones the last first.
    """
    offsets = [0] * len(buffers)
    placed: list[tuple[int, int, int, int]] = []
    for place in sorted(range(len(buffers)), key=lambda place: (-buffers[place][0], -place)):
        size, first, last = buffers[place]
        for start, end, begins, ends in sorted(placed):
            if begins <= last and first <= ends:
                if start - offsets[place] >= size:
                    break
                offsets[place] = max(offsets[place], end)
        placed.append((offsets[place], offsets[place] + size, first, last))
    return offsets
