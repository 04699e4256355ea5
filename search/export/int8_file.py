"""Reads an int8 LiteRT file as the operators of a C program, with their weights and whole-number constants."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, final

import numpy as np


class UnknownOperator(ValueError):
    """The file has an operator that the C program does not have."""


@final
@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the file.

    Attributes:
        shape: without the batch.
        scale, zero: of int8 values, of the first channel.
        scales: of all channels.
        data: of a constant; None for values that are computed.
    """

    shape: tuple[int, ...]
    scale: float
    zero: int
    scales: np.ndarray
    data: np.ndarray | None


@final
@dataclass(frozen=True, eq=False)
class Step:
    """A call of a function of `c_kernels.CODE`.

    Attributes:
        function: its name.
        source, result: the numbers of its input and its output.
        other: the number of a second input, if it has one that is computed.
        arguments: of the call, behind those two: text, or an array that becomes a constant.
    """

    function: str
    source: int
    result: int
    arguments: Sequence[str | np.ndarray]
    other: int | None = None


@final
@dataclass(frozen=True, eq=False)
class Int8Network:
    """An int8 network: its values by number, its steps in order, its input and its answer."""

    values: Mapping[int, Value]
    steps: Sequence[Step]
    source: int
    answer: int


def read_int8(data: bytes) -> Int8Network:
    """The network in an int8 LiteRT file of one sample.

    Raises UnknownOperator for what the C program does not have.
    """
    from ai_edge_litert import schema_py_generated as schema

    file, names = _open(data)
    graph = file.subgraphs[0]
    values = {number: _value(tensor, file.buffers, schema) for number, tensor in enumerate(graph.tensors)}
    steps: list[Step] = []
    same: dict[int, int] = {}  # values of another shape in the same place
    for operator in graph.operators:
        name = names[operator.opcodeIndex]
        inputs, output = [int(number) for number in operator.inputs], int(operator.outputs[0])
        if name in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
            same[output] = same.get(inputs[0], inputs[0])
            before, after = values[inputs[0]], values[output]
            if prod(after.shape) != prod(before.shape):  # it has no batch
                values[output] = replace(after, shape=before.shape)
            continue
        if name not in _READERS:
            raise UnknownOperator(f"the operator {name} is not in the C program")
        step = _READERS[name](operator.builtinOptions, values, inputs, output)
        other = None if step.other is None else same.get(step.other, step.other)
        steps.append(replace(step, source=same.get(step.source, step.source), other=other))
    (source,), (answer,) = graph.inputs, graph.outputs
    return Int8Network(values, steps, int(source), same.get(answer, int(answer)))


def operator_names(data: bytes) -> list[str]:
    """The operators of a LiteRT file, such as "CONV_2D", each once and sorted."""
    return sorted(set(_open(data)[1]))


def _open(data: bytes) -> tuple[Any, list[str]]:
    """A LiteRT file, and the names of its operator codes in their order."""
    from ai_edge_litert import schema_py_generated as schema

    file: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    # Files of before 2020 have the code in a smaller field, newer ones in both while it fits.
    return file, [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in file.operatorCodes]


def _value(tensor: Any, buffers: Any, schema: Any) -> Value:
    types = {schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}
    raw, quantization = buffers[tensor.buffer].data, tensor.quantization
    shape = tuple(int(side) for side in tensor.shape)
    data = None
    if raw is not None and len(raw):
        if tensor.type not in types:
            raise UnknownOperator(f"a constant of type {tensor.type} is not in the C program")
        data = np.frombuffer(bytes(raw), types[tensor.type]).reshape(shape)
    scales = np.zeros(1) if quantization is None or quantization.scale is None else quantization.scale
    zeros = [0] if quantization is None or quantization.zeroPoint is None else quantization.zeroPoint
    return Value(shape[1:], float(scales[0]), int(zeros[0]), np.asarray(scales, np.float64), data)


