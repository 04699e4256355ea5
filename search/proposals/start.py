"""The first proposals of a study whose networks are counted in closed form: spread over the budget, and none hopeless.

Random points of a space crowd where the budget does not: too large, infeasible, or with a fraction of the parameters
that are allowed. Counting one takes a tenth of a millisecond, training it minutes. So for each of the first proposals
many random points are counted, and one is chosen.
"""

import math
import random
from collections.abc import Callable
from itertools import islice
from typing import Any, final

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ..errors import InfeasibleArchitecture
from ..study.budget import Budget, Size
from ..study.seeds import derive_seed
from .distributions import ParameterSpace, Values

FIRST_TRIALS = 10
"""Trials before the sampler decides: as many as Optuna's TPE proposes at random."""
CANDIDATES, MOST_DRAWN = 30, 500
"""For a proposal, random points are counted until so many may be trained, or so many were drawn."""
SMALLEST_SHARE, SMALLEST_SHARE_OF_SMALL = 0.5, 0.02
"""The smallest share of the budget that is aimed at; the second where small networks are looked for."""
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


@final
class Start:
    """Chooses the first proposals of a study.

    The shares of the budget that are aimed at follow the golden ratio, by which any number of consecutive proposals is
    spread evenly. Of the candidates that are feasible and within the budget, those are preferred whose receptive field
    is at least half of the largest among them, and of these the one whose share is the nearest.

    Args:
        seed: of the study. A proposal depends on it and on the proposal's number, and on nothing else.
        budget: the limits; None for none: then the share plays no part.
        measure: the size of the network at some values. May raise InfeasibleArchitecture.
        looks_for_small: whether a small network is part of the goal.
    """

    def __init__(
        self, seed: int, budget: Budget | None, measure: Callable[[Values], Size | None], *, looks_for_small: bool
    ) -> None:
        self._seed = seed
        self._budget = budget
        self._measure = measure
        self._looks_for_small = looks_for_small
        self._first = random.Random(derive_seed(seed, "start")).random()

    def point(self, number: int, space: ParameterSpace) -> Values | None:
        """The values of proposal `number`; None when no candidate may be trained."""
        draw = random.Random(derive_seed(self._seed, "start", number))
        target = self._target(number)
        counted = (self._counted(space, draw) for _ in range(MOST_DRAWN))
        candidates = list(islice(filter(None, counted), CANDIDATES))
        wanted = max((field for _, _, field in candidates), default=0) / 2
        ranked = [(field < wanted, abs(share - target), values) for values, share, field in candidates]
        return min(ranked, key=lambda ranked: ranked[:2])[2] if ranked else None

    def _target(self, number: int) -> float:
        position = (self._first + number * GOLDEN_RATIO) % 1
        if self._looks_for_small:
            return SMALLEST_SHARE_OF_SMALL ** (1 - position)
        return SMALLEST_SHARE + (1 - SMALLEST_SHARE) * position

    def _counted(self, space: ParameterSpace, draw: random.Random) -> tuple[Values, float, int] | None:
        """A random point with its share of the budget and its receptive field; None for one that may not be trained."""
        values = space.fill(lambda parameter: drawn(parameter.distribution, draw))
        try:
            size = self._measure(values)
        except InfeasibleArchitecture:
            return None
        if size is None or (self._budget is not None and not self._budget.allows(size)):
            return None
        limits = {} if self._budget is None else self._budget.limits
        share = max((getattr(size, name) / limit for name, limit in limits.items()), default=1.0)
        return values, share, size.receptive_field or 0


def drawn(distribution: BaseDistribution, draw: random.Random) -> Any:
    """A random value of `distribution`, each equally likely, or each logarithm."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return draw.choice(choices)
        case IntDistribution(low=low, high=high, log=True):
            number = round(math.exp(draw.uniform(math.log(low - 0.5), math.log(high + 0.5))))
            return min(max(number, low), high)
        case IntDistribution(low=low, high=high, step=step):
            return draw.randrange(low, high + 1, step)
        case FloatDistribution(low=low, high=high, log=True):
            return min(max(math.exp(draw.uniform(math.log(low), math.log(high))), low), high)
        case FloatDistribution(low=low, high=high, step=float(step)):
            return min(low + draw.randint(0, round((high - low) / step)) * step, high)
        case FloatDistribution(low=low, high=high):
            return draw.uniform(low, high)
        case other:
            raise AssertionError(f"no such distribution is ever made: {other}")
