"""The limits a network has to keep, and what breaks them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from .errors import InputError


@final
@dataclass(frozen=True)
class Size:
    """What the limits are about.

    Attributes:
        params: all parameters, trainable and not, as `keras.Model.count_params` counts them.
        macs: multiply-accumulates for one image; None where they are not known.
        summary: the network in one line; empty where there is none.
    """

    params: int
    macs: int | None = None
    summary: str = ""


@final
@dataclass(frozen=True)
class Budget:
    """Limits on a network.

    Args:
        params: the most parameters it may have in all, BatchNormalization's moving statistics included; at least 1.

    Raises InputError when a limit is below 1.
    """

    params: int

    def __post_init__(self) -> None:
        if not self.params >= 1:
            raise InputError(f"a budget of {self.params} parameters: give a whole number of at least 1")

    def excess(self, size: Size) -> Mapping[str, float]:
        """How far `size` is above each limit: 0 and below is within it. In the form of Optuna's constraints."""
        return {"params": float(size.params - self.params)}

    def allows(self, size: Size) -> bool:
        """Whether `size` keeps every limit."""
        return all(excess <= 0 for excess in self.excess(size).values())
