"""The closed form against Keras: shapes, parameters, work, memory and receptive fields of arbitrary layers."""

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from architectures import (
    BUILDS,
    DENSES,
    FEASIBLE,
    FLATTENINGS,
    INFEASIBLE,
    INPUT_SHAPES,
    PADDINGS,
    SAME_SHAPES,
    SMALL_INPUT_SHAPES,
    WINDOWS,
    is_feasible,
)
from hypothesis import assume, given, settings
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
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    MaxPooling2D,
    Shape,
    Window,
)
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.cost import Cost, LayerCost, cost, count_params
from kerastuna.spaces.errors import InfeasibleArchitecture
from kerastuna.spaces.references import REFERENCES
from kerastuna.spaces.space import build_model


def keras_layer(layer: Layer) -> keras.layers.Layer:
    """Independent of `build_model`, which is under test."""
    arguments = {"activation": layer.function} if isinstance(layer, Activation) else vars(layer)
    if isinstance(layer, Add):
        return keras.layers.Add()
    return getattr(keras.layers, type(layer).__name__)(**arguments)


def arrays(shapes: list[Any]) -> int:
    return sum(prod(variable.shape) for variable in shapes)


@pytest.fixture(scope="module", autouse=True)
def _clear_session() -> Iterator[None]:
    yield
    keras.backend.clear_session()


@settings(max_examples=1000, deadline=None)
@given(layer=WINDOWS | DENSES | SAME_SHAPES | FLATTENINGS, shape=INPUT_SHAPES)
def test_a_layer_has_the_output_shape_that_keras_gives_it(layer: Layer, shape: Shape) -> None:
    if isinstance(layer, Dense):
        shape = shape[:1]

    try:
        expected = keras_layer(layer).compute_output_shape((None, *shape))[1:]
    except ValueError:
        expected = None
    if expected is None or (expected and min(expected) < 1):
        with pytest.raises(InfeasibleArchitecture):
            layer.output_shape(shape)
    else:
        assert layer.output_shape(shape) == expected


@BUILDS
@given(architecture=FEASIBLE)
def test_the_closed_form_equals_what_keras_counts(architecture: Architecture) -> None:
    expected = cost(architecture)

    model = build_model(architecture)

    assert model.input_shape == (None, *architecture.input_shape)
    assert model.count_params() == expected.params == count_params(architecture)
    assert arrays(model.trainable_weights) == expected.trainable
    assert arrays(model.non_trainable_weights) == expected.non_trainable
    assert [
        (
            layer.name,
            type(layer).__name__,
            layer.output.shape[1:],
            layer.count_params(),
            arrays(layer.trainable_weights),
        )
        for layer in layers_of(model)
    ] == [(layer.name, layer.kind, layer.output_shape, layer.params, layer.trainable) for layer in expected.layers]
    assert [layer.name for layer in layers_of(model)] == list(architecture.names)
    assert [layer.output.shape[1:] for layer in layers_of(model)] == list(architecture.shapes)
    assert [layer.activation_bytes for layer in expected.layers] == bytes_held(model)
    assert expected.peak_activation_bytes == max(bytes_held(model))


