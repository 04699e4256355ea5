"""The limits a network has to keep, and what breaks them."""

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from ...spaces.errors import InputError

UNITS = {"params": "parameters", "macs": "MACs", "ram": "bytes of activations"}
"""The limits by name, and what each is counted in."""


COSTS = tuple(UNITS)
"""What a network costs, by the names of the limits."""


COST_NAMES = {**{name: name for name in COSTS}, "peak_activation_bytes": "ram"}
"""What a user may call them."""


@final
@dataclass(frozen=True)
class Size:
    """What the limits are about.

    Attributes:
        params: all parameters, trainable and not, as `keras.Model.count_params` counts them.
        macs: multiply-accumulates for one image; None where they are not known.
        ram: bytes of activations at the peak: the largest input plus output of a layer, float32, one image; None where
            they are not known.
        summary: the network in one line; empty where there is none.
    """

    params: int
    macs: int | None = None
    ram: int | None = None
    summary: str = ""


@final
@dataclass(frozen=True)
class Budget:
    """Limits on a network; None for what is not limited.

    Args:
        params: the most parameters it may have in all, BatchNormalization's moving statistics included.
        macs: the most multiply-accumulates for one image.
        ram: the most bytes of activations at the peak, float32, one image.

    Raises InputError when a limit is not a whole number of at least 1, and when there is none.
    """

    params: int | None = None
    macs: int | None = None
    ram: int | None = None

    def __post_init__(self) -> None:
        if not self.limits:
            raise InputError(f"a budget without a limit: give {', '.join(UNITS)}, or no budget")
        for name, limit in self.limits.items():
            if isinstance(limit, bool) or not isinstance(limit, numbers.Integral) or limit < 1:
                raise InputError(f"a budget of {limit} {UNITS[name]}: give a whole number of at least 1")

    @property
    def limits(self) -> dict[str, int]:
        """Those that are set, by name."""
        return {name: limit for name in UNITS if (limit := getattr(self, name)) is not None}

    def excess(self, size: Size) -> Mapping[str, float]:
        """How far `size` is above each limit: 0 and below is within it. In the form of Optuna's constraints."""
        return {name: float(getattr(size, name) - limit) for name, limit in self.limits.items()}

    def broken(self, size: Size) -> list[str]:
        """The limits that `size` does not keep, by name."""
        return [name for name, excess in self.excess(size).items() if excess > 0]

    def allows(self, size: Size) -> bool:
        """Whether `size` keeps every limit."""
        return not self.broken(size)

    def complaint(self, size: Size) -> str:
        """What `size` breaks, with both figures: "16,290 parameters, 15,000 allowed"."""
        counted = [(name, getattr(size, name), getattr(self, name)) for name in self.broken(size)]
        return "; ".join(f"{count:,} {UNITS[name]}, {limit:,} allowed" for name, count, limit in counted)

    def amounts(self, counted: Mapping[str, int]) -> str:
        """What is limited, as it was `counted`, in words."""
        return " and ".join(f"{counted[name]:,} {UNITS[name]}" for name in self.limits)

    def __str__(self) -> str:
        """The limits in words: "15,000 parameters and 3,000,000 MACs"."""
        return self.amounts(self.limits)


def as_budget(limits: int | Mapping[str, int] | None) -> Budget | None:
    """The budget from what an identity or a champion's record keeps of it: the most parameters, or limits by name."""
    if limits is None:
        return None
    return Budget(limits) if isinstance(limits, int) else Budget(**limits)
