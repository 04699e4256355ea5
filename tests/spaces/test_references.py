"""The published networks: their counts, as computed and as Keras counts them, and their place in the space."""

from dataclasses import FrozenInstanceError
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from kerastuna.spaces.architecture import (
    Activation,
    Architecture,
    BatchNormalization,
    Conv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
)
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.recipe import Recipe
from kerastuna.spaces.references import REFERENCES

COUNTS = {
    "eip_1": (15_810, 15_598, 212),
    "eip_2": (15_810, 15_598, 212),
    "eip_3": (14_652, 14_440, 212),
    "eip_5": (14_840, 14_588, 252),
}


def at(name: str) -> keras_tuner.HyperParameters:
    """The point of the space that a reference is."""
    hp = keras_tuner.HyperParameters()
    ConvNet().declare_hyperparameters(hp)
    hp.values = dict(REFERENCES[name].values)
    return hp


def architecture(name: str) -> Architecture:
    return ConvNet().architecture(at(name))


def block(filters: int) -> list[Layer]:
    return [Conv2D(filters, 3, activation="relu"), BatchNormalization(momentum=0.9), Dropout(0.1)]


def test_all_five_are_there() -> None:
    assert list(REFERENCES) == ["eip_1", "eip_2", "eip_3", "eip_4", "eip_5"]
    assert [reference.name for reference in REFERENCES.values()] == list(REFERENCES)
    assert [reference.reported_test_accuracy for reference in REFERENCES.values()] == [
        0.9934,
        0.9938,
        0.9941,
        0.9944,
        0.9946,
    ]


@pytest.mark.parametrize("name", COUNTS)
def test_published_counts(name: str) -> None:
    cost = ConvNet().cost(at(name))

    assert (cost.params, cost.trainable, cost.non_trainable) == COUNTS[name] == REFERENCES[name].reported_params


def test_no_count_was_published_of_eip_4() -> None:
    assert [name for name in REFERENCES if REFERENCES[name].reported_params is None] == ["eip_4"]


@pytest.mark.parametrize("name", REFERENCES)
def test_keras_counts_the_same(name: str) -> None:
    space = ConvNet()
    cost = space.cost(at(name))

    model = space.build(at(name))

    assert model.count_params() == cost.params
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == cost.trainable
    assert sum(int(np.prod(weight.shape)) for weight in model.non_trainable_weights) == cost.non_trainable
    assert model.output_shape == (None, 10)
    keras.backend.clear_session()


def test_which_are_within_15000_parameters() -> None:
    within = [name for name in REFERENCES if ConvNet().cost(at(name)).params <= 15_000]

    assert within == ["eip_3", "eip_4", "eip_5"]


@pytest.mark.parametrize("name", REFERENCES)
def test_the_active_hyperparameters_are_exactly_the_values_given(name: str) -> None:
    hp = at(name)

    ConvNet().architecture(hp)
    ConvNet().recipe(hp)

    assert {declared.name for declared in hp.space if hp.is_active(declared)} == set(REFERENCES[name].values)
    assert hp.values == dict(REFERENCES[name].values), "building on it must add nothing"


@pytest.mark.parametrize("name", REFERENCES)
def test_every_value_is_one_that_the_space_declares(name: str) -> None:
    hp = at(name)

    strangers = {
        declared.name: hp.values[declared.name]
        for declared in hp.space
        if hp.is_active(declared) and not allowed(declared, hp.values[declared.name])
    }

    assert strangers == {}


def allowed(declared: Any, value: object) -> bool:
    match declared:
        case keras_tuner.engine.hyperparameters.Boolean():
            return isinstance(value, bool)
        case keras_tuner.engine.hyperparameters.Choice():
            return value in declared.values and type(value) is type(declared.values[0])
        case keras_tuner.engine.hyperparameters.Int():
            in_range = isinstance(value, int) and declared.min_value <= value <= declared.max_value
            return in_range and (value - declared.min_value) % (declared.step or 1) == 0
        case keras_tuner.engine.hyperparameters.Float(step=None):
            return isinstance(value, float) and declared.min_value <= value <= declared.max_value
        case keras_tuner.engine.hyperparameters.Float():
            return value in list(declared.values)
        case _:
            raise TypeError(f"{declared} is of a kind that this test does not know")


def test_the_layers_of_eip_3() -> None:
    assert architecture("eip_3").input_shape == (28, 28, 1)
    assert architecture("eip_3").layers == (
        *block(16),
        *block(32),
        Conv2D(16, 1, activation="relu"),
        MaxPooling2D(2),
        *block(16),
        *block(32),
        MaxPooling2D(2),
        Conv2D(10, 1, activation="relu"),
        Conv2D(10, (4, 4)),
        BatchNormalization(momentum=0.9),
        Dropout(0.1),
        Flatten(),
        Activation("softmax"),
    )


def test_eip_1_and_eip_2_are_one_architecture_with_two_recipes() -> None:
    pointwise_then_pooling: list[Layer] = [Conv2D(16, 1, activation="relu"), MaxPooling2D(2)]
    assert architecture("eip_1") == architecture("eip_2")
    assert architecture("eip_1").layers == (
        *block(16),
        *block(32),
        *pointwise_then_pooling,
        *block(16),
        *block(32),
        *pointwise_then_pooling,
        *architecture("eip_3").layers[-5:],
    )
    assert ConvNet().recipe(at("eip_1")) == Recipe(0.001, 32)
    assert ConvNet().recipe(at("eip_2")) == Recipe(0.003, 128, "inverse_time", 0.319)


def test_eip_4_differs_from_eip_3_by_fewer_kernels_in_the_second_block() -> None:
    differing = {key for key, value in REFERENCES["eip_3"].values.items() if REFERENCES["eip_4"].values[key] != value}

    assert differing == {"block2_conv2"}
    assert REFERENCES["eip_4"].values["block2_conv2"] < REFERENCES["eip_3"].values["block2_conv2"]  # pyright: ignore[reportOperatorIssue]


def test_eip_5_ends_in_a_normalised_pointwise_convolution_and_global_average_pooling() -> None:
    assert architecture("eip_5").layers[-5:] == (
        Conv2D(10, 1),
        BatchNormalization(momentum=0.9),
        Dropout(0.1),
        GlobalAveragePooling2D(),
        Activation("softmax"),
    )


def test_networks_that_were_not_published_in_full_say_so() -> None:
    assert [name for name in REFERENCES if REFERENCES[name].note.startswith("not the original")] == ["eip_4", "eip_5"]


@pytest.mark.parametrize("name", ["eip_3", "eip_4", "eip_5"])
def test_later_references_share_the_published_schedule(name: str) -> None:
    recipe = ConvNet().recipe(at(name))

    assert recipe == Recipe(0.003, 64, "inverse_time", 0.319)
    assert [recipe.learning_rate_at(epoch, 20) for epoch in (0, 1, 2, 19)] == [
        0.003,
        0.0022744503,
        0.0018315018,
        0.000424869,
    ]


def test_the_space_offers_them_as_starting_points() -> None:
    points = ConvNet().starting_points()

    assert points == {name: reference.values for name, reference in REFERENCES.items()}


def test_nobody_can_change_them() -> None:
    eip_3: Any = REFERENCES["eip_3"]

    with pytest.raises(TypeError):
        eip_3.values["dropout"] = 0.5
    with pytest.raises(TypeError):
        del REFERENCES["eip_3"]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(FrozenInstanceError):
        eip_3.note = ""
