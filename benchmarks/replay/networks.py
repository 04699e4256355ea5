"""The space that is searched, and the size of its networks in closed form."""

import random
from collections.abc import Mapping
from typing import Any

import keras_tuner
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from side_by_side.setting import BUDGET

from kerastuna.search.proposals.distributions import ParameterSpace, Values
from kerastuna.search.proposals.start import drawn
from kerastuna.search.study.budget import Budget, Size
from kerastuna.spaces import ConvNet
from kerastuna.spaces.cost import cost
from kerastuna.spaces.errors import InfeasibleArchitecture
from kerastuna.spaces.point import Point

LIMITS = Budget(BUDGET)
SPACE = ConvNet()


def declared() -> keras_tuner.HyperParameters:
    """The hyperparameters of the space."""
    hyperparameters = keras_tuner.HyperParameters()
    SPACE.declare_hyperparameters(hyperparameters)
    return hyperparameters


PARAMETERS = ParameterSpace(declared().space)


def size_at(values: Values) -> Size:
    """The size of the network at `values`; raises InfeasibleArchitecture where its layers do not fit the input."""
    point: Any = Point(values)
    architecture = SPACE.architecture(point)
    counted = cost(architecture)
    field, depth = counted.receptive_field, len(counted.layers)
    return Size(counted.params, counted.macs, summary=architecture.summary, receptive_field=field, depth=depth)


def is_allowed(values: Values) -> bool:
    """Whether the network at `values` fits its input and the budget."""
    try:
        return LIMITS.allows(size_at(values))
    except InfeasibleArchitecture:
        return False


def random_point(draw: random.Random) -> Values:
    """A random point of those that are allowed."""
    while True:
        values = PARAMETERS.fill(lambda parameter: drawn(parameter.distribution, draw))
        if is_allowed(values):
            return values


def neighbour(values: Values, draw: random.Random, share: float = 0.15) -> Values:
    """A random point that is allowed and shares most of its values with `values`.

    Each parameter is drawn anew with the probability `share`, from its whole range where it is a choice, and from the
    fifth around its value where it is a number.
    """
    known, _ = PARAMETERS.encode(values)
    while True:

        def chosen(parameter: Any) -> Any:
            name, distribution = parameter.name, parameter.distribution
            if name not in known or draw.random() < share:
                return _near(distribution, known.get(name), draw)
            return known[name]

        near = PARAMETERS.fill(chosen)
        if dict(near) != dict(values) and is_allowed(near):
            return near


def _near(distribution: BaseDistribution, value: Any, draw: random.Random) -> Any:
    if value is None or isinstance(distribution, CategoricalDistribution):
        return drawn(distribution, draw)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if distribution.log:
        factor = (distribution.high / distribution.low) ** draw.uniform(-0.1, 0.1)
        return min(max(value * factor, distribution.low), distribution.high)
    step = distribution.step or 0.0
    width = max((distribution.high - distribution.low) / 10, step)
    moved = value + draw.uniform(-width, width)
    if step:
        moved = distribution.low + round((moved - distribution.low) / step) * step
    moved = min(max(moved, distribution.low), distribution.high)
    return int(moved) if isinstance(distribution, IntDistribution) else moved


def as_plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON gives them back."""
    return {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}
