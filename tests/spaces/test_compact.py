"""`Compact` over its whole space: counted as Keras counts, filled up to the budget, and trained by its recipe."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import keras
import keras_tuner
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_tuner.engine import hyperparameters as keras_tuner_hyperparameters

from kerastuna.search.proposals.distributions import ParameterSpace
from kerastuna.spaces.architecture import (
    Activation,
    Add,
    Architecture,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
)
from kerastuna.spaces.augmentation import Augmentation
from kerastuna.spaces.champions import CHAMPIONS
from kerastuna.spaces.compact import HEADS, Compact
from kerastuna.spaces.cost import cost, count_params
from kerastuna.spaces.errors import InfeasibleArchitecture, InputError
from kerastuna.spaces.point import Point
from kerastuna.spaces.recipe import Recipe

SEEDS = st.integers(0, 2**32 - 1)
PLAIN = {
    **{"blocks": 2, "first_convs": 1, "convs": 2, "stem": 1.0, "growth": 1.5, "late_growth": 1.0, "padding": "same"},
    **{"residual": False, "transition": False, "transition_width": 0.5, "convolution": "standard", "bias": False},
    **{"order": "conv_bn_relu", "head": "pool_dense", "dropout": 0.0, "width": 4, "fill": 1.0},
}
RECIPE = {
    **{"optimizer": "adam", "adam_rate": 0.01, "sgd_rate": 0.1, "weight_decay": 1e-3, "schedule": "one_cycle"},
    **{"decay_rate": 0.3, "batch_size": 64, "warm_up": 0.3, "label_smoothing": 0.0, "averaging": 0.0},
    **{"augment": "affine", "rotation": 8.0, "shift": 0.08, "zoom": 0.1, "share": 0.7},
}
NORMALISED = BatchNormalization(momentum=0.9)
RELU = Activation("relu")


@pytest.fixture(autouse=True, scope="module")
def _clear_session() -> Iterator[None]:
    yield
    keras.backend.clear_session()


def declared(space: Compact) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    return hp


def drawn(space: Compact, seed: int) -> keras_tuner.HyperParameters:
    hp = declared(space)
    objective = keras_tuner.Objective("val_accuracy", "max")
    oracle = keras_tuner.oracles.RandomSearchOracle(objective, max_trials=1, seed=seed, hyperparameters=hp)
    hp.values = oracle.populate_space("0")["values"]
    return hp


def at(space: Compact, values: dict[str, Any]) -> Any:
    return space.architecture(Point(values))


@settings(max_examples=40, deadline=None)
@given(side=st.integers(7, 40), channels=st.integers(1, 4), parameters=st.none() | st.integers(300, 30_000), seed=SEEDS)
def test_a_point_costs_what_keras_counts(side: int, channels: int, parameters: int | None, seed: int) -> None:
    space = Compact((side, side + 3, channels), 7, parameters)
    hp = drawn(space, seed)
    try:
        expected = space.cost(hp)
    except InfeasibleArchitecture:
        with pytest.raises(InfeasibleArchitecture):
            space.build(hp)
        return
    model = space.build(hp)
    assert model.count_params() == expected.params
    assert model.output_shape == (None, 7)
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert [(layer.name, layer.output.shape[1:], layer.count_params()) for layer in layers] == [
        (layer.name, layer.output_shape, layer.params) for layer in expected.layers
    ]


@settings(max_examples=200, deadline=None)
@given(parameters=st.integers(300, 30_000), seed=SEEDS)
def test_a_network_fills_its_share_of_the_budget_and_no_more(parameters: int, seed: int) -> None:
    space = Compact(parameters=parameters)
    hp = drawn(space, seed)
    try:
        network = space.architecture(hp)
    except InfeasibleArchitecture:
        return
    limit = int(parameters * hp["fill"])
    smallest, larger = Compact(parameters=1), Compact(parameters=int(limit * 1.25))
    if (params := count_params(network)) > limit:
        assert network == smallest.architecture(hp)
        return
    hp.values["fill"] = 1.0  # a quarter more is enough for channels of some convolution, but for a small or uniform one
    assert count_params(larger.architecture(hp)) >= params
    assert at(space, hp.values | {"fill": 1.0}) == space.architecture(hp)


@pytest.mark.parametrize(("parameters", "least"), [(2_500, 0.9), (4_000, 0.9), (15_000, 0.95)])
def test_most_networks_come_close_to_the_budget(parameters: int, least: float) -> None:
    space, shares = Compact(parameters=parameters), []
    for seed in range(60):
        hp = drawn(space, seed)
        try:
            shares.append(space.cost(hp).params / (parameters * hp["fill"]))
        except InfeasibleArchitecture:
            continue
    fitting = [share for share in shares if share <= 1]
    assert len(shares) >= 57
    assert len(fitting) >= 0.85 * len(shares)
    assert sorted(fitting)[len(fitting) // 4] > least


def test_where_smaller_networks_are_looked_for_their_sizes_are_spread_below_the_budget() -> None:
    space, counts = Compact(parameters=8_000, smaller=True), []
    for seed in range(120):
        with suppress(InfeasibleArchitecture):
            counts.append(space.cost(drawn(space, seed)).params)
    assert sum(count <= 8_000 for count in counts) >= 0.95 * len(counts)
    below = [sum(count <= limit for count in counts) / len(counts) for limit in (1_000, 2_000, 4_000)]
    assert below == pytest.approx([0.31, 0.54, 0.77], abs=0.12)  # the shares of a logarithmic scale from 400 on


def test_the_same_values_give_the_same_network_by_both_ways_of_reading() -> None:
    space = Compact(parameters=4_000)
    for seed in range(20):
        hp = drawn(space, seed)
        try:
            assert space.architecture(hp) == at(space, hp.values)
        except InfeasibleArchitecture:
            continue
        assert space.recipe(hp) == space.recipe(Point(hp.values))


def test_the_size_is_a_hyperparameter_where_no_budget_is_known() -> None:
    names = {hp.name for hp in declared(Compact()).space}
    filling = {hp.name for hp in declared(Compact(parameters=99)).space}
    assert (names - filling, filling - names) == ({"width"}, {"fill"})


def test_a_plain_network() -> None:
    assert at(Compact(), PLAIN) == Architecture(
        (28, 28, 1),
        (
            *(Conv2D(4, padding="same", use_bias=False), NORMALISED, RELU, MaxPooling2D()),
            *(Conv2D(6, padding="same", use_bias=False), NORMALISED, RELU),
            *(Conv2D(6, padding="same", use_bias=False), NORMALISED, RELU),
            *(GlobalAveragePooling2D(), Dense(10), Activation("softmax")),
        ),
        summary="4 | 6-6 | pool+dense",
    )


def test_everything_else() -> None:
    values = PLAIN | {"convolution": "separable", "bias": True, "order": "conv_relu_bn", "padding": "valid"}
    values |= {"transition": True, "dropout": 0.1, "stem": 0.5, "first_convs": 2}
    ending = (NORMALISED, Dropout(0.1))
    assert at(Compact((28, 28, 1)), values) == Architecture(
        (28, 28, 1),
        (
            *(Conv2D(2, activation="relu"), *ending),
            *(DepthwiseConv2D(3, use_bias=False), Conv2D(4, 1, activation="relu"), *ending, MaxPooling2D()),
            *(Conv2D(2, 1, activation="relu"), NORMALISED),
            *(DepthwiseConv2D(3, use_bias=False), Conv2D(6, 1, activation="relu"), *ending),
            *(DepthwiseConv2D(3, use_bias=False), Conv2D(6, 1, activation="relu"), *ending),
            *(GlobalAveragePooling2D(), Dense(10), Activation("softmax")),
        ),
        summary="2-s4 | p2-s6-s6 | pool+dense",
    )


def test_a_residual_addition_goes_around_a_unit_that_keeps_the_shape() -> None:
    layers = at(Compact(), PLAIN | {"residual": True, "dropout": 0.1, "first_convs": 2}).layers
    assert [place for place, layer in enumerate(layers) if layer == Add(4)] == [8, 18]
    assert at(Compact(), PLAIN | {"residual": True, "growth": 1.0}).summary == "4 | 4+-4+ | pool+dense"
    assert at(Compact(), PLAIN | {"residual": True, "padding": "valid"}).summary == "4 | 6-6 | pool+dense"


@pytest.mark.parametrize("head", HEADS)
def test_heads(head: str) -> None:
    layers = at(Compact((8, 12, 1)), PLAIN | {"head": head}).layers[10:]
    last = (Dense(10), Activation("softmax"))
    assert (
        layers
        == {
            "pool_dense": (GlobalAveragePooling2D(), *last),
            "depthwise_dense": (DepthwiseConv2D((4, 6), use_bias=False), Flatten(), *last),
            "flatten_dense": (Flatten(), *last),
        }[head]
    )


def test_valid_convolutions_are_padded_where_the_map_has_become_small() -> None:
    network = at(Compact((14, 14, 1)), PLAIN | {"padding": "valid", "convs": 3})
    assert [shape[0] for shape in network.shapes if len(shape) == 3] == [12] * 3 + [6] + [4] * 9


def test_images_too_small_for_the_poolings_are_infeasible() -> None:
    with pytest.raises(InfeasibleArchitecture, match="MaxPooling2D would shrink a 1x1 map"):
        cost(at(Compact((7, 7, 1)), PLAIN | {"blocks": 4}))
    with pytest.raises(InfeasibleArchitecture, match="MaxPooling2D would shrink a 1x1 map"):
        at(Compact((7, 7, 1), parameters=900), PLAIN | {"blocks": 4})


@pytest.mark.parametrize(
    ("values", "recipe"),
    [
        (
            {},
            Recipe(0.01, 64, "one_cycle", warm_up=0.3, augmentation=Augmentation(8.0, 0.08, 0.1, share=0.7)),
        ),
        (
            {"optimizer": "sgd", "augment": "none", "averaging": 0.99, "label_smoothing": 0.1},
            Recipe(
                0.1,
                64,
                "one_cycle",
                optimizer="sgd",
                weight_decay=1e-3,
                warm_up=0.3,
                label_smoothing=0.1,
                averaging=0.99,
            ),
        ),
        (
            {"optimizer": "adamw", "augment": "none", "schedule": "inverse_time"},
            Recipe(0.01, 64, "inverse_time", 0.3, "adamw", weight_decay=1e-3, warm_up=0.3),
        ),
    ],
)
def test_recipes(values: dict[str, Any], recipe: Recipe) -> None:
    assert Compact().recipe(Point(RECIPE | values)) == recipe


@pytest.mark.parametrize(("parameters", "smaller"), [(None, False), (4_000, False), (15_000, False), (4_000, True)])
def test_the_starting_points_are_in_the_space(parameters: int | None, smaller: bool) -> None:
    space = Compact(parameters=parameters, smaller=smaller)
    for values in space.starting_points().values():
        hp = declared(space)
        hp.values = dict(values)
        active = {known.name for known in hp.space if hp.is_active(known)}
        assert active == values.keys()
        ParameterSpace(hp.space).encode(values)  # refuses a value between two steps
        if parameters is not None:
            assert 0.9 * parameters < space.cost(hp).params <= parameters


def test_a_starting_point_at_4000_parameters_is_the_network_that_was_measured() -> None:
    network = at(Compact(parameters=4_000), dict(Compact(parameters=4_000).starting_points()["same"]))
    assert network.summary == "4-4-4 | 8-8-8 | 8-8-8 | pool+dense"
    assert cost(network).params == 3_822


def test_the_first_starting_point_is_the_champion_that_a_search_found() -> None:
    space = Compact(parameters=15_000)
    points = space.starting_points()
    assert list(points) == ["separable", "same", "valid"]
    champion = CHAMPIONS["compact-15000"].values
    network = at(space, {**points["separable"], "fill": champion["fill"]})
    assert network.summary == "15 | p15-s53-s53-s53-s54 | pool+dense"
    assert space.recipe(Point(points["separable"])) == space.recipe(Point(champion))


def test_the_ends_of_every_range_can_be_reached() -> None:
    """KerasTuner computes in binary fractions: five steps of 0.1 from 0.5 do not reach 1.0."""
    for hp in declared(Compact(parameters=4_000)).space:
        if isinstance(hp, keras_tuner_hyperparameters.Float) and hp.step is not None:
            values: Any = hp.values
            assert max(values) == pytest.approx(hp.max_value), hp.name


@pytest.mark.parametrize("parameters", [0, -1, 2.5, "many"])
def test_a_number_of_parameters_that_is_none_is_refused(parameters: Any) -> None:
    with pytest.raises(InputError, match="give a whole number of at least 1, or None"):
        Compact(parameters=parameters)