def multiplier_of(real: float) -> tuple[int, int]:
    """A real factor as (multiplier, shift): real = multiplier * 2^(shift - 31)."""
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def _multipliers(reals: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    pairs = [multiplier_of(float(real)) for real in reals]
    return np.array([pair[0] for pair in pairs], np.int32), np.array([pair[1] for pair in pairs], np.int8)


def _map(shape: Sequence[int]) -> str:
    """A map_size; vectors are maps of one pixel."""
    sides = (1,) * (3 - len(shape)) + tuple(shape)
    return "{{{}, {}, {}}}".format(*sides)


def _range(source: Value, result: Value, activation: int = 0) -> str:
    """A range_of; the activations are TensorFlow Lite's numbers: none, ReLU, -1 to 1, ReLU6."""
    low, high = -128, 127
    ends = {0: None, 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
    if activation not in ends:
        raise UnknownOperator(f"the fused activation {activation} is not in the C program")
    if (limits := ends[activation]) is not None:
        as_int8 = [None if end is None else result.zero + _nearest(end / result.scale) for end in limits]
        low = low if as_int8[0] is None else max(low, as_int8[0])
        high = high if as_int8[1] is None else min(high, as_int8[1])
    return f"{{{source.zero}, {result.zero}, {low}, {high}}}"


def _nearest(real: float) -> int:
    """Rounded as C rounds: halves away from 0."""
    return int(math.copysign(math.floor(abs(real) + 0.5), real))


def _window(options: Any, source: Value, result: Value, sides: Sequence[int]) -> str:
    """A window_size; with SAME padding the upper and left edge get the smaller half."""
    strides = (options.strideH, options.strideW)
    if getattr(options, "dilationHFactor", 1) != 1 or getattr(options, "dilationWFactor", 1) != 1:
        raise UnknownOperator("dilation is not in the C program")
    pads = [0, 0]
    if options.padding == 0:
        pads = [
            max(0, (result.shape[axis] - 1) * strides[axis] + sides[axis] - source.shape[axis]) // 2 for axis in (0, 1)
        ]
    return f"{{{sides[0]}, {sides[1]}, {strides[0]}, {strides[1]}, {pads[0]}, {pads[1]}}}"


def _constant(values: Mapping[int, Value], number: int) -> np.ndarray:
    data = values[number].data
    if data is None:
        raise UnknownOperator("weights that are computed are not in the C program")
    return data


def _convolution(function: str) -> Callable[..., Step]:
    def read(options: Any, values: Mapping[int, Value], inputs: Sequence[int], output: int) -> Step:
        source, result, kernel = values[inputs[0]], values[output], values[inputs[1]]
        weights = _constant(values, inputs[1])
        dense = not hasattr(options, "strideH")
        if function == "conv" and not dense and weights.shape[-1] != source.shape[-1]:
            raise UnknownOperator("a convolution of several groups is not in the C program")
        channels = result.shape[-1]
        bias = _constant(values, inputs[2]) if len(inputs) > 2 and inputs[2] >= 0 else np.zeros(channels, np.int32)
        scales = np.broadcast_to(source.scale * kernel.scales / result.scale, channels)
        sides = (1, 1) if dense else weights.shape[1:3]
        window = "{1, 1, 1, 1, 0, 0}" if dense else _window(options, source, result, sides)
        shape = (prod(source.shape) // weights.shape[-1], weights.shape[-1]) if dense else source.shape
        to = (shape[0], channels) if dense else result.shape
        given = _range(source, result, options.fusedActivationFunction)
        return Step(
            function,
            inputs[0],
            output,
            [_map(shape), _map(to), window, given, weights, bias, *_multipliers(list(scales))],
        )

    return read


def _pool(function: str) -> Callable[..., Step]:
    def read(options: Any, values: Mapping[int, Value], inputs: Sequence[int], output: int) -> Step:
        source, result = values[inputs[0]], values[output]
        window = _window(options, source, result, (options.filterHeight, options.filterWidth))
        given = _range(source, result, options.fusedActivationFunction)
        return Step(function, inputs[0], output, [_map(source.shape), _map(result.shape), window, given])

    return read


def _over_map(values: Mapping[int, Value], inputs: Sequence[int]) -> Value:
    """The input of a reduction over all but the batch and the channels, as a map."""
    source = values[inputs[0]]
    *sides, channels = source.shape
    axes = sorted(_constant(values, inputs[1]).reshape(-1) % (len(source.shape) + 1))
    if not 1 <= len(sides) <= 2 or axes != list(range(1, len(source.shape))):
        raise UnknownOperator("a reduction over other axes than height and width is not in the C program")
    return replace(source, shape=(*sides, *(1,) * (2 - len(sides)), channels))


def _mean(options: Any, values: Mapping[int, Value], inputs: Sequence[int], output: int) -> Step:
    source, result = _over_map(values, inputs), values[output]
    count = source.shape[0] * source.shape[1]
    multiplier, shift = multiplier_of(source.scale / result.scale)
    more = min(count.bit_length() - 1, 32, 31 + shift)
    arguments = [_map(source.shape), _range(source, result), str((multiplier << more) // count), str(shift - more)]
    return Step("mean", inputs[0], output, arguments)


def _maximum(options: Any, values: Mapping[int, Value], inputs: Sequence[int], output: int) -> Step:
    return Step("maximum", inputs[0], output, [_map(_over_map(values, inputs).shape)])


def _softmax(options: Any, values: Mapping[int, Value], inputs: Sequence[int], output: int) -> Step:
    shape = values[inputs[0]].shape
    real = min(options.beta * values[inputs[0]].scale * (1 << 26), (1 << 31) - 1.0)
    multiplier, shift = multiplier_of(real)
    least = -math.floor(31 * (1 << 26) / (1 << shift))
    arguments = [str(prod(shape[:-1])), str(shape[-1]), str(multiplier), str(shift), f"({least})"]
    return Step("softmax", inputs[0], output, arguments)


def _table(function: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Step]:
    def read(options: Any, values: Mapping[int, Value], inputs: Sequence[int], output: int) -> Step:
        source, result = values[inputs[0]], values[output]
        real = function((np.arange(-128, 128) - source.zero) * source.scale) / result.scale
        rounded = np.copysign(np.floor(np.abs(real) + 0.5), real) + result.zero
        table = np.clip(rounded, -128, 127).astype(np.int8)
        return Step("look_up", inputs[0], output, [str(prod(source.shape)), table])

    return read


def _both(function: str) -> Callable[..., Step]:
    def read(options: Any, values: Mapping[int, Value], inputs: Sequence[int], output: int) -> Step:
        first, second = sorted(inputs, key=lambda number: values[number].data is not None)
        source, other, result = values[first], values[second], values[output]
        data = None if other.data is None else other.data.reshape(-1)
        size = prod(other.shape) if data is None else len(data)
        if size not in (1, source.shape[-1], prod(source.shape)) or prod(source.shape) != prod(result.shape):
            raise UnknownOperator(f"the operator {function} of other shapes is not in the C program")
        given = _range(source, result, options.fusedActivationFunction)
        computed: list[str | np.ndarray] = [str(size), str(other.zero), given]
        if function == "multiply":
            computed += map(str, multiplier_of(source.scale * other.scale / result.scale))
        else:
            twice = 2 * max(source.scale, other.scale)
            reals = [source.scale / twice, other.scale / twice, twice / ((1 << 20) * result.scale)]
            computed += _multipliers(reals)
        head: list[str | np.ndarray] = [str(prod(source.shape)), "other" if data is None else data]
        return Step(function, first, output, [*head, *computed], second if data is None else None)

    return read


_READERS: Mapping[str, Callable[..., Step]] = {
    "ADD": _both("add"),
    "AVERAGE_POOL_2D": _pool("average_pool"),
    "CONV_2D": _convolution("conv"),
    "DEPTHWISE_CONV_2D": _convolution("depthwise"),
    "FULLY_CONNECTED": _convolution("conv"),
    "LOGISTIC": _table(lambda x: 1 / (1 + np.exp(-x))),
    "MAX_POOL_2D": _pool("max_pool"),
    "MEAN": _mean,
    "MUL": _both("multiply"),
    "REDUCE_MAX": _maximum,
    "RELU": _table(lambda x: np.maximum(x, 0)),
    "SOFTMAX": _softmax,
    "TANH": _table(np.tanh),
}
"""Reads an operator of each kind; dense layers are convolutions of single pixels."""
