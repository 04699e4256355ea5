"""The learning rate of every epoch, and what a recipe refuses."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.spaces.augmentation import Augmentation
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


def test_one_cycle_rises_to_its_peak_and_falls_in_straight_lines() -> None:
    recipe = Recipe(0.01, 64, "one_cycle", warm_up=0.25, start_factor=0.1, end_factor=0.2)

    assert [recipe.learning_rate_at(epoch, 8) for epoch in (0, 1, 2, 5, 8)] == [0.001, 0.0055, 0.01, 0.006, 0.002]
    assert recipe.learning_rates_in(1, 8, steps=2) == [0.0055, 0.00775]
    assert recipe.changes_within_epochs


@pytest.mark.parametrize("decay", ["constant", "inverse_time", "exponential", "cosine"])
def test_a_decay_begins_when_the_warm_up_ends(decay: Decay) -> None:
    plain = Recipe(0.01, 64, decay, 0.3)
    warmed = dataclasses.replace(plain, warm_up=0.5, start_factor=0.0)

    assert [warmed.learning_rate_at(epoch, 4) for epoch in (0, 0.5, 1, 1.5)] == [0.0, 0.0025, 0.005, 0.0075]
    after = [warmed.learning_rate_at(2 + epoch, 4) for epoch in (0, 0.5, 1, 1.5)]
    assert after == [plain.learning_rate_at(epoch, 2) for epoch in (0, 0.5, 1, 1.5)]
    assert warmed.changes_within_epochs


def test_without_a_warm_up_the_rate_changes_from_epoch_to_epoch() -> None:
    recipe = Recipe(0.01, 64, "cosine")

    assert recipe.learning_rates_in(1, 4, steps=3) == [recipe.learning_rate_at(1, 4)] * 3
    assert not recipe.changes_within_epochs


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
        (lambda: Recipe(0.1, 64, optimizer="lion"), "optimizer='lion'"),  # pyright: ignore[reportArgumentType]
        (lambda: Recipe(0.1, 64, optimizer="sgd", weight_decay=-1), "weight_decay=-1"),
        (lambda: Recipe(0.1, 64, weight_decay=0.1), "weight_decay=0.1"),
        (lambda: Recipe(0.1, 64, warm_up=1.0), "warm_up=1.0"),
        (lambda: Recipe(0.1, 64, "one_cycle"), "warm_up=0.0"),
        (lambda: Recipe(0.1, 64, start_factor=1.1), "start_factor=1.1"),
        (lambda: Recipe(0.1, 64, end_factor=-0.1), "end_factor=-0.1"),
        (lambda: Recipe(0.1, 64, label_smoothing=1), "label_smoothing=1"),
        (lambda: Recipe(0.1, 64, averaging=math.nan), "averaging=nan"),
        (lambda: Recipe(0.1, 64, augmentation={"zoom": 0.1}), "augmentation={"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_is_not_allowed_is_refused_by_name(make: Callable[[], Recipe], given: str) -> None:
    with pytest.raises(InputError) as caught:
        make()

    assert given in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_decay_is_told_the_known_ones() -> None:
    with pytest.raises(InputError, match="constant, inverse_time, exponential, cosine, one_cycle"):
        Recipe(0.1, 64, "step")  # pyright: ignore[reportArgumentType]


def test_a_recipe_is_a_value() -> None:
    recipe = Recipe(0.003, 64, "inverse_time", 0.319, augmentation=Augmentation(zoom=0.1))

    assert recipe in {dataclasses.replace(recipe)}
    assert recipe == dataclasses.replace(recipe)
    assert recipe != dataclasses.replace(recipe, batch_size=128)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.batch_size = 32  # pyright: ignore[reportAttributeAccessIssue]
