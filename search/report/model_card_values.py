"""Values that several sections of a model card need, and the format of its numbers."""

from collections.abc import Mapping
from typing import Any

from ..study.goal import Goal, Quantity, described_goal

Record = Mapping[str, Any]
"""A champion's record, as `search/champion/record.py` makes it."""


def goal_in(record: Record) -> Goal:
    """The goal of the study that the champion comes from."""
    # The metric of a champion is an accuracy: more is better.
    return described_goal(Quantity(record["objective"], "max"), record.get("goal"))


def basis(record: Record) -> str:
    """The data behind the figures of the search: "4,000 training images, 4 epochs"."""
    return f"{record['data']['images']:,} training images, {record['epochs']} epochs"


def seeds(record: Record) -> str:
    """The number of fresh seeds: "3 seeds"."""
    n = record["validation"]["n"]
    return "1 seed" if n == 1 else f"{n} seeds"


def count(number: int | None) -> str | None:
    """A whole number: "14,652"; None if it is unknown."""
    return None if number is None else f"{number:,}"


def share(value: float) -> str:
    """A share with four decimals: "0.9912"."""
    return f"{value:.4f}"


def deviation(spread: Mapping[str, Any]) -> str | None:
    """The standard deviation of a sample; None for a single value, which has none."""
    return share(spread["std"]) if spread["n"] > 1 else None
