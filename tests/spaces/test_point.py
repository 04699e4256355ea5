"""A point of a space is read as KerasTuner's hyperparameters are."""

import random
from typing import Any

import keras_tuner
import pytest

from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.errors import InfeasibleArchitecture
from kerastuna.spaces.point import Point


def read_everything(hp: Any) -> dict[str, Any]:
    """What a space with every kind of hyperparameter and scope reads."""
    read = {
        "kind": hp.Choice("kind", ["small", "large"]),
        "units": hp.Int("units", 4, 32, step=4),
        "rate": hp.Float("rate", 1e-4, 1e-1, sampling="log"),
        "flag": hp.Boolean("flag"),
        "constant": hp.Fixed("constant", 7),
        "given": hp.get("units") + hp["units"],
    }
    with hp.conditional_scope("kind", ["large"]):
        read["depth"] = hp.Int("depth", 1, 3)
        with hp.conditional_scope("depth", [2, 3]):
            read["width"] = hp.Int("width", 1, 3)
    read["drop"] = hp.Float("drop", 0, 0.5, parent_name="flag", parent_values=True)
    with hp.name_scope("head"):
        read["head"] = hp.Choice("kind", ["a", "b"])
        read["head_units"] = hp.Int("units", 1, 9, parent_name="kind", parent_values=["b"])
    return read


def drawn(declared: keras_tuner.HyperParameters, seed: int) -> dict[str, Any]:
    draw, values = random.Random(seed), {}
    for hp in declared.space:
        if all(condition.is_active(values) for condition in hp.conditions):
            values[hp.name] = hp.random_sample(draw.randrange(2**32))
    return values


@pytest.mark.parametrize("seed", range(30))
def test_it_reads_what_keras_tuner_reads(seed: int):
    declared = keras_tuner.HyperParameters()
    read_everything(declared)
    values = drawn(declared, seed)
    slow = declared.copy()
    slow.values = dict(values)
    read = read_everything(Point(values))
    assert read == read_everything(slow)
    assert (read["depth"] is None) == (read["kind"] == "small")


def test_it_describes_the_networks_of_convnet():
    space, declared = ConvNet(), keras_tuner.HyperParameters()
    space.declare_hyperparameters(declared)
    compared = 0
    for seed in range(60):
        slow = declared.copy()
        slow.values = drawn(declared, seed)
        assert space.recipe(Point(slow.values)) == space.recipe(slow)
        try:
            expected = space.architecture(slow)
        except InfeasibleArchitecture:
            with pytest.raises(InfeasibleArchitecture):
                space.architecture(Point(slow.values))
            continue
        assert space.architecture(Point(slow.values)) == expected
        compared += 1
    assert compared > 20


def test_a_value_that_is_missing_is_told():
    point = Point({"kind": "small"})
    with pytest.raises(LookupError):
        point.Int("units", 1, 3)
    with pytest.raises(LookupError):
        point.get("units")
    with point.conditional_scope("absent", [1]):
        assert point.Int("units", 1, 3) is None
