"""Every point of a finite space, once."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from optuna.samplers import RandomSampler

from ..errors import InputError
from .distributions import ParameterSpace, Values

LARGEST_GRID = 100_000
"""Points that are listed at most."""


@final
class Grid:
    """The points of a space, shuffled by a seed: the order is the same in every process and on every resume.

    It is used in place of a function from a proposal's number to an Optuna sampler. Optuna's own grid samplers end
    `study.optimize`, and do not skip points that were tried or refused before.

    Args:
        seed: of the order.
        given: the values of every hyperparameter; None for all that there are.
        name: of the sampler, for messages.
    """

    def __init__(self, seed: int, given: Mapping[str, Sequence[Any]] | None = None, name: str = "grid") -> None:
        self._seed = seed
        self._given = given
        self._name = name
        self._space: ParameterSpace | None = None
        self._points: Sequence[Values] = ()
        self._position = 0

    def __call__(self, number: int) -> RandomSampler:
        """A random sampler, for places that need one of Optuna's."""
        return RandomSampler(seed=(self._seed + number) % 2**32)

    def next(self, space: ParameterSpace, is_settled: Callable[[Values], bool]) -> Values | None:
        """The next point that is not settled; None when all are. Raises InputError for a space that is no grid."""
        if self._space is not space:
            self._points, self._space, self._position = self._listed(space), space, 0
        begun_at = self._position
        if (position := self._first_open(begun_at, len(self._points), is_settled)) is None:
            position = self._first_open(0, begun_at, is_settled)  # an interrupted trial leaves its point open again
        self._position = len(self._points) if position is None else position
        return None if position is None else self._points[position]

    def _first_open(self, start: int, end: int, is_settled: Callable[[Values], bool]) -> int | None:
        return next((index for index in range(start, end) if not is_settled(self._points[index])), None)

    def check(self, space: ParameterSpace) -> None:
        """Raises InputError for a space with infinitely many points, or too many to list, or without a given value."""
        self._points, self._space, self._position = self._listed(space), space, 0

    def _listed(self, space: ParameterSpace) -> Sequence[Values]:
        if self._given is not None and (missing := space.tunable - self._given.keys()):
            raise InputError(
                f"sampler {self._name} has no values for {', '.join(map(repr, sorted(missing)))}: give some for every "
                'hyperparameter, or the sampler "grid", which takes all'
            )
        points = space.points(LARGEST_GRID, self._given)
        if points is not None:
            random.Random(self._seed).shuffle(points)
            return points
        if endless := [] if self._given else space.unlistable(LARGEST_GRID):
            raise InputError(
                f"sampler {self._name} cannot try every value of {', '.join(map(repr, endless))}, which has more than "
                f"{LARGEST_GRID:,}: give it a step or choices, or choose another sampler"
            )
        raise InputError(
            f"sampler {self._name} cannot list this space, which has more than {LARGEST_GRID:,} points: give its "
            "hyperparameters fewer values, or choose another sampler"
        )
