"""Descriptions of networks: shapes, names, summaries and what is refused, all without Keras."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable

import pytest

import kerastuna.spaces
from kerastuna.spaces import architecture, layers
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
from kerastuna.spaces.errors import InfeasibleArchitecture, InputError

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
        ((Conv2D(2, 1), BatchNormalization(), Add(2), Conv2D(2, 1)), "p2+-p2"),
    ],
)
def test_a_summary_is_made_from_the_layers(layers: tuple[Layer, ...], expected: str) -> None:
    assert Architecture((12, 10, 2), layers).summary == expected


def test_a_given_summary_is_kept() -> None:
    assert Architecture((12, 10, 2), EVERY_KIND, summary="mine").summary == "mine"


def test_an_infeasible_architecture_is_described_but_has_no_shapes() -> None:
    architecture = Architecture((4, 4, 1), (Conv2D(8), Conv2D(8), Flatten()))

    assert architecture.names == ("conv2d_1", "conv2d_2", "flatten_1")
    with pytest.raises(InfeasibleArchitecture, match=r"3x3 window of Conv2D would shrink a 2x2 map"):
        architecture.shapes  # noqa: B018


def test_an_addition_takes_what_went_into_the_layers_that_it_passes_over() -> None:
    layers = (Conv2D(2, 3, padding="same"), Dropout(0.1), Add(1), Add(3))

    architecture = Architecture((4, 4, 2), layers)

    assert architecture.additions == {2: 0, 3: -1}
    assert architecture.shapes == ((4, 4, 2),) * 4
    assert architecture.names == ("conv2d_1", "dropout_1", "add_1", "add_2")


@pytest.mark.parametrize(
    ("layers", "shapes"),
    [
        ((Conv2D(2, 3, padding="same"), Add(1)), r"\(4, 4, 1\) to \(4, 4, 2\)"),  # Keras would repeat the channel
        ((Conv2D(1, 3), Add(1)), r"\(4, 4, 1\) to \(2, 2, 1\)"),
        ((Flatten(), Add(1)), r"\(4, 4, 1\) to \(16,\)"),
    ],
)
def test_an_addition_of_other_shapes_is_infeasible(layers: tuple[Layer, ...], shapes: str) -> None:
    with pytest.raises(InfeasibleArchitecture, match=rf"^Add\(over=1\) cannot add {shapes}: the shapes must agree$"):
        Architecture((4, 4, 1), layers).shapes  # noqa: B018


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: Architecture((28, 28), EVERY_KIND), "(28, 28)"),  # pyright: ignore[reportArgumentType]
        (lambda: Architecture((28, 0, 1), EVERY_KIND), "(28, 0, 1)"),
        (lambda: Architecture((28, 28, None), EVERY_KIND), "(28, 28, None)"),  # pyright: ignore[reportArgumentType]
        (lambda: Architecture((28, 28, 1), ()), "at least one layer"),
        (lambda: Architecture((9, 9, 1), (Dropout(0.1), Add(2))), "Add(over=2) is layer 2: it can pass over 1 layers"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(make: Callable[[], object], given: str) -> None:
    with pytest.raises(InputError) as caught:
        make()

    assert given in str(caught.value)
    assert "\n" not in str(caught.value)


def test_descriptions_are_values() -> None:
    twin = Architecture((12, 10, 2), tuple(dataclasses.replace(layer) for layer in EVERY_KIND))

    assert {Architecture((12, 10, 2), EVERY_KIND): "found"}[twin] == "found"
    assert twin != Architecture((12, 10, 2), (*EVERY_KIND, Dropout(0.1)))
    assert MaxPooling2D() != AveragePooling2D()
    for frozen in (twin, *EVERY_KIND):
        field = next((field.name for field in dataclasses.fields(frozen)), "anything")
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, field, 1)


@pytest.mark.parametrize("module", ["architecture", "augmentation", "cost", "recipe", "references", "errors"])
def test_the_pure_modules_import_no_library(module: str) -> None:
    heavy = ["keras", "keras_tuner", "mlflow", "numpy", "optuna", "rich", "tensorflow"]
    script = f"import sys, kerastuna.spaces.{module}; print(sorted(set({heavy}) & set(sys.modules)))"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout == "[]\n"


def test_every_layer_can_be_imported_from_the_module_of_architectures() -> None:
    kinds = [name for name, kind in vars(layers).items() if isinstance(kind, type) and issubclass(kind, Layer)]

    assert [kind for kind in kinds if not kind.startswith("_") and kind not in architecture.__all__] == []


def test_the_package_offers_all_that_it_lists() -> None:
    assert [name for name in kerastuna.spaces.__all__ if not hasattr(kerastuna.spaces, name)] == []
    assert kerastuna.spaces.ConvNet.__module__ == "kerastuna.spaces.convnet"
    assert not hasattr(kerastuna.spaces, "Conv3D")
