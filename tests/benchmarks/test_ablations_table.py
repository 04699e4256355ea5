"""The table of ablations: paired figures, and rows in their order."""

from typing import Any

import pytest
from helpers.ablations_table import CHAMPION, Effect, effect, effects, markdown


def test_differences_are_paired_by_the_seed() -> None:
    of_champion = {0: 0.90, 1: 0.80, 2: 0.70}
    found = effect({2: 0.71, 0: 0.93, 1: 0.82}, of_champion)
    assert (found.n, found.mean, found.deviation) == (3, pytest.approx(0.82), pytest.approx(0.11))
    assert (found.difference, found.error) == (pytest.approx(0.02), pytest.approx(0.01 / 3**0.5))
    alone = effect({0: 0.5, 7: 0.7}, of_champion)
    assert (alone.n, alone.mean, alone.difference, alone.error) == (2, 0.6, pytest.approx(-0.4), None)
    assert effect({7: 0.7}, of_champion) == Effect(1, 0.7, None, None, None)
    assert effect({}, of_champion) == Effect(0, None, None, None, None)


def told_of(variant: str, *accuracies: float | None) -> list[dict[str, Any]]:
    """Trainings that were never made, from the seeds 0 and up."""
    own = {"seconds": 2.0, "parameters": 5, "macs": 7, "hardware": "cpu", "problem": ""}
    return [{"variant": variant, "seed": seed, "accuracy": value, **own} for seed, value in enumerate(accuracies)]


def test_the_table_is_sorted_by_the_difference() -> None:
    trainings = told_of("better", 0.75, 0.85) + told_of("worse", 0.5, 0.7) + told_of("broken", None, None)
    trainings += told_of("bit-worse", 0.69, None) + told_of(CHAMPION, 0.7, 0.8)
    assert list(effects(trainings)) == [CHAMPION, "worse", "bit-worse", "better", "broken"]
    size = {"parameters": 2235, "macs": 147277, "network": "8 | 9"}
    changes = {"better": {"fill": 0.95, "decay_rate": 0.3}, "worse": {"bias": True, "sgd_rate": None}}
    told = {
        "setting": {"champion": "c", "values": {"fill": 0.9, "bias": False, "sgd_rate": 0.1}, "images": 12_000}
        | {"epochs": 10, "validated": 6000, "backend": "tensorflow 2"},
        "variants": {name: {"changed": changes.get(name, {}), **size} for name in effects(trainings)},
        "trainings": trainings,
        "commands": ["kerastuna bench ablations c"],
        "versions": "keras 3",
        "date": "2026-11-28",
    }
    text = markdown(told)
    rows = [line.replace("| 2,235 | 147,277 |", "|") for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == [
        "| champion |  | 75.00 +- 7.07 | 2 | - | 2.0 |",
        "| worse | bias False to True, sgd_rate 0.1 to none | 60.00 +- 14.14 | 2 | -15.00 +- 5.00 | 2.0 |",
        "| bit-worse |  | 69.00 | 1 (1 failed) | -1.00 | 2.0 |",
        "| better | fill 0.9 to 0.95, decay_rate none to 0.3 | 80.00 +- 7.07 | 2 | +5.00 +- 0.00 | 2.0 |",
        "| broken |  | - | 0 (2 failed) | - | 2.0 |",
    ]
    for part in (
        "    kerastuna bench ablations c\n",
        "12,000 training",
        "10 epochs",
        "(0, 1)",
        "6,000 validation",
        "keras 3",
    ):
        assert part in text
