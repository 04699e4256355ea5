"""A pruner that lets another one stop trials only early, and only where there is enough to compare."""

import optuna
import pytest
from optuna.pruners import NopPruner, SuccessiveHalvingPruner, ThresholdPruner
from optuna.trial import FrozenTrial

from kerastuna.search.errors import InputError
from kerastuna.search.proposals.cautious_pruner import FEWEST_OTHERS, CautiousPruner


def trained(values: list[float]) -> FrozenTrial:
    return optuna.trial.create_trial(value=values[-1], intermediate_values=dict(enumerate(values, start=1)))


@pytest.mark.parametrize(
    ("epochs", "first_bad", "stopped_at"), [(20, 3, 3), (20, 10, 10), (20, 11, None), (5, 3, None)]
)
def test_it_stops_where_the_wrapped_one_does_until_half(epochs: int, first_bad: int, stopped_at: int | None) -> None:
    study = optuna.create_study(pruner=CautiousPruner(ThresholdPruner(upper=0.5), epochs))
    for _ in range(FEWEST_OTHERS):
        study.add_trial(trained([0.0] * epochs))
    trial = study.ask()
    ends = []
    for epoch in range(1, epochs + 1):
        trial.report(1.0 if epoch == first_bad else 0.0, epoch)
        if trial.should_prune():
            ends.append(epoch)
    assert ends == ([] if stopped_at is None else [stopped_at])


def test_no_trial_is_stopped_where_few_others_came_as_far() -> None:
    study = optuna.create_study(
        direction="maximize", pruner=CautiousPruner(SuccessiveHalvingPruner(min_resource=2, reduction_factor=2), 20)
    )
    for others in range(FEWEST_OTHERS + 2):
        trial = study.ask()
        stops = []
        for epoch in (1, 2, 3, 4):
            trial.report(0.9 - 0.1 * others, epoch)  # worse than all before
            stops.append(trial.should_prune())
        assert stops.index(True) + 1 == 2 if others >= FEWEST_OTHERS else not any(stops)
        study.tell(trial, 0.9 - 0.1 * others)


def test_a_trial_that_has_reported_nothing_goes_on() -> None:
    study = optuna.create_study(pruner=CautiousPruner(ThresholdPruner(upper=0.5), 2))
    assert not study.ask().should_prune()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="epochs=0: give a number of at least 1"):
        CautiousPruner(NopPruner(), 0)
    with pytest.raises(InputError, match="wrapped_pruner='median': give an Optuna pruner"):
        CautiousPruner("median", 3)  # pyright: ignore[reportArgumentType]
