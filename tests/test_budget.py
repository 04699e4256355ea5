"""The limits of a network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.search.budget import Budget, Size
from kerastuna.search.errors import InputError


@given(st.integers(1, 10**12), st.integers(0, 10**12))
def test_a_size_is_allowed_up_to_the_budget_and_not_one_above(limit: int, params: int) -> None:
    budget = Budget(limit)
    assert budget.allows(Size(params)) == (params <= limit)
    assert budget.excess(Size(params)) == {"params": params - limit}
    assert budget.allows(Size(limit))
    assert not budget.allows(Size(limit + 1))


@pytest.mark.parametrize("params", [0, -1, float("nan")])
def test_a_budget_below_one_is_refused(params: float) -> None:
    with pytest.raises(InputError, match=f"a budget of {params} parameters: give a whole number of at least 1"):
        Budget(params)  # type: ignore[arg-type]
