"""Proposals that are over the budget are made narrower until they fit, with the layers that they had."""

import random
import re
from collections.abc import Callable
from typing import Any

import keras_tuner
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastuna.search.proposals.distributions import ParameterSpace, Values
from kerastuna.search.proposals.narrowing import Narrower
from kerastuna.search.proposals.start import drawn
from kerastuna.search.study.budget import Budget, Size
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.cost import cost
from kerastuna.spaces.errors import InfeasibleArchitecture
from kerastuna.spaces.point import Point
from kerastuna.spaces.references import REFERENCES


def space_of(declare: Callable[[keras_tuner.HyperParameters], Any]) -> ParameterSpace:
    hp = keras_tuner.HyperParameters()
    declare(hp)
    return ParameterSpace(hp.space)


SPACE = space_of(ConvNet().declare_hyperparameters)


def measure(values: Values) -> Size:
    counted = cost(ConvNet().architecture(Point(values)))
    return Size(counted.params, counted.macs, depth=len(counted.layers))


def layers(values: Values) -> list[str]:
    return [type(layer).__name__ for layer in ConvNet().architecture(Point(values)).layers]


def is_width(name: str) -> bool:
    return re.search(r"_width$|_conv\d$", name) is not None


@given(seed=st.integers(0, 10**9), limits=st.sampled_from([{"params": 15_000}, {"params": 4_000, "macs": 600_000}]))
@settings(max_examples=150, deadline=None)
def test_what_is_over_the_budget_fits_with_the_same_layers_and_fills_it(seed: int, limits: dict[str, int]) -> None:
    draw, budget = random.Random(seed), Budget(**limits)
    values = SPACE.fill(lambda parameter: drawn(parameter.distribution, draw))
    try:
        before = measure(values)
    except InfeasibleArchitecture:
        return
    if budget.allows(before):
        return
    narrowed = Narrower(budget, measure).point(values, before, SPACE)
    least = {name: 4 if is_width(name) else value for name, value in values.items()}
    if narrowed is None:
        assert not budget.allows(measure(least))
        return
    SPACE.encode(narrowed)
    assert budget.allows(measure(narrowed))
    assert layers(narrowed) == layers(values)
    changed = {name for name in values if values[name] != narrowed[name]}
    assert changed
    assert all(is_width(name) and 4 <= int(narrowed[name]) < int(values[name]) for name in changed)
    wider = {name: wider_by_a_step(name, narrowed, values) for name in narrowed}
    assert not budget.allows(measure(wider)), "the factor is the largest one"


def wider_by_a_step(name: str, narrowed: Values, values: Values) -> int | float | str | bool:
    return min(int(narrowed[name]) + 2, int(values[name])) if is_width(name) else narrowed[name]


def test_widths_keep_their_proportions() -> None:
    values = {**REFERENCES["eip_3"].values, "block1_conv1": 24, "block1_conv2": 48, "block1_pointwise_width": 24}
    narrowed = Narrower(Budget(15_000), measure).point(values, measure(values), SPACE)
    assert narrowed is not None
    assert 13_000 < measure(narrowed).params <= 15_000
    first, second = int(narrowed["block1_conv1"]), int(narrowed["block1_conv2"])
    assert 12 <= first < 24
    assert second == pytest.approx(2 * first, abs=2)


def test_a_number_of_layers_and_what_has_nothing_to_do_with_the_size_stay() -> None:
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Int("depth", 1, 6)
        hp.Int("units", 8, 512, step=2, sampling="log")
        hp.Int("batch", 16, 256)
        hp.Float("rate", 0.0, 1.0)
        hp.Fixed("bias", True)

    def size(values: Values) -> Size:
        depth, units = int(values["depth"]), int(values["units"])
        return Size(depth * units * units, depth=depth)

    values = {"depth": 5, "units": 128, "batch": 200, "rate": 0.5, "bias": True}
    narrowed = Narrower(Budget(6_000), size).point(values, size(values), space_of(declare))
    assert narrowed == {**values, "units": 32}


def test_nothing_fits_where_there_is_no_width_or_the_narrowest_network_is_too_large() -> None:
    space = space_of(lambda hp: (hp.Int("units", 8, 64), hp.Choice("head", ["a", "b"])))
    values: Values = {"units": 64, "head": "a"}
    assert Narrower(Budget(5), lambda values: Size(int(values["units"]))).point(values, Size(64), space) is None
    assert Narrower(Budget(5), lambda values: Size(10)).point(values, Size(10), space) is None
    assert Narrower(Budget(5), lambda values: None).point(values, Size(10), space) is None


def test_a_range_with_too_many_values_to_list_is_left_as_it_is() -> None:
    space = space_of(lambda hp: (hp.Int("units", 1, 10**6), hp.Int("width", 1, 9)))
    narrower = Narrower(Budget(300), lambda values: Size(int(values["units"]) * int(values["width"])))
    assert narrower.point({"units": 100, "width": 9}, Size(900), space) == {"units": 100, "width": 3}


def test_a_number_on_which_other_hyperparameters_depend_is_left_as_it_is() -> None:
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Int("hidden", 0, 4)
        with hp.conditional_scope("hidden", [0]):
            hp.Boolean("bias")
        hp.Int("width", 8, 64)
        with hp.conditional_scope("hidden", [1, 2, 3, 4]):
            hp.Float("dropout", 0.0, 0.5)

    space = space_of(declare)

    def size(values: Values) -> Size:
        space.encode(values)  # raises SpaceError where an active value is missing
        return Size(int(values["hidden"]) * int(values["width"]), depth=3)

    values: Values = {"hidden": 4, "width": 64, "dropout": 0.2}
    assert Narrower(Budget(100), size).point(values, size(values), space) == {**values, "width": 25}


def test_a_number_that_may_be_negative_is_no_width() -> None:
    space = space_of(lambda hp: (hp.Int("log2_of_size", -3, 3), hp.Int("width", 1, 64)))
    narrower = Narrower(
        Budget(200), lambda values: Size(int(int(values["width"]) * 2.0 ** int(values["log2_of_size"])))
    )
    assert narrower.point({"log2_of_size": 3, "width": 64}, Size(512), space) == {"log2_of_size": 3, "width": 25}
