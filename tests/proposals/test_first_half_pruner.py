"""A pruner that lets another one stop trials in the first half of their training only."""

import optuna
import pytest
from optuna.pruners import NopPruner, ThresholdPruner

from kerastuna.search.errors import InputError
from kerastuna.search.proposals.first_half_pruner import FirstHalfPruner


@pytest.mark.parametrize(
    ("epochs", "first_bad", "stopped_at"), [(20, 3, 3), (20, 10, 10), (20, 11, None), (5, 3, None)]
)
def test_it_stops_where_the_wrapped_one_does_until_half(epochs: int, first_bad: int, stopped_at: int | None) -> None:
    study = optuna.create_study(pruner=FirstHalfPruner(ThresholdPruner(upper=0.5), epochs))
    trial = study.ask()
    ends = []
    for epoch in range(1, epochs + 1):
        trial.report(1.0 if epoch == first_bad else 0.0, epoch)
        if trial.should_prune():
            ends.append(epoch)
    assert ends == ([] if stopped_at is None else [stopped_at])


def test_a_trial_that_has_reported_nothing_goes_on() -> None:
    study = optuna.create_study(pruner=FirstHalfPruner(ThresholdPruner(upper=0.5), 2))
    assert not study.ask().should_prune()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="epochs=0: give a number of at least 1"):
        FirstHalfPruner(NopPruner(), 0)
    with pytest.raises(InputError, match="wrapped_pruner='median': give an Optuna pruner"):
        FirstHalfPruner("median", 3)  # pyright: ignore[reportArgumentType]
