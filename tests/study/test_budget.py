"""The limits of a network."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.search.study.budget import COSTS, Budget, Size, as_budget
from kerastuna.spaces.errors import InputError

amounts = st.integers(1, 10**12)


@given(amounts, st.integers(0, 10**12))
def test_a_size_is_allowed_up_to_the_budget_and_not_one_above(limit: int, params: int) -> None:
    budget = Budget(limit)
    assert budget.allows(Size(params)) == (params <= limit)
    assert budget.excess(Size(params)) == {"params": params - limit}
    assert budget.allows(Size(limit))
    assert not budget.allows(Size(limit + 1))


@given(
    st.dictionaries(st.sampled_from(sorted(COSTS)), amounts, min_size=1),
    st.fixed_dictionaries(dict.fromkeys(COSTS, amounts)),
)
def test_every_limit_that_is_set_holds_by_itself(limits: dict[str, int], counted: dict[str, Any]) -> None:
    budget, size = Budget(**limits), Size(**counted)
    assert budget.limits == limits
    assert set(budget.broken(size)) == {name for name, limit in limits.items() if counted[name] > limit}
    assert budget.allows(size) == (not budget.broken(size))
    assert {name for name, excess in budget.excess(size).items() if excess > 0} == set(budget.broken(size))


def test_a_complaint_names_each_limit_that_is_broken_with_both_figures() -> None:
    budget = Budget(15_000, macs=3_000_000, ram=65_536)
    assert str(budget) == "15,000 parameters and 3,000,000 MACs and 65,536 bytes of RAM"
    assert budget.complaint(Size(16_290, 10, 10)) == "16,290 parameters, 15,000 allowed"
    told = budget.complaint(Size(10, 3_000_001, 70_000))
    assert told == "3,000,001 MACs, 3,000,000 allowed; 70,000 bytes of RAM, 65,536 allowed"


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"params": 0}, "a budget of 0 parameters"),
        ({"params": -1}, "a budget of -1 parameters"),
        ({"params": float("nan")}, "a budget of nan parameters"),
        ({"params": True}, "a budget of True parameters"),
        ({"params": 10, "macs": 0.5}, "a budget of 0.5 MACs"),
        ({"ram": "64K"}, "a budget of 64K bytes of RAM"),
    ],
)
def test_a_limit_that_is_no_whole_number_is_refused(limits: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=f"{told}: give a whole number of at least 1"):
        Budget(**limits)


def test_a_budget_without_a_limit_is_refused() -> None:
    with pytest.raises(InputError, match="a budget without a limit: give params, macs, ram, flash, activations, or"):
        Budget()


def test_amounts_are_told_of_what_is_limited_alone() -> None:
    budget = Budget(macs=3_000_000, ram=65_536)
    told = budget.amounts({"params": 14_652, "macs": 2_000_000, "ram": 4096})
    assert told == "2,000,000 MACs and 4,096 bytes of RAM"


@pytest.mark.parametrize(
    ("stored", "budget"),
    [(None, None), (15_000, Budget(15_000)), ({"params": 15_000, "macs": 9}, Budget(15_000, macs=9))],
)
def test_a_budget_is_read_from_its_stored_form(stored: Any, budget: Budget | None) -> None:
    assert as_budget(stored) == budget
    if isinstance(stored, dict) and budget is not None:
        assert budget.limits == stored


def test_costs_that_are_limited_have_to_be_known_to_be_allowed() -> None:
    budget = Budget(9, macs=5)
    assert budget.allows_costs({"params": 9, "macs": 5, "ram": 99})
    for costs in ({"params": 10, "macs": 5}, {"params": 9, "macs": 6}, {"params": 9, "macs": None}, {"params": 9}, {}):
        assert not budget.allows_costs(costs)
