"""What a network takes on a chip, as it is told before the network is built."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import pytest
from architectures import FEASIBLE
from hypothesis import given

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
from kerastuna.spaces.chip import LEAST_FLASH, LEAST_RAM, chip_cost, operators_of, planned
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.errors import InfeasibleArchitecture
from kerastuna.spaces.layer_base import SameShape
from kerastuna.spaces.point import Point
from kerastuna.spaces.references import REFERENCES


@final
@dataclass(frozen=True)
class Own(SameShape):
    """A layer that `kerastuna.spaces` does not have."""


RELU = Conv2D(4, activation="relu")
LINEAR = Conv2D(4)
SAME, SAME_RELU = Conv2D(4, padding="same"), Conv2D(4, padding="same", activation="relu")
BN = BatchNormalization()


def network(*layers: Layer) -> Architecture:
    return Architecture((12, 12, 4), layers)


def kinds(*layers: Layer) -> list[str]:
    found = operators_of(network(*layers))
    assert found is not None
    return [operator.kind for operator in found[0]]


@pytest.mark.parametrize(
    ("layers", "operators"),
    [
        ((RELU, Dropout(0.1), MaxPooling2D(), AveragePooling2D()), ["conv", "max_pool", "average_pool"]),
        ((LINEAR, Activation("relu"), Activation("relu")), ["conv"]),
        ((LINEAR, Activation("relu6"), Activation("relu")), ["conv", "relu"]),
        ((LINEAR, Activation("relu"), Activation("relu6")), ["conv", "relu"]),
        ((RELU, Activation("relu"), Activation("relu6")), ["conv", "relu"]),
        ((MaxPooling2D(), Activation("relu"), Activation("relu6")), ["max_pool", "relu"]),
        ((Conv2D(4, activation="tanh"), Activation("relu")), ["conv", "tanh", "relu"]),
        ((DepthwiseConv2D(), BN, Activation("relu")), ["depthwise"]),
        ((MaxPooling2D(), Activation("relu"), Activation("linear")), ["max_pool"]),
        (
            (Flatten(), Dense(3, activation="sigmoid"), Activation("softmax")),
            ["reshape", "dense", "logistic", "softmax"],
        ),
        ((GlobalAveragePooling2D(), Dense(3)), ["mean", "dense"]),
        ((GlobalMaxPooling2D(),), ["maximum"]),
        ((RELU, BN, Conv2D(4, padding="same")), ["conv", "multiply", "add", "conv"]),
    ],
)
def test_operators(layers: tuple[Layer, ...], operators: list[str]) -> None:
    assert kinds(*layers) == operators


@pytest.mark.parametrize(
    ("layers", "remaining"),
    [
        ((LINEAR, Dropout(0.1), BN), 0),
        ((LINEAR, AveragePooling2D(), BN), 0),
        ((LINEAR, MaxPooling2D(), BN), 1),
        ((RELU, BN), 1),
        ((RELU, BN, Dropout(0.1), RELU, BN, MaxPooling2D(), LINEAR, BN), 0),
        ((RELU, BN, Conv2D(4, padding="same")), 1),
        ((RELU, BN, Conv2D(4, 1, padding="same")), 0),
        ((RELU, BN, DepthwiseConv2D()), 0),
        ((RELU, BN, Activation("relu"), RELU), 1),
        ((RELU, BN, Flatten(), Dense(2)), 0),
        ((RELU, BN, GlobalMaxPooling2D(), Dense(2)), 0),
        ((BN, RELU), 0),
        ((BN, MaxPooling2D()), 1),
        ((SAME, BN, SAME, BN, Add(2), RELU), 0),
        ((SAME, BN, Conv2D(4, 1), Add(1)), 0),
        ((SAME_RELU, BN, Conv2D(4, 1), Add(1)), 1),
        ((SAME_RELU, BN, Conv2D(4, 1), Add(2)), 0),
        ((SAME, Conv2D(4, 1, activation="relu"), BN, Add(2), RELU), 1),
        ((SAME, Add(1), BN), 1),
        ((SAME, Add(1), BN, LINEAR), 0),
    ],
)
def test_batch_normalizations_that_remain(layers: tuple[Layer, ...], remaining: int) -> None:
    found = operators_of(network(*layers))
    assert found is not None
    assert found[1] == remaining
    assert [operator.kind for operator in found[0]].count("multiply") == remaining


def test_sizes_of_an_operator() -> None:
    found = operators_of(network(Conv2D(5, (3, 2), strides=2), GlobalAveragePooling2D()))
    assert found is not None
    conv, mean = found[0]
    assert (conv.values, conv.weights, conv.channels) == (5 * 6 * 5, 3 * 2 * 4 * 5, 5)
    assert (mean.values, mean.weights, mean.scratch) == (5, 0, 20)


def test_an_addition_takes_two_values_and_keeps_one_alive() -> None:
    wide = Conv2D(8, padding="same")
    found = operators_of(network(SAME, Dropout(0.1), wide, SAME, Add(3), Activation("relu"), Activation("relu")))
    assert found is not None
    assert [(operator.kind, operator.sources) for operator in found[0]] == [
        ("conv", (0,)),
        ("conv", (1,)),
        ("conv", (2,)),
        ("add", (3, 1)),
    ]
    kept: Any = chip_cost(network(SAME, wide, SAME, Add(2)))
    chain: Any = chip_cost(network(SAME, wide, SAME, SAME))
    assert kept.ram > chain.ram + 12 * 12 * 4 - 200  # the first output waits while the widest operator runs


def test_an_activation_that_an_addition_passes_over_is_an_operator_of_its_own() -> None:
    assert kinds(SAME, Activation("relu"), SAME, Add(1)) == ["conv", "conv", "add"]
    assert kinds(SAME, Activation("relu"), SAME, Add(2)) == ["conv", "relu", "conv", "add"]


# What the file has in addition, or in place of an operator, for vectors that are added: read from files.
REPEATED = (Flatten(), Dense(8), Activation("relu"), Dense(8), Add(2), Dense(3))


@pytest.mark.parametrize(
    ("layers", "operators"),
    [
        ((Flatten(), Dense(8), Dense(3)), ["reshape", "dense", "dense"]),
        (
            (Flatten(), Dense(8, activation="relu"), Dense(8), Add(1)),
            ["reshape", "dense", "reshape", "dense", "add"],
        ),
        ((Flatten(), Dense(576), Add(1)), ["reshape", "reshape", "dense", "add"]),
        (REPEATED, ["reshape", "dense", "dense", "relu", "reshape", "dense", "add", "reshape", "dense"]),
        (
            (Flatten(), Dense(8), BN, Activation("relu"), Dense(8), Add(2)),
            ["reshape", "dense", "dense", "relu", "reshape", "dense", "add"],
        ),
    ],
)
def test_reshapes_and_repeated_layers_of_vectors_that_are_added(
    layers: tuple[Layer, ...], operators: list[str]
) -> None:
    assert kinds(*layers) == operators


def test_a_repeated_layer_shares_its_weights() -> None:
    found = operators_of(network(*REPEATED))
    assert found is not None
    assert [operator.weights for operator in found[0] if operator.kind == "dense"] == [0, 576 * 8, 8 * 8, 8 * 3]


def test_an_activation_whose_operators_are_not_known() -> None:
    assert operators_of(network(Conv2D(4, activation="gelu"))) is None
    assert chip_cost(network(LINEAR, Activation("elu"))) is None
    assert chip_cost(network(LINEAR, Own())) is None
    with pytest.raises(InfeasibleArchitecture):
        chip_cost(network(Conv2D(4, 13)))


def test_the_planner_uses_gaps_and_time() -> None:
    assert planned([]) == []
    assert planned([(32, 0, 0), (64, 0, 1), (32, 1, 1)]) == [64, 0, 64]
    # The largest are placed first, so the smallest may end behind two that are not used together.
    assert planned([(160, 0, 0), (32, 0, 1), (128, 1, 2), (144, 2, 2)]) == [0, 272, 144, 0]
    assert planned([(16, 0, 0), (16, 0, 0)]) == [16, 0]


@given(FEASIBLE)
def test_every_network_takes_more_than_its_values_and_weights(drawn: Architecture) -> None:
    cost: Any = chip_cost(drawn)
    values = [operator.values for operator in cost.operators]
    assert cost.ram >= max([sum(pair) for pair in pairwise(values)], default=0)
    assert cost.flash >= sum(operator.weights + 4 * operator.channels for operator in cost.operators)
    assert cost.ram >= LEAST_RAM or not cost.operators
    assert cost.flash >= LEAST_FLASH or not cost.operators


def test_eip_3() -> None:
    point: Any = Point(REFERENCES["eip_3"].values)
    cost: Any = chip_cost(ConvNet().architecture(point))
    largest = 26 * 26 * 16 + 24 * 24 * 32  # of its second convolution: input and output
    assert (cost.remaining, cost.flash) == (0, 23_952)
    assert largest < cost.ram < largest + 5_000
