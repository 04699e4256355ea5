"""The learning rate of every epoch, and what a recipe refuses."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.spaces.errors import InputError
from kerastuna.spaces.recipe import Decay, Recipe

EPOCHS = 20


def rates(decay: Decay, decay_rate: float = 0.0, learning_rate: float = 0.003) -> list[float]:
    recipe = Recipe(learning_rate, batch_size=64, decay=decay, decay_rate=decay_rate)
    return [recipe.learning_rate_at(epoch, EPOCHS) for epoch in range(EPOCHS)]


def test_inverse_time_decay_gives_the_learning_rates_of_the_references() -> None:
    decayed = rates("inverse_time", 0.319)

    assert decayed[:3] == [0.003, 0.0022744503, 0.0018315018]  # as published
    assert decayed[19] == 0.000424869
    exact = [Decimal("0.003") / (1 + Decimal("0.319") * epoch) for epoch in range(EPOCHS)]
    assert decayed == [float(round(rate, 10)) for rate in exact]


def test_constant_never_changes() -> None:
    assert rates("constant", 0.5) == [0.003] * EPOCHS


def test_exponential_decay_multiplies_by_the_same_factor() -> None:
    decayed = rates("exponential", 0.25)

    assert decayed[0] == 0.003
    assert decayed[4] == round(0.003 / math.e, 10)
    for before, after in itertools.pairwise(decayed):
        assert after / before == pytest.approx(math.exp(-0.25), rel=1e-5)


def test_cosine_halves_at_half_time_and_goes_towards_zero_without_restarts() -> None:
    decayed = rates("cosine", 0.7)

    assert decayed[0] == 0.003
    assert decayed[EPOCHS // 2] == 0.0015
    assert decayed[5] + decayed[15] == pytest.approx(0.003)
    assert decayed[-1] == round(0.003 * math.cos(math.pi * 19 / 40) ** 2, 10)  # by the half-angle formula
    assert decayed == sorted(decayed, reverse=True)
    assert Recipe(0.003, 64, "cosine").learning_rate_at(EPOCHS, EPOCHS) == 0


@given(
    learning_rate=st.floats(1e-4, 1.0),
    decay=st.sampled_from(["constant", "inverse_time", "exponential", "cosine"]),
    decay_rate=st.floats(0, 2),
    epochs=st.integers(1, 60),
)
def test_every_schedule_starts_at_its_learning_rate_and_never_rises(
    learning_rate: float, decay: Decay, decay_rate: float, epochs: int
) -> None:
    recipe = Recipe(learning_rate, 64, decay, decay_rate)

    decayed = [recipe.learning_rate_at(epoch, epochs) for epoch in range(epochs)]

    assert decayed[0] == pytest.approx(learning_rate, abs=1e-10)
    assert decayed == sorted(decayed, reverse=True)
    assert min(decayed) >= 0
    assert decayed == [round(rate, 10) for rate in decayed]


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: Recipe(0.0, 64), "learning_rate=0.0"),
        (lambda: Recipe(-0.1, 64), "learning_rate=-0.1"),
        (lambda: Recipe(math.nan, 64), "learning_rate=nan"),
        (lambda: Recipe(0.1, 0), "batch_size=0"),
        (lambda: Recipe(0.1, 64, "linear"), "decay='linear'"),  # pyright: ignore[reportArgumentType]
        (lambda: Recipe(0.1, 64, "exponential", -1.0), "decay_rate=-1.0"),
        (lambda: Recipe(0.1, 64, "exponential", math.nan), "decay_rate=nan"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(make: Callable[[], Recipe], given: str) -> None:
    with pytest.raises(InputError) as caught:
        make()

    assert given in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_decay_is_told_the_known_ones() -> None:
    with pytest.raises(InputError, match="constant, inverse_time, exponential, cosine"):
        Recipe(0.1, 64, "step")  # pyright: ignore[reportArgumentType]


def test_a_recipe_is_a_value() -> None:
    recipe = Recipe(0.003, 64, "inverse_time", 0.319)

    assert recipe == dataclasses.replace(recipe)
    assert recipe != dataclasses.replace(recipe, batch_size=128)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.batch_size = 32  # pyright: ignore[reportAttributeAccessIssue]
