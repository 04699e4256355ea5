"""Whether trials of a search may be stopped early: what is told must be what the pruners do."""

import optuna
import pytest
from optuna.pruners import BasePruner, NopPruner, ThresholdPruner

from kerastuna.search.display.early_stops import may_stop_early
from kerastuna.search.proposals.pruners import pruner_for
from kerastuna.search.study.goal import BestMetric, Goal, ParetoFront, Quantity, SmallestNetwork

ACCURACY = Quantity("val_accuracy", "max")
BEST, SMALLEST = BestMetric(ACCURACY), SmallestNetwork(ACCURACY, "params", 0.9)
FRONT = ParetoFront(ACCURACY, (ACCURACY, Quantity("params", "min")))


@pytest.mark.parametrize(
    ("goal", "pruner", "epochs", "trials", "expected"),
    [
        (BEST, None, 20, 100, True),
        (BEST, None, None, None, True),
        (BEST, None, 4, 5, True),
        (BEST, None, 3, 5, False),  # 2 is the first rung, and not in the first half
        (BEST, None, 1, 100, False),
        (BEST, None, 4, 4, False),  # one and three others
        (BEST, "none", 20, 100, False),
        (BEST, ThresholdPruner(upper=1), 2, 1, True),
        (BEST, ThresholdPruner(upper=1), 1, 1, False),
        (SMALLEST, None, 3, 5, True),
        (SMALLEST, None, 2, 5, False),
        (SMALLEST, None, 3, 4, False),
        (FRONT, None, 20, 100, False),
    ],
)
def test_it_is_told_where_a_trial_can_be_stopped(
    goal: Goal, pruner: str | BasePruner | None, epochs: int | None, trials: int | None, expected: bool
) -> None:
    assert may_stop_early(pruner_for(goal, pruner, epochs), epochs, trials) is expected


def stops(pruner: BasePruner, epochs: int, trials: int) -> bool:
    """Whether `pruner` stops one of these trials, of which each is worse than the one before, and the last useless."""
    study = optuna.create_study(direction="maximize")
    for place in range(trials):
        trial = study.ask()
        for epoch in range(1, epochs + 1):
            trial.report(0.99 - 0.001 * place if place < trials - 1 else 0.0, epoch)
            if epoch < epochs and pruner.prune(study, study.get_trials(deepcopy=False)[trial.number]):
                return True
        study.tell(trial, 0.5)
    return False


@pytest.mark.parametrize("trials", [4, 5, 20])
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 10])
def test_it_is_told_where_the_pruner_of_a_goal_stops_one_of_several_trials(epochs: int, trials: int) -> None:
    for goal in (BEST, SMALLEST, FRONT):
        pruner = pruner_for(goal, None, epochs)
        assert may_stop_early(pruner, epochs, trials) is stops(pruner, epochs, trials), goal
    for name in ("hyperband", "median"):  # which let more trials be, at first
        pruner = pruner_for(BEST, name, epochs)
        assert may_stop_early(pruner, epochs, trials) or not stops(pruner, epochs, trials), name


def test_where_nothing_prunes_no_trial_is_stopped() -> None:
    assert not may_stop_early(NopPruner(), None, None)
