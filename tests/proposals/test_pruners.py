"""Pruners by name, and the pruner for a goal."""

import optuna
import pytest
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from kerastuna.search.errors import InputError
from kerastuna.search.proposals.cautious_pruner import CautiousPruner
from kerastuna.search.proposals.pruners import FIRST_RUNG, named_pruner, pruner_for
from kerastuna.search.proposals.target_pruner import TargetPruner
from kerastuna.search.study.goal import BestMetric, ParetoFront, Quantity, SmallestNetwork

ACCURACY = Quantity("val_accuracy", "max")
BEST = BestMetric(ACCURACY)
FRONT = ParetoFront(ACCURACY, (ACCURACY, Quantity("params", "min")))
SMALLEST = SmallestNetwork(ACCURACY, "params", 0.99)


def stopped(pruner: optuna.pruners.BasePruner, curves: list[list[float]]) -> list[int | None]:
    """The epoch, from 1, at which each trial with such values is stopped."""
    study = optuna.create_study(direction="maximize", pruner=pruner, study_name="fixed")
    epochs: list[int | None] = []
    for curve in curves:
        trial = study.ask()
        end = None
        for epoch, value in enumerate(curve, start=1):
            trial.report(value, epoch)
            if trial.should_prune():
                end = epoch
                break
        epochs.append(end)
        study.tell(trial, state=TrialState.PRUNED if end else TrialState.COMPLETE, values=None if end else curve[-1])
    return epochs


@pytest.mark.parametrize("name", ["halving", "hyperband", "median"])
@pytest.mark.parametrize("epochs", [1, 2, 6, 20, None])
def test_bad_trials_are_stopped_but_never_at_the_first_epoch(name: str, epochs: int | None) -> None:
    curves = [[0.9 - 0.01 * number] * (epochs or 10) for number in range(30)]
    ends = stopped(named_pruner(name, epochs), curves)
    assert ends[0] is None
    assert all(end is None or end >= FIRST_RUNG for end in ends)
    assert any(ends) == (epochs != 1)


def test_halving_keeps_what_gets_better_and_stops_what_does_not() -> None:
    good = [[0.5 + 0.01 * number] * 20 for number in range(10)]
    bad = [[0.4] * 20] * 3
    ends = stopped(named_pruner("halving", 20), good + bad)
    assert ends[:10] == [None] * 10
    assert ends[10:] == [4, 4, 4]  # a fifth of the epochs


def test_none_stops_nothing() -> None:
    assert not any(stopped(named_pruner("none", 20), [[0.9 - 0.01 * number] * 20 for number in range(30)]))


@pytest.mark.parametrize("name", [None, "halving", "hyperband", "median"])
def test_a_pruner_by_name_stops_trials_in_their_first_half_only(name: str | None) -> None:
    assert isinstance(pruner_for(BEST, name, 20), CautiousPruner)
    assert not isinstance(pruner_for(BEST, name, None), CautiousPruner)
    curves = [[0.9 - 0.01 * number] * 20 for number in range(30)]
    assert max(end for end in stopped(pruner_for(BEST, name, 20), curves) if end) <= 10


def test_an_optuna_pruner_is_used_as_it_is() -> None:
    pruner = optuna.pruners.MedianPruner()
    assert pruner_for(BEST, pruner, 20) is pruner


def test_the_pruner_of_each_goal() -> None:
    assert isinstance(pruner_for(BEST, "none", 20), NopPruner)
    assert isinstance(pruner_for(FRONT, None, 20), NopPruner)
    assert isinstance(pruner_for(SMALLEST, None, 20), TargetPruner)
    assert isinstance(pruner_for(SMALLEST, "none", 20), NopPruner)
    for goal in (FRONT, SMALLEST):
        with pytest.raises(InputError, match="pruner 'median' compares trials by one metric"):
            pruner_for(goal, "median", 20)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="pruner 'hyper' is unknown: choose one of halving, hyperband, median, none"):
        pruner_for(BEST, "hyper", 20)
