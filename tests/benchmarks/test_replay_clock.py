"""The simulated clock."""

import pytest
from replay.clock import Clock, Spent, World
from replay.table import Course

WORLD = World(lambda values: Course((0.2, 0.5, 0.7), 2.0, 1.0), lambda values: 0.65)


def trained(clock: Clock, first: int = 1, last: int | None = None) -> list[tuple[int, float]]:
    epochs = list(clock.training({"a": 1}, first, last))
    clock.end()
    return epochs


def test_a_training_costs_its_epochs_and_the_compiling() -> None:
    clock = Clock(WORLD, 3, 10)
    assert trained(clock) == [(1, 0.2), (2, 0.5), (3, 0.7)]
    [trial] = clock.trials
    assert (trial.epochs, trial.complete, trial.at, trial.seconds) == (3, True, 3, 7.0)
    assert (trial.observed, trial.expected) == (0.7, 0.65)


def test_a_training_that_goes_on_costs_what_is_left() -> None:
    clock = Clock(WORLD, 3, 10)
    assert trained(clock, last=1) == [(1, 0.2)]
    assert trained(clock, first=2) == [(2, 0.5), (3, 0.7)]
    assert [trial.complete for trial in clock.trials] == [False, True]
    assert clock.spent == 3


def test_the_search_ends_within_a_training() -> None:
    clock = Clock(WORLD, 3, 4)
    trained(clock)
    assert clock.is_running
    with pytest.raises(Spent):
        trained(clock)
    assert (clock.spent, clock.is_running, len(clock.trials)) == (4, False, 1)