def layers_of(model: keras.Model) -> list[Any]:
    """Those of the description: a functional model also lists its input."""
    return [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def bytes_held(model: keras.Model) -> list[int]:
    """While each layer runs: its input, its output, and what was made before and is read after it, as float32."""
    read = [keras.tree.flatten(layer.input) for layer in layers_of(model)]
    made: list[Any] = [model.inputs[0], *(layer.output for layer in layers_of(model))]
    held: list[int] = []
    for place in range(len(read)):
        later = {id(tensor) for tensors in read[place:] for tensor in tensors} | {id(made[place + 1])}
        held.append(sum(4 * prod(tensor.shape[1:]) for tensor in made[: place + 2] if id(tensor) in later))
    return held


@BUILDS
@given(architecture=FEASIBLE)
def test_the_model_has_the_layers_as_they_are_described(architecture: Architecture) -> None:
    model = build_model(architecture, name="described")

    assert model.name == "described"
    for built, described in zip(layers_of(model), architecture.layers, strict=True):
        expected = keras_layer(described).get_config() | {"name": built.name, "dtype": built.get_config()["dtype"]}
        assert built.get_config() == expected
        if isinstance(described, Window):
            assert built.get_config()["strides"] == (described.step[0],) * 2


@BUILDS
@given(architecture=INFEASIBLE)
def test_what_is_infeasible_is_refused_by_keras_too(architecture: Architecture) -> None:
    with pytest.raises(InfeasibleArchitecture):
        count_params(architecture)
    with pytest.raises(InfeasibleArchitecture):
        build_model(architecture)
    with pytest.raises(ValueError, match=r"negative|dimension|zero|shape"):
        keras.Sequential([keras.Input(architecture.input_shape), *map(keras_layer, architecture.layers)])


def test_sums_are_over_the_layers() -> None:
    layers = tuple(LayerCost(f"layer_{i}", "Conv2D", (1,), 10 * i, i, 100 * i, 7 - i, 3) for i in (1, 2, 3))

    assert [layer.params for layer in layers] == [11, 22, 33]
    total = Cost(layers)
    assert (total.params, total.trainable, total.non_trainable, total.macs) == (66, 60, 6, 600)
    assert total.peak_activation_bytes == 6


def multiplications(layer: Layer, shape: Shape) -> int:
    """Counted one by one, as the layer's definition multiplies; padded zeros are multiplied as well."""
    if isinstance(layer, Dense):
        return sum(1 for _ in product(range(shape[0]), range(layer.units)))
    if not isinstance(layer, Conv2D | DepthwiseConv2D):
        return 0
    height, width, channels = shape
    window_height, window_width = layer.window
    reach = (0, 0) if layer.padding == "same" else (window_height - 1, window_width - 1)
    rows = range(0, height - reach[0], layer.strides)
    columns = range(0, width - reach[1], layer.strides)
    filters = layer.filters if isinstance(layer, Conv2D) else channels * layer.depth_multiplier
    seen_channels = range(channels if isinstance(layer, Conv2D) else 1)
    return sum(
        1 for _ in product(rows, columns, range(filters), range(window_height), range(window_width), seen_channels)
    )


@settings(max_examples=1000, deadline=None)
@given(
    layer=WINDOWS | DENSES | SAME_SHAPES | FLATTENINGS,
    shape=SMALL_INPUT_SHAPES,
)
def test_macs_are_the_multiplications_of_the_definition(layer: Layer, shape: tuple[int, int, int]) -> None:
    layers = (Flatten(), layer) if isinstance(layer, Dense) else (layer,)
    architecture = Architecture(shape, layers)
    assume(is_feasible(architecture))

    assert cost(architecture).macs == multiplications(layer, (prod(shape),) if isinstance(layer, Dense) else shape)


def cost_of(name: str) -> Cost:
    hp = keras_tuner.HyperParameters()
    ConvNet().declare_hyperparameters(hp)
    hp.values = dict(REFERENCES[name].values)
    return ConvNet().cost(hp)


def test_macs_of_eip_3() -> None:
    # output pixels * output channels * window * input channels, by hand
    by_hand = [
        26 * 26 * 16 * 9 * 1,
        24 * 24 * 32 * 9 * 16,
        24 * 24 * 16 * 1 * 32,
        10 * 10 * 16 * 9 * 16,
        8 * 8 * 32 * 9 * 16,
        4 * 4 * 10 * 1 * 32,
        1 * 1 * 10 * 16 * 10,
    ]

    assert [layer.macs for layer in cost_of("eip_3").layers if layer.kind == "Conv2D"] == by_hand
    assert cost_of("eip_3").macs == sum(by_hand) == 3_578_496


def test_peak_activation_of_eip_3() -> None:
    # the second BatchNormalization reads and writes 24x24x32 values of four bytes
    assert cost_of("eip_3").peak_activation_bytes == 2 * 24 * 24 * 32 * 4


def test_macs_of_a_dense_and_a_depthwise_layer_by_hand() -> None:
    layers = (DepthwiseConv2D(3, strides=2, depth_multiplier=2), Flatten(), Dense(7, use_bias=False))

    counted = cost(Architecture((9, 7, 3), layers))

    assert [layer.output_shape for layer in counted.layers] == [(4, 3, 6), (72,), (7,)]
    assert [layer.macs for layer in counted.layers] == [4 * 3 * 6 * 9, 0, 72 * 7]
    assert [layer.params for layer in counted.layers] == [(9 + 1) * 6, 0, 72 * 7]
    assert [layer.activation_bytes for layer in counted.layers] == [4 * (189 + 72), 4 * (72 + 72), 4 * (72 + 7)]


def test_the_peak_holds_what_an_addition_still_needs() -> None:
    block = (Conv2D(6, 1), Conv2D(2, 1), Add(2))  # 2 channels in and out, 6 between: 8 values a pixel, and the 2 kept

    counted = cost(Architecture((5, 5, 2), (*block, Conv2D(4, 1))))

    assert [layer.activation_bytes for layer in counted.layers] == [4 * 25 * n for n in (2 + 6, 6 + 2 + 2, 6, 2 + 4)]
    assert counted.peak_activation_bytes == 4 * 25 * 10
    assert (counted.params, counted.macs) == (18 + 14 + 12, 25 * (12 + 12 + 8))


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ((Conv2D(2), MaxPooling2D(), Conv2D(2), GlobalAveragePooling2D(), Dense(3)), 8),
        ((Conv2D(2, 10), Flatten()), 10),
        ((Flatten(), Dense(3)), 12),
    ],
)
def test_the_receptive_field_of_a_network_is_that_of_its_last_map(layers: tuple[Layer, ...], field: int) -> None:
    assert cost(Architecture((12, 10, 1), layers)).receptive_field == field


