"""How values of hyperparameters are placed on axes, and which hyperparameters are shown."""

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from kerastuna.search.errors import CannotDraw
from kerastuna.search.report.hyperparameter_axes import (
    INACTIVE,
    MOST_AXES,
    folded,
    is_logarithmic,
    is_number,
    most_telling,
    most_telling_first,
    scale,
)

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-4, 1e-2, log=True),
    "head": CategoricalDistribution(["gap", "conv", "dense"]),
    "width": IntDistribution(1, 9),
}


def trial(**params: object) -> FrozenTrial:
    distributions = {name: SPACE[name] for name in params}
    return create_trial(value=0.5, params=dict(params), distributions=distributions)


def numbered(*trials: FrozenTrial) -> list[FrozenTrial]:
    for number, made in enumerate(trials):
        made.number = number
    return list(trials)


def no_importances() -> dict[str, float]:
    raise CannotDraw("too few")


def test_values_are_placed_as_they_were_sampled() -> None:
    sampled = ((1e-4, "dense"), (1e-3, "gap"), (1e-2, "conv"))
    trials = numbered(*(trial(rate=rate, head=head) for rate, head in sampled), trial(width=3))
    places, ticks = scale("rate", trials)
    assert places == pytest.approx([0, 0.5, 1, INACTIVE])
    assert [text for _, text in ticks] == ["0.0001", "0.001", "0.01"]
    assert scale("head", trials) == ([1, 0, 0.5, INACTIVE], [(0, "gap"), (0.5, "conv"), (1, "dense")])
    assert scale("width", trials)[0] == [INACTIVE, INACTIVE, INACTIVE, 0.5]  # a single value is in the middle


def test_ticks_keep_their_distance_and_the_largest_value_has_one() -> None:
    places, ticks = scale("width", numbered(*(trial(width=width) for width in (1, 8, 9))))
    assert places == [0, 0.875, 1]
    assert ticks == [(0, "1"), (0.875, "8"), (1, "9")]
    trials = numbered(*(trial(rate=rate) for rate in (1e-4, 9.5e-3, 1e-2)))
    assert [text for _, text in scale("rate", trials)[1]] == ["0.0001", "0.01"]


def test_without_importances_the_most_frequent_ones_that_vary_are_shown() -> None:
    trials = [trial(rate=1e-3, width=1, head="gap"), trial(rate=1e-2, width=1), trial(rate=1e-4, head="conv")]
    assert most_telling(trials, no_importances) == ["rate", "head"]
    assert most_telling(trials, lambda: {"head": 0.7, "width": 0.2, "rate": 0.1}) == ["head", "rate"]
    with pytest.raises(CannotDraw, match="no hyperparameter has several values"):
        most_telling(trials[:1], no_importances)


def test_a_figure_has_room_for_the_first_ones() -> None:
    names = [f"p{number}" for number in range(MOST_AXES + 2)]
    trials = [
        create_trial(value=0.5, params=dict.fromkeys(names, x), distributions=dict.fromkeys(names, SPACE["width"]))
        for x in (1, 2)
    ]
    order = dict.fromkeys(reversed(names), 1.0)
    assert most_telling_first(trials, lambda: order) == list(order)
    assert most_telling(trials, lambda: order) == list(order)[:MOST_AXES]


def test_numbers_are_told_from_choices_and_ratios_from_differences() -> None:
    trials = [trial(rate=1e-3, head="gap", width=1), trial(rate=1e-2, width=2), trial(width=4)]
    assert [is_number(name, trials) for name in ("rate", "head", "width")] == [True, False, True]
    assert [is_logarithmic(name, trials) for name in ("rate", "width")] == [True, False]
    for stepped in trials:  # the value of an index, as a logarithmic range with a step has it
        stepped.set_user_attr("hyperparameters", {"width": 10 ** stepped.params["width"]})
    assert is_logarithmic("width", trials)
    for stepped in trials:
        stepped.set_user_attr("hyperparameters", {"width": 0.5 + stepped.params["width"] / 3})
    assert not is_logarithmic("width", trials)
    assert not is_logarithmic("width", trials[:1])


def test_a_long_name_is_folded_after_underscores() -> None:
    assert folded("block2_pointwise_width") == "block2_\npointwise_\nwidth"
