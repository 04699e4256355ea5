"""Limits on the size of a network, and by how much a network exceeds them."""

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from ..errors import InputError

UNITS = {
    "params": "parameters",
    "macs": "MACs",
    "ram": "bytes of RAM",
    "flash": "bytes of flash",
    "activations": "bytes of activations",
}
"""The unit of each cost, by the cost's name."""
SHORT_NAMES = {"params": "params", "macs": "MACs", "ram": "RAM", "flash": "flash", "activations": "activations"}
"""The costs as the columns of a table are called."""
COSTS = tuple(UNITS)
"""The names of the costs of a network; each of them can be limited."""
ALWAYS_SHOWN = ("params", "macs")
"""The costs that tables have in any case; the others where they are limited or optimised."""
COST_NAMES = {**{name: name for name in COSTS}, "peak_activation_bytes": "activations"}
"""The names that a user may give, and the cost that each means."""


@final
@dataclass(frozen=True)
class Size:
    """The size of a network.

    Attributes:
        params: all parameters, trainable and not, as `keras.Model.count_params` counts them.
        macs: multiply-accumulates for one image; None if unknown.
        ram: the most bytes that the arena of tflite-micro takes for the network in int8; None if unknown.
        flash: the most bytes that its int8 LiteRT file takes; None if unknown.
        activations: bytes of activations at the peak, float32, one image: the largest input plus output of a layer,
            with what later layers still need; None if unknown.
        summary: the network in one line; empty if there is none.
        receptive_field: pixels of the image, along the longer side, that a value of the last feature map depends on;
            None if unknown.
        depth: the number of its layers, of every kind; None if unknown.
    """

    params: int
    macs: int | None = None
    ram: int | None = None
    flash: int | None = None
    activations: int | None = None
    summary: str = ""
    receptive_field: int | None = None
    depth: int | None = None


@final
@dataclass(frozen=True)
class Budget:
    """Limits on the size of a network; None means no limit.

    Args:
        params: the most parameters, including the moving statistics of BatchNormalization.
        macs: the most multiply-accumulates for one image.
        ram: the most bytes of the arena of tflite-micro, for the network in int8.
        flash: the most bytes of its int8 LiteRT file.
        activations: the most bytes of activations at the peak, float32, one image.

    `ram` and `flash` are known before a network is built, as upper bounds, if its space is a `SearchSpace`.

    Raises InputError if a limit is not a whole number of at least 1, or if there is no limit at all.
    """

    params: int | None = None
    macs: int | None = None
    ram: int | None = None
    flash: int | None = None
    activations: int | None = None

    def __post_init__(self) -> None:
        if not self.limits:
            raise InputError(f"a budget without a limit: give {', '.join(UNITS)}, or no budget")
        for name, limit in self.limits.items():
            if isinstance(limit, bool) or not isinstance(limit, numbers.Integral) or limit < 1:
                raise InputError(f"a budget of {limit} {UNITS[name]}: give a whole number of at least 1")

    @property
    def limits(self) -> dict[str, int]:
        """The limits that are set, by name."""
        return {name: limit for name in UNITS if (limit := getattr(self, name)) is not None}

    def excess(self, size: Size) -> Mapping[str, float]:
        """How far `size` is above each limit, as Optuna's constraints: a value above 0 means exceeded."""
        return {name: float(getattr(size, name) - limit) for name, limit in self.limits.items()}

    def broken(self, size: Size) -> list[str]:
        """The names of the limits that `size` exceeds."""
        return [name for name, excess in self.excess(size).items() if excess > 0]

    def allows(self, size: Size) -> bool:
        """Whether `size` is within every limit."""
        return not self.broken(size)

    def allows_costs(self, costs: Mapping[str, Any]) -> bool:
        """Whether every cost that is limited is known, by name, and within its limit."""
        return all(costs.get(name) is not None and costs[name] <= limit for name, limit in self.limits.items())

    def complaint(self, size: Size) -> str:
        """Every limit that `size` exceeds, with both numbers: "16,290 parameters, 15,000 allowed"."""
        counted = [(name, getattr(size, name), getattr(self, name)) for name in self.broken(size)]
        return "; ".join(f"{count:,} {UNITS[name]}, {limit:,} allowed" for name, count, limit in counted)

    def amounts(self, counted: Mapping[str, int]) -> str:
        """The amounts in `counted` of everything that has a limit: "14,652 parameters and 2,000,000 MACs"."""
        return " and ".join(f"{counted[name]:,} {UNITS[name]}" for name in self.limits)

    def __str__(self) -> str:
        """The limits: "15,000 parameters and 3,000,000 MACs"."""
        return self.amounts(self.limits)


def as_budget(limits: int | Mapping[str, int] | None) -> Budget | None:
    """The budget from its stored form: the most parameters, or limits by name; None for no budget."""
    if limits is None:
        return None
    return Budget(limits) if isinstance(limits, int) else Budget(**limits)