def test_receptive_fields_of_eip_3() -> None:
    fields = [(layer.kind, layer.receptive_field) for layer in cost_of("eip_3").layers]

    assert fields == [
        ("Conv2D", 3),
        ("BatchNormalization", 3),
        ("Dropout", 3),
        ("Conv2D", 5),
        ("BatchNormalization", 5),
        ("Dropout", 5),
        ("Conv2D", 5),
        ("MaxPooling2D", 6),
        ("Conv2D", 10),
        ("BatchNormalization", 10),
        ("Dropout", 10),
        ("Conv2D", 14),
        ("BatchNormalization", 14),
        ("Dropout", 14),
        ("MaxPooling2D", 16),
        ("Conv2D", 16),
        ("Conv2D", 28),
        ("BatchNormalization", 28),
        ("Dropout", 28),
        ("Flatten", 28),
        ("Activation", 28),
    ]


def seen_sides(architecture: Architecture) -> list[int]:
    """By experiment: for each layer, the longer side of the box of input pixels that move one of its outputs.

    One image per input pixel, black but for that pixel, through the Keras layers with every kernel set to ones and
    every bias to zero: nothing can cancel, so an output is above zero where it sees the pixel, and only there.
    """
    height, width, channels = architecture.input_shape
    values: Any = np.eye(height * width, dtype=np.float32).reshape(-1, height, width, 1).repeat(channels, axis=-1)
    sides: list[int] = []
    for layer in build_model(architecture).layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
            layer.set_weights([np.full(weight.shape, weight.ndim > 1) for weight in layer.get_weights()])
        values = layer(values, training=False)
        seen = np.asarray(values).reshape(height, width, -1) > 0  # by input row, input column, output value
        sides.append(max(longest(seen.any(axis=1)), longest(seen.any(axis=0))))
    return sides


def longest(seen: Any) -> int:
    """The largest extent along the first axis, from the first True to the last, of any column."""
    seen = seen[:, seen.any(axis=0)]
    return int((len(seen) - seen[::-1].argmax(axis=0) - seen.argmax(axis=0)).max())


@pytest.mark.parametrize("name", ["eip_3", "eip_5"])
def test_the_receptive_fields_of_references_are_what_their_outputs_see(name: str) -> None:
    hp = keras_tuner.HyperParameters()
    ConvNet().declare_hyperparameters(hp)
    hp.values = dict(REFERENCES[name].values)
    architecture = ConvNet().architecture(hp)
    before_softmax = Architecture(architecture.input_shape, architecture.layers[:-1])

    assert seen_sides(before_softmax) == [layer.receptive_field for layer in cost(before_softmax).layers]


SMALL_SIDES = st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3))
SEEING = st.one_of(
    st.builds(Conv2D, st.integers(1, 2), SMALL_SIDES, st.integers(1, 2), PADDINGS, st.sampled_from([None, "relu"])),
    st.builds(DepthwiseConv2D, SMALL_SIDES, st.integers(1, 2), PADDINGS, st.just(1)),
    st.builds(MaxPooling2D, SMALL_SIDES, st.integers(1, 2), PADDINGS),
    st.builds(AveragePooling2D, st.integers(1, 3), st.none(), PADDINGS),
    st.builds(BatchNormalization),
)


@BUILDS
@given(layers=st.lists(SEEING, min_size=1, max_size=5), side=st.integers(24, 28), channels=st.integers(1, 2))
def test_the_receptive_field_is_what_one_output_sees(layers: list[Layer], side: int, channels: int) -> None:
    architecture = Architecture((side, side - 1, channels), tuple(layers))
    assume(is_feasible(architecture))
    fields = [layer.receptive_field for layer in cost(architecture).layers]

    padded, pixels_per_step = False, 1
    for layer, seen, field in zip(layers, seen_sides(architecture), fields, strict=True):
        if isinstance(layer, Window):
            padded = padded or layer.step[1] == "same"
            pixels_per_step *= layer.step[0]
        assert seen <= field
        # What an output beside the border would see there is cut off; where steps are small, others lie further in.
        if not padded or field + 2 * pixels_per_step < side:
            assert seen == field


@pytest.mark.parametrize(
    "layers",
    [
        (Flatten(),),
        (GlobalAveragePooling2D(),),
        (GlobalMaxPooling2D(), Dense(3)),
        (Conv2D(2), GlobalAveragePooling2D()),
        (Conv2D(2, padding="same"), MaxPooling2D(), Flatten(), Dense(3)),
        (Conv2D(1, (1, 8)), Flatten()),
    ],
)
def test_after_flattening_an_output_may_see_the_whole_input(layers: tuple[Layer, ...]) -> None:
    counted = cost(Architecture((8, 10, 1), layers)).layers

    flat = [layer.receptive_field for layer in counted if len(layer.output_shape) == 1]
    assert flat == [10] * len(flat)
    assert flat != []


def test_a_receptive_field_ends_at_the_border_of_the_input() -> None:
    layers = (Conv2D(2, 5, padding="same"), Conv2D(2, 5, padding="same"))

    assert [layer.receptive_field for layer in cost(Architecture((7, 6, 1), layers)).layers] == [5, 7]
