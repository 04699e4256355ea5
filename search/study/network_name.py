"""What a network is called where people read of it."""

from collections.abc import Mapping
from typing import Any

from ..messages import shortened

MOST_LETTERS = 300
"""The most characters of the hyperparameters of a network without a summary."""


def network_name(summary: str, hyperparameters: Mapping[str, Any]) -> str:
    """The `summary`; of a network without one its hyperparameters in one line, shortened. JSON has all of them."""
    pairs = (f"{shortened(str(name))}={shortened(str(value))}" for name, value in hyperparameters.items())
    return summary or shortened(", ".join(pairs), MOST_LETTERS)
