"""Folds BatchNormalization into convolutions and dense layers, and leaves out what only training needs.

A trained BatchNormalization is y = gain * x + offset in each channel. After a layer without an activation, both go into
that layer. After ReLU, relu(x) * |gain| is relu(x * |gain|): the size of the gain goes into the layer before, which
keeps the values as large as training made them, and so int8 exact; its sign and the offset go into the layer behind.
The answers stay the same within the rounding of float32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, final

import keras
import numpy as np

from ..compat.keras import all_layers, graph_of, run_through_graph

_ONLY_TRAINING = (
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_WITH_KERNEL = (*_CONVOLUTIONS, *_DEPTHWISE, *_SEPARABLE, keras.layers.Dense)
_MEANS = (
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
)
_MAXIMA = (
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
)

NAME = "model"
"""Of what is folded: LiteRT files repeat the name of the model for every tensor, and it takes space there."""


@final
@dataclass(frozen=True)
class Folded:
    """A model for inference.

    Attributes:
        model: gives the same answers as the model that it was made of.
        folded: number of BatchNormalizations that are no longer there.
        remaining: number of those that could not be folded.
    """

    model: keras.Model
    folded: int
    remaining: int


@final
@dataclass(eq=False)
class _Step:
    """One call in the graph of a model, and the calls that take what it gives."""

    operation: Any
    sources: Sequence["_Step | None"]  # None: an input of the model
    values: int  # that it gives for one sample
    users: list["_Step"] = field(default_factory=list)
    is_answer: bool = False


def fold(model: keras.Model) -> Folded:
    """`model` without what only training needs, and with each BatchNormalization folded that can be folded exactly.

    It can where one of these is true, and no other layer takes the values in between (dropout does not count):

    - it follows a convolution or dense layer without activation, or an average pooling of one;
    - it is followed by a dense layer or a convolution without padding, possibly with average pooling or Flatten in
      between, or with max pooling if the gain of no channel is negative.

    `model` keeps its weights. One that is not a graph of layers is returned as it is.
    """
    graph = graph_of(model)
    if graph is None:
        return Folded(model, 0, sum(type(layer) is keras.layers.BatchNormalization for layer in all_layers(model)))
    steps = _steps(graph)
    called = [step.operation for step in steps]
    weights: dict[Any, _Weights] = {}
    dropped = {step.operation for step in steps if type(step.operation) in _ONLY_TRAINING}
    normalisations = [step for step in steps if type(step.operation) is keras.layers.BatchNormalization]
    for step in normalisations:
        if called.count(step.operation) == 1 and _fold_one(step, called, weights):
            dropped.add(step.operation)
    remaining = sum(type(layer) is keras.layers.BatchNormalization for layer in all_layers(model))
    folded = sum(step.operation in dropped for step in normalisations)
    if dropped.issuperset(called):
        return Folded(model, 0, remaining)
    return Folded(_rebuilt(graph, dropped, weights), folded, remaining - folded)


def _steps(graph: Any) -> list[_Step]:
    """The calls of the graph in order."""
    steps: list[_Step] = []
    made: dict[int, _Step] = {}
    tensors: list[Any] = []  # an id is only unique as long as its object lives

    def note(operation: Any) -> Callable[..., Any]:
        def call(*arguments: Any, **given: Any) -> Any:
            outputs = operation.compute_output_spec(*arguments, **given)
            inputs = [x for x in keras.tree.flatten((arguments, given)) if isinstance(x, keras.KerasTensor)]
            given_back = keras.tree.flatten(outputs)
            values = sum(prod(side or 1 for side in tensor.shape[1:]) for tensor in given_back)
            step = _Step(operation, [made.get(id(tensor)) for tensor in inputs], values)
            for source in step.sources:
                if source is not None:
                    source.users.append(step)
            tensors.extend(given_back)
            made.update((id(tensor), step) for tensor in given_back)
            steps.append(step)
            return outputs

        return call

    inputs = [keras.KerasTensor(tensor.shape, tensor.dtype) for tensor in graph.inputs]
    outputs = run_through_graph(graph, inputs if len(inputs) > 1 else inputs[0], note)
    for tensor in keras.tree.flatten(outputs):
        if id(tensor) in made:
            made[id(tensor)].is_answer = True
    return steps


@final
class _Weights:
    """The kernels of a layer and its bias, in float64: (..., channels in, channels out) or depthwise."""

    def __init__(self, layer: Any) -> None:
        kinds = type(layer)
        self._depthwise_first = kinds in _DEPTHWISE or kinds in _SEPARABLE
        self._depthwise_last = kinds in _DEPTHWISE
        given = [np.asarray(values, np.float64) for values in layer.get_weights()]
        self.kernels = given[: 2 if kinds in _SEPARABLE else 1]
        last = self.kernels[-1]
        self.channels = prod(last.shape[-2:]) if self._depthwise_last else last.shape[-1]
        self.bias = given[-1] if layer.use_bias else np.zeros(self.channels)

    def follow(self, gain: np.ndarray, offset: np.ndarray) -> None:
        """Let the layer give gain * y + offset in place of y, for its values before the activation."""
        last = self.kernels[-1]
        self.kernels[-1] = last * (gain.reshape(last.shape[-2:]) if self._depthwise_last else gain)
        self.bias = self.bias * gain + offset

    def precede(self, gain: np.ndarray, offset: np.ndarray) -> None:
        """Let the layer take x where it took gain * x + offset, without padding."""
        first = self.kernels[0]
        window = first.sum(axis=tuple(range(first.ndim - 2)))
        constant = (window * offset[:, np.newaxis]).reshape(-1) if self._depthwise_first else offset @ window
        if len(self.kernels) == 2:
            constant = constant @ self.kernels[1].reshape(self.kernels[1].shape[-2:])
        self.bias = self.bias + constant
        self.kernels[0] = first * gain[:, np.newaxis]


def _fold_one(step: _Step, called: Sequence[Any], weights: dict[Any, _Weights]) -> bool:
    """Put the BatchNormalization of `step` into `weights` of its neighbours; whether that is possible."""
    layer = step.operation
    rank = len(layer.input.shape)
    if tuple(np.atleast_1d(layer.axis)) not in ((rank - 1,), (-1,)):
        return False
    gain = 1 / np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    if layer.scale:
        gain = gain * np.asarray(layer.gamma, np.float64)
    offset = -gain * np.asarray(layer.moving_mean, np.float64)
    if layer.center:
        offset = offset + np.asarray(layer.beta, np.float64)

    own, linear = _before(step, called)
    if own is not None and linear:
        weights.setdefault(own, _Weights(own)).follow(gain, offset)
        return True
    found = _behind(step, called, may_be_negative=bool((gain >= 0).all()))
    if found is None:
        return False
    if own is not None:
        size = np.where(gain == 0, 1, np.abs(gain))
        weights.setdefault(own, _Weights(own)).follow(size, np.zeros_like(size))
        gain = gain / size
    following, times = found
    weights.setdefault(following, _Weights(following)).precede(np.tile(gain, times), np.tile(offset, times))
    return True


def _before(step: _Step, called: Sequence[Any]) -> tuple[Any, bool]:
    """The layer whose values alone come to `step`, times a gain above 0 that may be put into it, and whether an offset
    may be, too; (None, False) where there is none.
    """
    linear = True
    while len(step.sources) == 1 and (source := step.sources[0]) is not None:
        if len(source.users) != 1 or source.is_answer:
            break
        step, layer = source, source.operation
        if _has_weights(layer, called):
            activation = layer.activation
            if activation is keras.activations.linear:
                return layer, linear
            return (layer, False) if _keeps_gain(activation) else (None, False)
        if type(layer) in (*_MAXIMA, *_ACTIVATIONS):
            linear = False
            if type(layer) in _ACTIVATIONS and not _keeps_gain(_ACTIVATIONS[type(layer)](layer)):
                break
        elif type(layer) not in (*_ONLY_TRAINING, *_MEANS):
            break
    return None, False


def _behind(step: _Step, called: Sequence[Any], *, may_be_negative: bool) -> tuple[Any, int] | None:
    """The layer that alone takes the values of `step`, and how often each channel comes to it."""
    channels = step.operation.input.shape[-1]
    while len(step.users) == 1 and not step.is_answer and len(step.users[0].sources) == 1:
        values, step = step.values, step.users[0]
        layer = step.operation
        if _has_weights(layer, called):
            if getattr(layer, "padding", "valid") != "valid" and set(layer.kernel_size) != {1}:
                return None
            taken = layer.input.shape[-1]
            return layer, taken // channels
        if type(layer) is keras.layers.Flatten:
            if layer.data_format != "channels_last" or values % channels:
                return None
        elif type(layer) in _MAXIMA:
            if not may_be_negative or not _channels_last(layer):
                return None
        elif type(layer) not in (*_ONLY_TRAINING, *_MEANS) or not _channels_last(layer):
            return None
    return None


def _has_weights(layer: Any, called: Sequence[Any]) -> bool:
    """Whether `layer` is a convolution or a dense layer that is called once, and whose weights are plain."""
    return (
        type(layer) in _WITH_KERNEL
        and called.count(layer) == 1
        and _channels_last(layer)
        and getattr(layer, "groups", 1) == 1
        and len(layer.get_weights()) == (2 if type(layer) in _SEPARABLE else 1) + layer.use_bias
        and getattr(layer, "quantization_mode", None) is None
    )


def _channels_last(layer: Any) -> bool:
    return getattr(layer, "data_format", "channels_last") == "channels_last"


def _keeps_gain(activation: Any) -> bool:
    """Whether activation(gain * x) is gain * activation(x) for every gain above 0."""
    return activation in (keras.activations.linear, keras.activations.relu, keras.activations.leaky_relu)


def _relu(layer: Any) -> Any:
    plain = layer.max_value is None and not layer.threshold
    return keras.activations.relu if plain else None


_ACTIVATIONS: dict[type, Callable[[Any], Any]] = {
    keras.layers.Activation: lambda layer: layer.activation,
    keras.layers.LeakyReLU: lambda _: keras.activations.leaky_relu,
    keras.layers.ReLU: _relu,
}
"""Layers that are an activation, and which one."""


def _rebuilt(graph: Any, dropped: set[Any], weights: dict[Any, _Weights]) -> keras.Model:
    """The model of `graph` without the layers in `dropped`, and with other `weights`."""
    layers: dict[Any, Any] = {}

    def replaced(operation: Any) -> Callable[..., Any]:
        if operation in dropped:
            return lambda x, *_, **__: x
        if operation not in weights:
            return operation
        layers[operation] = type(operation).from_config({**operation.get_config(), "use_bias": True})
        return layers[operation]

    inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name) for tensor in graph.inputs]
    given = inputs if len(inputs) > 1 else inputs[0]
    model = keras.Model(given, run_through_graph(graph, given, replaced), name=NAME)
    for operation, layer in layers.items():
        new = weights[operation]
        layer.set_weights([values.astype(np.float32) for values in (*new.kernels, new.bias)])
    return model
