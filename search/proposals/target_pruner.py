"""Early stopping by the distance to a target."""

from collections.abc import Iterable
from typing import final

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from ..study.goal import Quantity

ENOUGH_TRIALS = 4
"""So many complete trials must tell how trials go on from an epoch before any is stopped there."""


@final
class TargetPruner(BasePruner):
    """Stops a trial that falls short of a target by more than any complete trial has made good from the same epoch on.

    What a trial made good is the part of its remaining error that it removed: from 90 % at the epoch in question to
    95 % at its end, half of it. The best of all complete trials is what a running one is credited with, so it is
    stopped only when even that would leave it short. How large its network is, and how it compares with others at this
    moment, does not matter. For a metric without a known end (an accuracy ends at 1, a loss at 0) the improvement
    itself is taken.

    Args:
        metric: what is reported.
        target: what it has to reach at the last epoch.
        first_epoch: the first at which a trial may be stopped.
    """

    def __init__(self, metric: Quantity, target: float, first_epoch: int) -> None:
        self._sign = metric.sign
        self._target = metric.sign * target
        # As errors: the smaller the better.
        self._end = -1.0 if metric.direction == "max" else 0.0
        self._first_epoch = first_epoch

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the running `trial` cannot reach the target, as far as the complete trials of `study` tell."""
        epoch = trial.last_step
        if epoch is None or epoch < self._first_epoch:
            return False
        value = self._sign * trial.intermediate_values[epoch]
        if value <= self._target:
            return False
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        courses = list(self._courses(finished, epoch))
        return len(courses) >= ENOUGH_TRIALS and self._best_end(value, courses) > self._target

    def _courses(self, trials: Iterable[FrozenTrial], epoch: int) -> Iterable[tuple[float, float]]:
        """Values at `epoch` and at the end, of trials that went on from there."""
        for trial in trials:
            last = trial.last_step
            if last is not None and last > epoch and epoch in trial.intermediate_values:
                yield self._sign * trial.intermediate_values[epoch], self._sign * trial.intermediate_values[last]

    def _best_end(self, value: float, courses: list[tuple[float, float]]) -> float:
        if min(value, *(min(course) for course in courses)) < self._end:
            return value - max(0.0, *(then - at_last for then, at_last in courses))
        open_ended = [(then, at_last) for then, at_last in courses if then > self._end]
        removed = max(0.0, *((then - at_last) / (then - self._end) for then, at_last in open_ended))
        return value - removed * (value - self._end)
