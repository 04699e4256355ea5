"""The exact cost of a Keras model that was built: for spaces without a closed form."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any, final

import keras

from ...spaces.cost import BYTES_PER_ACTIVATION
from ..compat.keras import graph_of, run_through_graph
from ..errors import SpaceError
from ..study.budget import COSTS, Size

Shape = tuple[int | None, ...]
COUNTED_OF_A_MODEL = ("params", "macs", "activations")
"""The costs that a model tells. Those on a chip are told by its description alone."""
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
WITHOUT_KERNEL = (
    keras.layers.BatchNormalization,
    keras.layers.Embedding,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.PReLU,
    keras.layers.RMSNormalization,
)
WRAPPERS = (keras.layers.TimeDistributed, keras.layers.SpectralNormalization)


def check_countable(costs: Collection[str]) -> None:
    """Raises SpaceError where `costs` has one of the chip, which the networks of a `SearchSpace` alone tell."""
    if unknown := [name for name in COSTS if name in costs and name not in COUNTED_OF_A_MODEL]:
        raise SpaceError(
            f"the {' and '.join(unknown)} of a network on a chip cannot be told before its training: describe it as "
            "a SearchSpace of kerastuna.spaces, or limit params, macs and activations"
        )


def model_size(model: keras.Model, *, limits: Collection[str]) -> Size:
    """The size of `model`, as `kerastuna.spaces.cost` counts it: all its parameters, and what else is in `limits`.

    `macs` are the multiply-accumulates of one sample: those of convolutions (of every rank, grouped, transposed,
    depthwise, separable) and of dense layers (`Dense`, at every position, and `EinsumDense`), at every call of a layer,
    also in nested models and within `TimeDistributed` and `SpectralNormalization`. A transposed convolution multiplies
    every input value by its kernel. Everything without a kernel is 0: layers and operations that have no weights,
    normalisations and `PReLU`, which scale each value, and `Embedding`, which looks up.

    `activations` is what is held while the layer or operation runs that needs most, in bytes: its inputs, its outputs,
    and what was there before it and is still needed after it; float32, one sample.

    Args:
        model: built. `Sequential` or functional for `macs` and `activations`: another one has no graph of layers.
        limits: names of `Budget`'s limits. Only these are counted; a model that cannot be counted for the others is
            not refused.

    Raises SpaceError for `ram` and `flash`, which are only known of a `SearchSpace`; for `macs` when a layer has
    weights of another kind (LSTM, MultiHeadAttention, the user's own); and for `macs` and `activations` when the model
    has no graph or a shape is not known beyond the batch.
    """
    check_countable(limits)
    wanted = [name for name in ("macs", "activations") if name in limits]
    calls = _calls(model, wanted) if wanted else []
    return Size(
        model.count_params(),
        sum(map(_macs, calls)) if "macs" in wanted else None,
        activations=max(_activation_bytes(calls), default=0) if "activations" in wanted else None,
    )


@final
@dataclass(frozen=True)
class _Call:
    """One call of a layer or an operation: its tensors, and how many steps of time it is made for.

    `inside` are the calls that a wrapper makes, and `kept` the tensors that are held while it runs besides its own.
    """

    operation: Any
    input_tensors: Mapping[int, Any]
    output_tensors: Mapping[int, Any]
    steps: Shape
    inside: list["_Call"] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)

    @property
    def inputs(self) -> list[Shape]:
        """The shape of every input, without the batch."""
        return _shapes(self.input_tensors.values())

    @property
    def outputs(self) -> list[Shape]:
        """The shape of every output, without the batch."""
        return _shapes(self.output_tensors.values())


def _calls(model: keras.Model, wanted: Sequence[str]) -> list[_Call]:
    graph = graph_of(model)
    if graph is None:
        raise SpaceError(
            f"{model.name} ({type(model).__name__}) is not a graph of layers, so its {' and '.join(wanted)} cannot be "
            "counted: build it as a Sequential or functional model, or limit the parameters alone"
        )
    inputs = [keras.KerasTensor(tensor.shape, tensor.dtype) for tensor in graph.inputs]
    return _calls_of(model, (), inputs)


def _calls_of(operation: Any, steps: Shape, inputs: Any) -> list[_Call]:
    """The calls that a call of `operation` makes, in order, with the tensors that are held during each."""
    calls: list[_Call] = []
    outputs = _follow(calls, steps, operation, inputs)
    _note_kept(calls, _tensors(inputs), _tensors(outputs))
    return calls


def _note_kept(calls: Sequence[_Call], inputs: Mapping[int, Any], outputs: Mapping[int, Any]) -> None:
    """Note with every call the tensors that are there before it, needed after it, and not its own."""
    tensors, made, last_read = dict(inputs), dict.fromkeys(inputs, -1), {}
    for place, call in enumerate(calls):
        for known in call.output_tensors:
            made.setdefault(known, place)
        tensors |= call.output_tensors
        last_read |= dict.fromkeys(call.input_tensors, place)
    last_read |= dict.fromkeys(outputs, len(calls))
    for known, tensor in tensors.items():
        for place in range(made[known] + 1, last_read.get(known, 0)):
            if known not in calls[place].input_tensors:
                calls[place].kept.append(tensor)


def _follow(calls: list[_Call], steps: Shape, operation: Any, *arguments: Any, **given: Any) -> Any:
    """Note the calls that a call of `operation` makes; returns the specifications of its outputs."""
    if (graph := graph_of(operation)) is not None:
        return run_through_graph(graph, arguments[0], lambda inner: partial(_follow, calls, steps, inner))
    outputs = operation.compute_output_spec(*arguments, **given)
    call = _Call(operation, _tensors((arguments, given)), _tensors(outputs), steps)
    calls.append(call)
    if isinstance(operation, keras.layers.TimeDistributed):
        batch, time, *rest = arguments[0].shape
        step = keras.KerasTensor((batch, *rest), arguments[0].dtype)
        call.inside.extend(_calls_of(operation.layer, (*steps, time), step))
    elif isinstance(operation, keras.layers.SpectralNormalization):
        call.inside.extend(_calls_of(operation.layer, steps, arguments[0]))
    return outputs


def _tensors(structure: Any) -> dict[int, Any]:
    """Every tensor in a structure, by its identity: one that is given twice is one."""
    return {id(tensor): tensor for tensor in keras.tree.flatten(structure) if isinstance(tensor, keras.KerasTensor)}


def _shapes(tensors: Iterable[Any]) -> list[Shape]:
    return [tuple(tensor.shape[1:]) for tensor in tensors]


def _activation_bytes(calls: Sequence[_Call], kept: Sequence[Any] = ()) -> Iterator[int]:
    for call in calls:
        held = [*kept, *call.kept]
        shapes = (*call.inputs, *call.outputs, *_shapes(held))
        yield BYTES_PER_ACTIVATION * sum(_values(call, shape) for shape in shapes)
        yield from _activation_bytes(call.inside, held)


def _macs(call: _Call) -> int:
    return _own_macs(call) + sum(map(_macs, call.inside))


def _own_macs(call: _Call) -> int:
    layer = call.operation
    if not getattr(layer, "weights", ()) or _computes_as(layer, WITHOUT_KERNEL + WRAPPERS):
        return 0
    if _computes_as(layer, (*CONVOLUTIONS, keras.layers.Dense)):
        once = _values(call, call.outputs[0]) * prod(layer.kernel.shape[:-1])
    elif _computes_as(layer, TRANSPOSED):
        once = _values(call, call.inputs[0]) * prod(layer.kernel.shape[:-1])
    elif _computes_as(layer, DEPTHWISE):
        once = _values(call, call.outputs[0]) * prod(layer.kernel.shape[:-2])
    elif _computes_as(layer, SEPARABLE):
        positions = _values(call, call.outputs[0]) // layer.filters
        once = positions * (prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape))
    elif _computes_as(layer, (keras.layers.EinsumDense,)):
        left, _, output = layer.equation.partition("->")
        kernel = zip(left.partition(",")[2], layer.kernel.shape, strict=True)
        once = _values(call, call.outputs[0]) * prod(side for label, side in kernel if label not in output)
    else:
        raise SpaceError(
            f"{layer.name} ({type(layer).__name__}) has weights whose MACs are not known: use convolutions and dense "
            "layers, or leave the MACs out of the limits and goals"
        )
    return once * _values(call, call.steps)


def _computes_as(layer: Any, kinds: Sequence[Any]) -> bool:
    """Whether `layer` is of one of the `kinds`, and not of a class that computes something else."""
    return any(isinstance(layer, kind) and type(layer).call is kind.call for kind in kinds)


def _values(call: _Call, shape: Shape) -> int:
    sides = [side for side in shape if side is not None]
    if len(sides) < len(shape):
        raise SpaceError(
            f"{call.operation.name} ({type(call.operation).__name__}) works on the shape {shape}, in which None is not "
            "known: give keras.Input every side, or limit the parameters alone"
        )
    return prod(sides)
