"""Values that several sections of a model card need, and the format of its numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..datasets.task import ACCURACY, Task, task_of, unit_of
from ..messages import counted, figure, signed
from ..study.goal import Goal, Quantity, described_goal

Record = Mapping[str, Any]
"""A champion's record, as `search/champion/record.py` makes it."""


def goal_in(record: Record) -> Goal:
    """The goal of the study that the champion comes from."""
    # A record of 0.1.0 names no direction: its metric is an accuracy.
    return described_goal(Quantity(record["objective"], record.get("direction", "max")), record.get("goal"))


def task_in(record: Record) -> Task:
    """What the champion was trained for."""
    return task_of(record["data"])


def metric_in(record: Record) -> str:
    """The metric that was optimised, without "val_"."""
    return record["objective"].removeprefix("val_")


def metric_on_test(record: Record) -> str:
    """The metric of the figures on the test set, which has been opened."""
    return record["test"].get("metric", ACCURACY)


def unit_in(record: Record) -> str:
    """What samples are called, in the plural: "images" or "rows"."""
    return unit_of(record["data"]["input_shape"])


def sample_in(record: Record) -> str:
    """What one sample is called: "image" or "row"."""
    return unit_in(record).removesuffix("s")


def meaning_of_answers(record: Record) -> str:
    """What the numbers of an answer mean."""
    # A record of 0.1.0 does not tell: its networks end with a softmax.
    return record.get("answers", {}).get("meaning", "the probability of each class")


def basis(record: Record) -> str:
    """The data behind the figures of the search: "4,000 training images, 4 epochs"."""
    return f"{record['data']['images']:,} training {unit_in(record)}, {counted(record['epochs'], 'epoch')}"


def seeds(record: Record) -> str:
    """The number of fresh seeds: "3 seeds"."""
    n = record["validation"]["n"]
    return "1 seed" if n == 1 else f"{n} seeds"


def count(number: int | None) -> str | None:
    """A whole number: "14,652"; None if it is unknown."""
    return None if number is None else f"{number:,}"


def values(numbers: Sequence[float], metric: str) -> str:
    """Values of a metric: "0.9912, 0.9913"."""
    return ", ".join(figure(number, metric) for number in numbers)


def deviation(spread: Mapping[str, Any], metric: str) -> str | None:
    """The standard deviation of a sample; None for a single value, which has none."""
    return figure(spread["std"], metric) if spread["n"] > 1 else None


def is_in_int8(figures: Mapping[str, Any]) -> bool:
    """Whether there are figures in int8 beside these."""
    return "mean" in (figures.get("int8") or {})


def in_int8(told: Mapping[str, Any] | None) -> str | None:
    """A mean in int8 and its difference from that in float, "0.9921 (-0.0005)"; None if it is unknown."""
    if told is None or "mean" not in told:
        return None
    metric = told["metric"]
    return f"{figure(told['mean'], metric)} ({signed(told['change'], metric)})"


def hardest_number(record: Record) -> Mapping[str, Any]:
    """The predicted number with the largest error on the test set, relative to the spread of its targets."""

    def relative_error(one: Mapping[str, Any]) -> float:
        return one["rmse"] / one["spread"] if one["spread"] else math.inf if one["rmse"] else 0.0

    return max(record["test"]["per_number"], key=relative_error)
