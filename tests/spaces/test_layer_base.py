"""The base classes of layers: how a window's output shape follows from its input, and how arguments are checked."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.spaces.errors import InfeasibleArchitecture, InputError
from kerastuna.spaces.layer_base import (
    Padding,
    SameShape,
    Window,
    check_padding,
    check_whole,
    check_window,
    map_shape,
    sides,
)


@dataclass(frozen=True)
class Sliding(Window):
    """A window of a kind that the package does not have."""

    window_sides: tuple[int, int]
    stride: int
    padding: Padding

    @property
    def window(self) -> tuple[int, int]:
        return self.window_sides

    @property
    def step(self) -> tuple[int, Padding]:
        return self.stride, self.padding

    def output_channels(self, channels: int) -> int:
        return 10 * channels


@dataclass(frozen=True)
class Unchanged(SameShape):
    pass


SIDES = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(window=SIDES, stride=st.integers(1, 4), image=st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_a_window_is_placed_as_often_as_it_fits(window: tuple[int, int], stride: int, image: tuple[int, int]) -> None:
    inside = [range(0, side - length + 1, stride) for side, length in zip(image, window, strict=True)]
    everywhere = [range(0, side, stride) for side in image]

    assert Sliding(window, stride, "same").output_shape((*image, 3)) == (*map(len, everywhere), 30)
    if all(inside):
        assert Sliding(window, stride, "valid").output_shape((*image, 3)) == (*map(len, inside), 30)
    else:
        with pytest.raises(
            InfeasibleArchitecture, match=r"window of Sliding would shrink a \d+x\d+ map below one pixel"
        ):
            Sliding(window, stride, "valid").output_shape((*image, 3))


def test_a_layer_that_changes_no_shape_takes_maps_and_vectors() -> None:
    assert Unchanged().output_shape((5, 8, 7)) == (5, 8, 7)
    assert Unchanged().output_shape((9,)) == (9,)


def test_a_layer_is_of_the_kind_that_its_class_names() -> None:
    assert Unchanged().kind == "Unchanged"


def test_a_vector_is_not_a_map() -> None:
    assert map_shape(Unchanged(), (4, 5, 6)) == (4, 5, 6)
    with pytest.raises(InfeasibleArchitecture, match=r"Unchanged needs a map \(height, width, channels\), got \(9,\)"):
        map_shape(Unchanged(), (9,))


def test_one_side_stands_for_a_square() -> None:
    assert sides(3) == (3, 3)
    assert sides((2, 5)) == (2, 5)


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", None, (2, 2)])
def test_a_number_must_be_whole_and_at_least_one(value: Any) -> None:
    check_whole(Unchanged(), width=1)
    with pytest.raises(InputError, match=r"^Unchanged\(width=.*\): width is a whole number of at least 1$"):
        check_whole(Unchanged(), width=value)


@pytest.mark.parametrize("value", [0, 2.0, (1, 0), (1,), (1, 2, 3), "3"])
def test_a_window_must_be_a_side_or_two(value: Any) -> None:
    check_window(Unchanged(), size=2, other=(3, 4))
    with pytest.raises(InputError, match=r"^Unchanged\(size=.*\): size is a whole number of at least 1, or a pair"):
        check_window(Unchanged(), size=value)


def test_padding_is_one_of_two() -> None:
    check_padding(Unchanged(), "valid")
    check_padding(Unchanged(), "same")
    with pytest.raises(InputError, match=r"^Unchanged\(padding='full'\): padding is \"valid\" or \"same\"$"):
        check_padding(Unchanged(), "full")
