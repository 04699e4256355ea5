"""Hypothesis strategies for arbitrary layers and networks of `kerastuna.spaces.architecture`."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from kerastuna.spaces.architecture import (
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
)
from kerastuna.spaces.cost import cost
from kerastuna.spaces.errors import InfeasibleArchitecture

BUILDS = settings(max_examples=60, deadline=None)  # each builds a Keras model

SIDES = st.integers(1, 4) | st.tuples(st.integers(1, 4), st.integers(1, 4))
STRIDES = st.integers(1, 3)
PADDINGS = st.sampled_from(["valid", "same"])
ACTIVATIONS = st.sampled_from([None, "relu", "tanh"])


def poolings(kind: type[MaxPooling2D] | type[AveragePooling2D]) -> st.SearchStrategy[Layer]:
    square = st.builds(kind, st.integers(1, 4), st.none() | STRIDES, PADDINGS)
    return square | st.builds(kind, SIDES, STRIDES, PADDINGS)


WINDOWS = st.one_of(
    st.builds(Conv2D, st.integers(1, 6), SIDES, STRIDES, PADDINGS, ACTIVATIONS, st.booleans()),
    st.builds(DepthwiseConv2D, SIDES, STRIDES, PADDINGS, st.integers(1, 3), ACTIVATIONS, st.booleans()),
    poolings(MaxPooling2D),
    poolings(AveragePooling2D),
)
DENSES = st.builds(Dense, st.integers(1, 6), ACTIVATIONS, st.booleans())
SAME_SHAPES = st.one_of(
    st.builds(BatchNormalization, st.sampled_from([0.9, 0.99])),
    st.builds(Dropout, st.sampled_from([0.0, 0.1, 0.5])),
    st.builds(Activation, st.sampled_from(["relu", "softmax"])),
)
FLATTENINGS = st.sampled_from([Flatten(), GlobalAveragePooling2D(), GlobalMaxPooling2D()])
INPUT_SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4))
SMALL_INPUT_SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3))


@st.composite
def architectures(draw: st.DrawFn, input_shapes: st.SearchStrategy[Any], tails: st.SearchStrategy[Any]) -> Architecture:
    """Layers on maps, sometimes followed by layers on vectors; windows may be larger than their maps.

    An addition may stand wherever an earlier output has the same shape.
    """
    body = draw(st.lists(WINDOWS | SAME_SHAPES, min_size=1, max_size=6))
    tail = draw(st.lists(tails, max_size=3))
    flattening = [draw(FLATTENINGS)] if tail or draw(st.booleans()) else []
    shape = draw(input_shapes)
    layers: list[Layer] = []
    for layer in (*body, *flattening, *tail):
        layers.append(layer)
        if sources := _addable(shape, layers):
            layers += [Add(over) for over in draw(st.lists(st.sampled_from(sources), max_size=1))]
    return Architecture(shape, tuple(layers))


def _addable(shape: Any, layers: list[Layer]) -> list[int]:
    """The numbers of layers that an addition after `layers` may pass over; none where these do not fit the input."""
    try:
        outputs = [shape, *Architecture(shape, tuple(layers)).shapes]
    except InfeasibleArchitecture:
        return []
    return [over for over in range(1, len(outputs)) if outputs[-1 - over] == outputs[-1]]


def is_feasible(architecture: Architecture) -> bool:
    try:
        cost(architecture)
    except InfeasibleArchitecture:
        return False
    return True


FEASIBLE = architectures(INPUT_SHAPES, DENSES | SAME_SHAPES | st.just(Flatten())).filter(is_feasible)
INFEASIBLE = architectures(SMALL_INPUT_SHAPES, DENSES | WINDOWS | FLATTENINGS).filter(
    lambda drawn: not is_feasible(drawn)
)
