"""Early stopping by the distance to a target, from the courses of real studies' trials."""

from collections.abc import Sequence

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search.proposals.target_pruner import ENOUGH_TRIALS, TargetPruner
from kerastuna.search.study.goal import Quantity

ACCURACY, LOSS, REWARD = Quantity("val_accuracy", "max"), Quantity("val_loss", "min"), Quantity("reward", "max")


def trial(state: TrialState, values: Sequence[float], params: int = 1) -> FrozenTrial:
    return optuna.create_trial(
        state=state,
        value=float(params) if state == TrialState.COMPLETE else None,
        intermediate_values=dict(enumerate(values, start=1)),
        user_attrs={"params": params},
    )


def stops(pruner: TargetPruner, complete: Sequence[Sequence[float]], running: Sequence[float], params: int = 1) -> bool:
    study = optuna.create_study(storage=InMemoryStorage(), direction="minimize")
    study.add_trials([trial(TrialState.COMPLETE, course) for course in complete])
    study.add_trial(trial(TrialState.RUNNING, running, params))
    return pruner.prune(study, study.trials[-1])


# Of the error at epoch 2 the best of them removed three quarters, the others half.
HALVING = [[0.5, 0.8, 0.85, 0.9]] * (ENOUGH_TRIALS - 1)
COURSES = [*HALVING, [0.4, 0.6, 0.7, 0.9]]


@pytest.mark.parametrize(
    ("value", "stopped"),
    [
        (0.75, True),  # 0.9375 at best
        (0.79, True),
        (0.81, False),  # 0.9525
        (0.96, False),  # the target is reached already
    ],
)
def test_a_trial_is_stopped_when_the_best_course_of_all_would_leave_it_short(value: float, stopped: bool):
    pruner = TargetPruner(ACCURACY, 0.95, first_epoch=2)
    assert stops(pruner, COURSES, [0.1, value]) == stopped


def test_the_size_of_the_network_does_not_matter():
    pruner = TargetPruner(ACCURACY, 0.95, first_epoch=2)
    for value in (0.75, 0.81):
        assert len({stops(pruner, COURSES, [0.1, value], params) for params in (1, 10**9)}) == 1


def test_where_all_others_had_nothing_left_to_improve_nobody_is_expected_to():
    pruner = TargetPruner(ACCURACY, 0.95, first_epoch=2)
    assert stops(pruner, [[0.9, 1.0, 1.0]] * ENOUGH_TRIALS, [0.9, 0.94])
    assert not stops(pruner, [[0.9, 1.0, 1.0]] * ENOUGH_TRIALS, [0.9, 0.96])


def test_nothing_is_stopped_before_its_time_or_without_evidence():
    assert not stops(TargetPruner(ACCURACY, 0.95, first_epoch=3), COURSES, [0.1, 0.1])
    pruner = TargetPruner(ACCURACY, 0.95, first_epoch=2)
    assert not stops(pruner, COURSES[1:], [0.1, 0.1])  # too few
    assert not stops(pruner, [course[:2] for course in COURSES], [0.1, 0.1])  # none went on from here
    assert not stops(pruner, COURSES, [])
    assert stops(pruner, COURSES, [0.1, 0.1])


def test_a_loss_ends_at_zero_and_is_to_be_small():
    pruner = TargetPruner(LOSS, 0.1, first_epoch=1)
    courses = [[1.0, 0.5]] * ENOUGH_TRIALS
    assert stops(pruner, courses, [0.21])
    assert not stops(pruner, courses, [0.19])


def test_a_metric_without_a_known_end_is_credited_with_the_best_improvement():
    pruner = TargetPruner(REWARD, 100.0, first_epoch=1)
    courses = [[10.0, 40.0], *[[10.0, 20.0]] * ENOUGH_TRIALS]
    assert stops(pruner, courses, [69.0])
    assert not stops(pruner, courses, [71.0])


def test_trials_that_only_got_worse_promise_nothing():
    pruner = TargetPruner(ACCURACY, 0.95, first_epoch=1)
    assert stops(pruner, [[0.9, 0.8]] * ENOUGH_TRIALS, [0.94])
    assert not stops(pruner, [[0.9, 0.8]] * ENOUGH_TRIALS, [0.95])


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=4, max_size=8), st.floats(0, 1))
def test_no_course_that_was_seen_to_reach_the_target_is_ever_stopped(courses: list[list[float]], target: float):
    reaching = [course for course in courses if course[-1] >= target]
    pruner = TargetPruner(ACCURACY, target - 1e-9, first_epoch=1)
    for course in reaching:
        for epoch in (1, 2, 3):
            assert not stops(pruner, courses, course[:epoch])
