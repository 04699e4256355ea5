"""The first proposals of a study: feasible, within the budget, spread over it, and the same in every process."""

import random
import statistics

import keras_tuner
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from kerastuna.search.proposals.distributions import ParameterSpace, Values
from kerastuna.search.proposals.start import Start, drawn
from kerastuna.search.study.budget import Budget, Size
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.cost import cost
from kerastuna.spaces.errors import InfeasibleArchitecture
from kerastuna.spaces.point import Point


def convnet() -> ParameterSpace:
    hp = keras_tuner.HyperParameters()
    ConvNet().declare_hyperparameters(hp)
    return ParameterSpace(hp.space)


SPACE = convnet()


def measure(values: Values) -> Size:
    counted = cost(ConvNet().architecture(Point(values)))
    return Size(counted.params, counted.macs, receptive_field=counted.receptive_field)


def sizes(start: Start, numbers: range) -> list[Size]:
    points = [start.point(number, SPACE) for number in numbers]
    return [measure(point) for point in points if point is not None]


def test_they_fit_and_are_spread_over_the_upper_half_of_the_budget() -> None:
    found = sizes(Start(0, Budget(15_000), measure, looks_for_small=False), range(40))
    shares = sorted(size.params / 15_000 for size in found)
    assert len(found) == 40
    assert shares[-1] <= 1
    assert 0.65 < statistics.median(shares) < 0.85
    assert sum(share < 0.45 for share in shares) <= 2
    tenths = {int(share * 10) for share in shares}
    assert tenths >= {5, 6, 7, 8, 9}


def test_hardly_any_sees_less_than_half_of_the_image() -> None:
    found = sizes(Start(0, Budget(15_000), measure, looks_for_small=False), range(40))
    assert sum((size.receptive_field or 0) < 14 for size in found) <= 2


def test_where_small_networks_are_looked_for_some_are_small() -> None:
    found = sizes(Start(0, Budget(15_000), measure, looks_for_small=True), range(40))
    shares = sorted(size.params / 15_000 for size in found)
    assert shares[10] < 0.3
    assert shares[-1] > 0.6


def test_the_largest_share_of_several_limits_counts() -> None:
    budget = Budget(15_000, macs=1_000_000)
    found = sizes(Start(0, budget, measure, looks_for_small=False), range(20))
    assert all(budget.allows(size) for size in found)
    assert statistics.median(max(size.params / 15e3, (size.macs or 0) / 1e6) for size in found) > 0.6


def test_a_proposal_depends_on_the_seed_and_its_number_alone() -> None:
    one, other = (Start(3, Budget(15_000), measure, looks_for_small=False) for _ in range(2))
    forth = [one.point(number, SPACE) for number in range(6)]
    assert [other.point(number, SPACE) for number in reversed(range(6))] == forth[::-1]
    assert len({str(point) for point in forth}) == 6
    assert Start(4, Budget(15_000), measure, looks_for_small=False).point(0, SPACE) != forth[0]


def test_without_a_budget_any_network_that_fits_the_input_will_do() -> None:
    assert len(sizes(Start(0, None, measure, looks_for_small=False), range(5))) == 5


def test_there_is_none_where_nothing_may_be_trained() -> None:
    def infeasible(values: Values) -> Size:
        raise InfeasibleArchitecture("never")

    assert Start(0, Budget(1), measure, looks_for_small=False).point(0, SPACE) is None
    assert Start(0, None, infeasible, looks_for_small=False).point(0, SPACE) is None
    assert Start(0, Budget(1), lambda values: None, looks_for_small=False).point(0, SPACE) is None


@pytest.mark.parametrize(
    ("distribution", "median"),
    [
        (CategoricalDistribution(["a", "b", "c"]), None),
        (IntDistribution(3, 11, step=2), 7),
        (IntDistribution(1, 64, log=True), 8),
        (FloatDistribution(0.0, 0.25, step=0.05), 0.1),
        (FloatDistribution(1e-4, 1e-2, log=True), 1e-3),
        (FloatDistribution(-1.0, 3.0), 1.0),
        (FloatDistribution(2.0, 2.0), 2.0),
    ],
)
def test_a_value_is_in_its_distribution(distribution: BaseDistribution, median: float | None) -> None:
    draw = random.Random(0)
    values = [drawn(distribution, draw) for _ in range(400)]
    for value in values:
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING, params={"x": value}, distributions={"x": distribution}
        )
    if median is None:
        assert {values.count(choice) > 100 for choice in "abc"} == {True}
    else:
        assert statistics.median(values) == pytest.approx(median, rel=0.25, abs=0.05)
