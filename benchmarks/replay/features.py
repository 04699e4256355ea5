"""What a surrogate is told of a point: its recipe, and its network as numbers."""

import math
from typing import Any

import numpy as np

from kerastuna.search.proposals.distributions import Values
from kerastuna.spaces.architecture import Architecture, Conv2D, Flatten, GlobalAveragePooling2D
from kerastuna.spaces.convnet import HEADS, MAX_BLOCKS, POINTWISE
from kerastuna.spaces.cost import cost
from kerastuna.spaces.point import Point
from kerastuna.spaces.recipe import Recipe

from .networks import SPACE

NO_WIDTH = 6.0
"""In place of the logarithm of a width that is not there: above all widths, as it does not narrow anything."""


def features_at(values: Values, epochs: int, images: int) -> np.ndarray:
    """The features of the point `values`, float64 (n,), for trainings of so many epochs and images."""
    point: Any = Point(values)
    recipe, architecture = SPACE.recipe(point), SPACE.architecture(point)
    return np.array([*_of_recipe(recipe, epochs, images), float(values["dropout"]), *_of_network(values, architecture)])


def _of_recipe(recipe: Recipe, epochs: int, images: int) -> list[float]:
    rates = [recipe.learning_rate_at(epoch, epochs) for epoch in range(epochs)]
    steps = math.ceil(images / recipe.batch_size)
    return [math.log(rates[0]), math.log(steps), math.log(sum(rates) * steps), math.log(rates[-1] / rates[0])]


def _of_network(values: Values, architecture: Architecture) -> list[float]:
    counted, layers = cost(architecture), architecture.layers
    heads = [place for place, layer in enumerate(layers) if isinstance(layer, Conv2D)][-1:]
    if values["head"] not in ("conv", "gap"):
        heads = [place for place, layer in enumerate(layers) if isinstance(layer, Flatten | GlobalAveragePooling2D)]
    body = layers[: heads[0]]
    height, width, channels = architecture.shapes[heads[0] - 1]
    widths = np.log2([layer.filters for layer in body if isinstance(layer, Conv2D)])
    numbers = [
        math.log(counted.params),
        math.log(counted.macs),
        counted.receptive_field,
        len(widths),
        *(widths.min(), widths.max(), widths[0], widths[-1], widths.mean()),
        math.log2(height * width),
        math.log2(channels),
        *(float(values["head"] == head) for head in HEADS),
        _width(values, "head_pointwise_width"),
    ]
    for number in range(1, MAX_BLOCKS + 1):
        numbers.append(float(values.get(f"block{number}_convs", 0)))
        numbers.append(float(values.get(f"block{number}_pointwise", POINTWISE[0]) != POINTWISE[0]))
        numbers.append(_width(values, f"block{number}_pointwise_width"))
    return numbers


def _width(values: Values, name: str) -> float:
    return math.log2(float(values[name])) if name in values else NO_WIDTH
