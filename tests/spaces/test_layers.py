"""Each kind of layer: its output shapes, and the arguments and inputs that it refuses, all without Keras."""

from collections.abc import Callable

import pytest

from kerastuna.spaces.errors import InfeasibleArchitecture, InputError
from kerastuna.spaces.layer_base import Layer, Shape
from kerastuna.spaces.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv2D(8), (28, 28, 1), (26, 26, 8)),
        (Conv2D(8, (1, 5)), (28, 20, 3), (28, 16, 8)),
        (Conv2D(8, 3, padding="same"), (7, 6, 2), (7, 6, 8)),
        (Conv2D(8, 3, strides=2), (8, 7, 2), (3, 3, 8)),
        (Conv2D(8, 3, strides=2, padding="same"), (8, 7, 2), (4, 4, 8)),
        (Conv2D(8, 9, strides=4, padding="same"), (5, 3, 2), (2, 1, 8)),
        (Conv2D(8, 4), (4, 4, 16), (1, 1, 8)),
        (DepthwiseConv2D(3, depth_multiplier=2), (10, 9, 5), (8, 7, 10)),
        (DepthwiseConv2D((2, 3), strides=3), (10, 9, 5), (3, 3, 5)),
        (MaxPooling2D(), (5, 8, 7), (2, 4, 7)),
        (MaxPooling2D(3, strides=2), (9, 8, 7), (4, 3, 7)),
        (AveragePooling2D(padding="same"), (5, 8, 7), (3, 4, 7)),
        (AveragePooling2D((2, 3), strides=2), (6, 9, 7), (3, 4, 7)),
        (GlobalAveragePooling2D(), (5, 8, 7), (7,)),
        (GlobalMaxPooling2D(), (5, 8, 7), (7,)),
        (Flatten(), (5, 8, 7), (280,)),
        (Flatten(), (9,), (9,)),
        (Dense(4), (9,), (4,)),
        (BatchNormalization(), (5, 8, 7), (5, 8, 7)),
        (Dropout(0.5), (9,), (9,)),
        (Activation("relu"), (5, 8, 7), (5, 8, 7)),
        (Add(2), (5, 8, 7), (5, 8, 7)),
    ],
)
def test_output_shape(layer: Layer, shape: Shape, expected: Shape) -> None:
    assert layer.output_shape(shape) == expected


@pytest.mark.parametrize(
    ("layer", "shape", "phrases"),
    [
        (Conv2D(8), (2, 9, 1), ("3x3", "Conv2D", "2x9")),
        (Conv2D(8, (1, 4)), (9, 3, 1), ("1x4", "Conv2D", "9x3")),
        (Conv2D(8, 5, strides=5), (4, 4, 1), ("5x5", "Conv2D", "4x4")),
        (DepthwiseConv2D(4), (3, 3, 2), ("4x4", "DepthwiseConv2D", "3x3")),
        (MaxPooling2D(), (1, 1, 4), ("2x2", "MaxPooling2D", "1x1")),
        (AveragePooling2D(3), (2, 5, 4), ("3x3", "AveragePooling2D", "2x5")),
        (Conv2D(8), (9,), ("Conv2D", "(9,)")),
        (MaxPooling2D(), (9,), ("MaxPooling2D", "(9,)")),
        (GlobalAveragePooling2D(), (9,), ("GlobalAveragePooling2D", "(9,)")),
        (GlobalMaxPooling2D(), (9,), ("GlobalMaxPooling2D", "(9,)")),
        (Dense(8), (4, 4, 2), ("Dense", "(4, 4, 2)", "Flatten")),
    ],
)
def test_layers_that_do_not_fit_are_named_with_the_shape(layer: Layer, shape: Shape, phrases: tuple[str, ...]) -> None:
    with pytest.raises(InfeasibleArchitecture) as caught:
        layer.output_shape(shape)

    assert "\n" not in str(caught.value)
    assert [phrase for phrase in phrases if phrase not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: Conv2D(0), "Conv2D(filters=0)"),
        (lambda: Conv2D(8.5), "Conv2D(filters=8.5)"),  # pyright: ignore[reportArgumentType]
        (lambda: Conv2D("8"), "Conv2D(filters='8')"),  # pyright: ignore[reportArgumentType]
        (lambda: Conv2D(8, 0), "Conv2D(kernel_size=0)"),
        (lambda: Conv2D(8, (3, 0)), "Conv2D(kernel_size=(3, 0))"),
        (lambda: Conv2D(8, (3, 3, 3)), "Conv2D(kernel_size=(3, 3, 3))"),  # pyright: ignore[reportArgumentType]
        (lambda: Conv2D(8, strides=0), "Conv2D(strides=0)"),
        (lambda: Conv2D(8, strides=(2, 1)), "Conv2D(strides=(2, 1))"),  # pyright: ignore[reportArgumentType]
        (lambda: Conv2D(8, padding="full"), "Conv2D(padding='full')"),  # pyright: ignore[reportArgumentType]
        (lambda: DepthwiseConv2D(-1), "DepthwiseConv2D(kernel_size=-1)"),
        (lambda: DepthwiseConv2D(3, depth_multiplier=0), "DepthwiseConv2D(depth_multiplier=0)"),
        (lambda: DepthwiseConv2D(3, strides=0), "DepthwiseConv2D(strides=0)"),
        (lambda: DepthwiseConv2D(3, padding=""), "DepthwiseConv2D(padding='')"),  # pyright: ignore[reportArgumentType]
        (lambda: MaxPooling2D(0), "MaxPooling2D(pool_size=0)"),
        (lambda: MaxPooling2D((2, 3)), "MaxPooling2D(pool_size=(2, 3))"),
        (lambda: AveragePooling2D(2, strides=0), "AveragePooling2D(strides=0)"),
        (lambda: AveragePooling2D(padding="no"), "AveragePooling2D(padding='no')"),  # pyright: ignore[reportArgumentType]
        (lambda: Dense(0), "Dense(units=0)"),
        (lambda: Dropout(1.0), "Dropout(rate=1.0)"),
        (lambda: Add(0), "Add(over=0)"),
        (lambda: Dropout(-0.1), "Dropout(rate=-0.1)"),
        (lambda: Dropout(float("nan")), "Dropout(rate=nan)"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(make: Callable[[], object], given: str) -> None:
    with pytest.raises(InputError) as caught:
        make()

    assert given in str(caught.value)
    assert "\n" not in str(caught.value)
