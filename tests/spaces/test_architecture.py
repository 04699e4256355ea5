"""Descriptions of networks: shapes, names, summaries and what is refused, all without Keras."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable

import pytest

import kerastuna.spaces
from kerastuna.spaces.architecture import (
    Activation,
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
from kerastuna.spaces.errors import InfeasibleArchitecture, InputError, KerastunaError

EVERY_KIND = (
    Conv2D(4, activation="relu"),
    BatchNormalization(),
    Dropout(0.1),
    DepthwiseConv2D((3, 1)),
    MaxPooling2D(),
    Conv2D(6, 1),
    AveragePooling2D(3, strides=1, padding="same"),
    Flatten(),
    Dense(5),
    Activation("softmax"),
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
    ],
)
def test_output_shape(layer: Layer, shape: Shape, expected: Shape) -> None:
    assert layer.output_shape(shape) == expected


def test_every_layer_has_a_shape_and_a_name_of_its_own() -> None:
    architecture = Architecture((12, 10, 2), (*EVERY_KIND, Dropout(0.2), Dense(3), Activation("relu")))

    assert architecture.shapes == (
        *[(10, 8, 4)] * 3,
        (8, 8, 4),
        (4, 4, 4),
        (4, 4, 6),
        (4, 4, 6),
        (96,),
        *[(5,)] * 3,
        *[(3,)] * 2,
    )
    assert architecture.names == (
        "conv2d_1",
        "batchnormalization_1",
        "dropout_1",
        "depthwiseconv2d_1",
        "maxpooling2d_1",
        "conv2d_2",
        "averagepooling2d_1",
        "flatten_1",
        "dense_1",
        "activation_1",
        "dropout_2",
        "dense_2",
        "activation_2",
    )


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (EVERY_KIND, "4-d3 | p6 | flatten | dense 5"),
        ((Conv2D(16), Conv2D(32), MaxPooling2D(), Conv2D(10, 4), Flatten()), "16-32 | 10 | flatten"),
        ((Conv2D(8, (1, 1)), GlobalMaxPooling2D(), Dense(10)), "p8 | global pool | dense 10"),
        ((AveragePooling2D(), GlobalAveragePooling2D()), "global pool"),
    ],
)
def test_a_summary_is_made_from_the_layers(layers: tuple[Layer, ...], expected: str) -> None:
    assert Architecture((12, 10, 2), layers).summary == expected


def test_a_given_summary_is_kept() -> None:
    assert Architecture((12, 10, 2), EVERY_KIND, summary="mine").summary == "mine"


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


def test_an_infeasible_architecture_is_described_but_has_no_shapes() -> None:
    architecture = Architecture((4, 4, 1), (Conv2D(8), Conv2D(8), Flatten()))

    assert architecture.names == ("conv2d_1", "conv2d_2", "flatten_1")
    with pytest.raises(InfeasibleArchitecture, match=r"3x3 window of Conv2D would shrink a 2x2 map"):
        architecture.shapes  # noqa: B018


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
        (lambda: Dropout(-0.1), "Dropout(rate=-0.1)"),
        (lambda: Dropout(float("nan")), "Dropout(rate=nan)"),
        (lambda: Architecture((28, 28), EVERY_KIND), "(28, 28)"),  # pyright: ignore[reportArgumentType]
        (lambda: Architecture((28, 0, 1), EVERY_KIND), "(28, 0, 1)"),
        (lambda: Architecture((28, 28, None), EVERY_KIND), "(28, 28, None)"),  # pyright: ignore[reportArgumentType]
        (lambda: Architecture((28, 28, 1), ()), "at least one layer"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(make: Callable[[], object], given: str) -> None:
    with pytest.raises(InputError) as caught:
        make()

    assert given in str(caught.value)
    assert "\n" not in str(caught.value)


def test_errors_are_told_apart_by_their_exit_status() -> None:
    assert issubclass(InputError, KerastunaError)
    assert issubclass(InputError, ValueError)
    assert InputError.exit_status == 2
    assert issubclass(InfeasibleArchitecture, KerastunaError)
    assert not issubclass(InfeasibleArchitecture, InputError)
    assert InfeasibleArchitecture.exit_status == 1


def test_descriptions_are_values() -> None:
    twin = Architecture((12, 10, 2), tuple(dataclasses.replace(layer) for layer in EVERY_KIND))

    assert {Architecture((12, 10, 2), EVERY_KIND): "found"}[twin] == "found"
    assert twin != Architecture((12, 10, 2), (*EVERY_KIND, Dropout(0.1)))
    assert MaxPooling2D() != AveragePooling2D()
    for frozen in (twin, *EVERY_KIND):
        field = next((field.name for field in dataclasses.fields(frozen)), "anything")
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, field, 1)


@pytest.mark.parametrize("module", ["architecture", "cost", "recipe", "references", "errors"])
def test_the_pure_modules_import_no_library(module: str) -> None:
    heavy = ["keras", "keras_tuner", "mlflow", "numpy", "optuna", "rich", "tensorflow"]
    script = f"import sys, kerastuna.spaces.{module}; print(sorted(set({heavy}) & set(sys.modules)))"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout == "[]\n"


def test_the_package_offers_all_that_it_lists() -> None:
    assert [name for name in kerastuna.spaces.__all__ if not hasattr(kerastuna.spaces, name)] == []
    assert kerastuna.spaces.ConvNet.__module__ == "kerastuna.spaces.convnet"
    assert not hasattr(kerastuna.spaces, "Conv3D")
