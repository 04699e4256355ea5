"""The exact cost of a Keras model that was built: for spaces without a closed form."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, final

import keras

from ...spaces.cost import BYTES_PER_ACTIVATION
from ..compat.keras import graph_of, run_through_graph
from ..errors import SpaceError
from ..study.budget import Size

Shape = tuple[int | None, ...]
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


def model_size(model: keras.Model, *, limits: Collection[str]) -> Size:
    """The size of `model`, as `kerastuna.spaces.cost` counts it: all its parameters, and what else is in `limits`.

    `macs` are the multiply-accumulates of one sample: those of convolutions (of every rank, grouped, transposed,
    depthwise, separable) and of dense layers (`Dense`, at every position, and `EinsumDense`), at every call of a layer,
    also in nested models and within `TimeDistributed` and `SpectralNormalization`. A transposed convolution multiplies
    every input value by its kernel. Everything without a kernel is 0: layers and operations that have no weights,
    normalisations and `PReLU`, which scale each value, and `Embedding`, which looks up.

    `activations` is the largest input plus output of a layer, or of an operation, in bytes: float32, one sample,
    several inputs or outputs added up.

    Args:
        model: built. `Sequential` or functional for `macs` and `activations`: another one has no graph of layers.
        limits: names of `Budget`'s limits. Only these are counted; a model that cannot be counted for the others is
            not refused.

    Raises SpaceError for `ram` and `flash`, which are only known of a `SearchSpace`; for `macs` when a layer has
    weights of another kind (LSTM, MultiHeadAttention, the user's own); and for `macs` and `activations` when the model
    has no graph or a shape is not known beyond the batch.
    """
    wanted = [name for name in ("macs", "activations") if name in limits]
    if unknown := [name for name in ("ram", "flash") if name in limits]:
        raise SpaceError(
            f"the {' and '.join(unknown)} of {model.name} on a chip cannot be told before its training: describe it as "
            "a SearchSpace of kerastuna.spaces, or limit params, macs and activations"
        )
    calls = _calls(model, wanted) if wanted else []
    return Size(
        model.count_params(),
        sum(map(_macs, calls)) if "macs" in wanted else None,
        activations=max(map(_activation_bytes, calls), default=0) if "activations" in wanted else None,
    )


@final
@dataclass(frozen=True)
class _Call:
    """One call of a layer or an operation: the shapes, and how many steps of time it is made for."""

    operation: Any
    inputs: Sequence[Shape]
    outputs: Sequence[Shape]
    steps: Shape


def _calls(model: keras.Model, wanted: Sequence[str]) -> list[_Call]:
    calls: list[_Call] = []
    graph = graph_of(model)
    if graph is None:
        raise SpaceError(
            f"{model.name} ({type(model).__name__}) is not a graph of layers, so its {' and '.join(wanted)} cannot be "
            "counted: build it as a Sequential or functional model, or limit the parameters alone"
        )
    _follow(calls, (), model, [keras.KerasTensor(tensor.shape, tensor.dtype) for tensor in graph.inputs])
    return calls


def _follow(calls: list[_Call], steps: Shape, operation: Any, *arguments: Any, **given: Any) -> Any:
    """Note the calls that a call of `operation` makes; returns the specifications of its outputs."""
    if (graph := graph_of(operation)) is not None:
        return run_through_graph(graph, arguments[0], lambda inner: partial(_follow, calls, steps, inner))
    outputs = operation.compute_output_spec(*arguments, **given)
    calls.append(_Call(operation, _shapes((arguments, given)), _shapes(outputs), steps))
    if isinstance(operation, keras.layers.TimeDistributed):
        batch, time, *rest = arguments[0].shape
        _follow(calls, (*steps, time), operation.layer, keras.KerasTensor((batch, *rest), arguments[0].dtype))
    elif isinstance(operation, keras.layers.SpectralNormalization):
        _follow(calls, steps, operation.layer, arguments[0])
    return outputs


def _shapes(tensors: Any) -> list[Shape]:
    """The shape of every tensor, without the batch; one that is given twice is one."""
    found = {id(tensor): tensor for tensor in keras.tree.flatten(tensors) if isinstance(tensor, keras.KerasTensor)}
    return [tuple(tensor.shape[1:]) for tensor in found.values()]


def _activation_bytes(call: _Call) -> int:
    return BYTES_PER_ACTIVATION * sum(_values(call, shape) for shape in (*call.inputs, *call.outputs))


def _macs(call: _Call) -> int:
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
