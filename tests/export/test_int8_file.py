"""Reading an int8 file: its whole-number constants. Whole networks are read in test_c_program.py."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.search.export.int8_file import multiplier_of


@given(st.floats(2**-28, 2**20))
def test_a_factor_is_a_multiplier_of_31_bits_and_a_shift(real: float) -> None:
    multiplier, shift = multiplier_of(real)
    assert 2**30 <= multiplier < 2**31
    assert math.isclose(multiplier * 2.0 ** (shift - 31), real, rel_tol=2**-30)


@pytest.mark.parametrize(
    ("real", "expected"),
    [(0.0, (0, 0)), (1.0, (2**30, 1)), (0.5, (2**30, 0)), (1 - 2**-40, (2**30, 1)), (2.0**-40, (0, 0))],
)
def test_the_ends(real: float, expected: tuple[int, int]) -> None:
    assert multiplier_of(real) == expected
