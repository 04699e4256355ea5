"""A small table of networks that were never trained: their accuracies follow from a formula."""

import math
import random
from typing import Any

from replay.networks import random_point, size_at
from replay.table import Table, Training

from kerastuna.search.proposals.distributions import Values

EPOCHS = 4
HEADER: dict[str, Any] = {
    "data": "mnist",
    "images": [200, 100],
    "epochs": EPOCHS,
    "hardware": "one core",
    "backend": "tensorflow 2",
    "versions": "keras 3",
    "date": "2026-11-26",
}


def curve_at(values: Values) -> list[float]:
    """Higher with more parameters, and highest at a learning rate of 0.003; more with every epoch."""
    odds = math.log(size_at(values).params) - 7 - 3 * abs(math.log10(float(values["learning_rate"]) / 0.003))
    return [1 / (1 + math.exp(2 - odds - epoch / 2)) for epoch in range(EPOCHS)]


def training(values: Values, seed: int = 0, more: float = 0.0) -> Training:
    """A training at `values` whose accuracies are higher by `more`."""
    size = size_at(values)
    curve = [accuracy + more for accuracy in curve_at(values)]
    return Training("random", dict(values), seed, curve, size.params, size.macs or 0, 0.5, 1.0)


def table(networks: int, repeated: int = 0) -> Table:
    """A table of random networks; the first `repeated` of them have three trainings, 0.01 apart."""
    draw = random.Random(3)
    points = [random_point(draw) for _ in range(networks)]
    once = [training(values) for values in points]
    again = [training(values, seed, more) for values in points[:repeated] for seed, more in ((1, 0.01), (2, -0.01))]
    return Table(HEADER, [*once, *again])
