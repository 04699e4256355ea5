"""A proposal that is over the budget, with narrower layers, so that it fits.

A sampler that looks for accuracy proposes large networks. Where they are only refused, what is trained in the end are
its exceptions: few layers, or a head that it would seldom choose. So the layers that it chose are kept, and their
widths multiplied by the largest factor that fits, as a width multiplier does (MobileNets, arXiv:1704.04861).
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import final

from ..errors import InfeasibleArchitecture
from ..study.budget import Budget, Size
from .distributions import ParameterSpace, Value, Values

MOST_VALUES = 10_000
"""A whole number with more values than that is left as it is."""
HALVINGS = 10
"""Of the range in which the factor lies. Each counts a network, which takes a tenth of a millisecond."""


@final
class Narrower:
    """Makes proposals fit the budget.

    Args:
        budget: the limits.
        measure: the size of the network at some values, in closed form. May raise InfeasibleArchitecture.
    """

    def __init__(self, budget: Budget, measure: Callable[[Values], Size | None]) -> None:
        self._budget = budget
        self._measure = measure

    def point(self, values: Values, size: Size, space: ParameterSpace) -> dict[str, Value] | None:
        """These values of a network of this `size` with narrower layers, which fit; None where the narrowest do not.

        A width is a whole number from 0 on whose least value makes the network smaller, with as many layers as before.
        No other hyperparameter depends on it.
        """
        widths = {
            name: choices
            for name, choices in space.whole_numbers(values, MOST_VALUES).items()
            if choices[0] >= 0 and self._is_width(name, choices[0], values, size)
        }
        fitting = self._if_it_fits(_narrowed(values, widths, 0.0))
        low, high = 0.0, 1.0
        for _ in range(HALVINGS if fitting else 0):
            factor = (low + high) / 2
            if found := self._if_it_fits(_narrowed(values, widths, factor)):
                fitting, low = found, factor
            else:
                high = factor
        return fitting

    def _is_width(self, name: str, least: Value, values: Values, size: Size) -> bool:
        narrowest = self._size({**values, name: least})
        return (
            narrowest is not None
            and narrowest.depth == size.depth
            and any(getattr(narrowest, cost) < getattr(size, cost) for cost in self._budget.limits)
        )

    def _if_it_fits(self, values: dict[str, Value]) -> dict[str, Value] | None:
        size = self._size(values)
        return values if size is not None and self._budget.allows(size) else None

    def _size(self, values: Values) -> Size | None:
        try:
            return self._measure(values)
        except InfeasibleArchitecture:
            return None


def _narrowed(values: Values, widths: Mapping[str, Sequence[int]], factor: float) -> dict[str, Value]:
    """The values with every width, of those in ascending order, at most `factor` times as large, or the least."""
    narrower = {
        name: choices[max(bisect_right(choices, factor * float(values[name])) - 1, 0)]
        for name, choices in widths.items()
    }
    return {**values, **narrower}
