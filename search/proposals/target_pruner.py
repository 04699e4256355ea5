"""Early stopping by the distance to a target."""

from collections.abc import Iterable
from typing import final

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from ..study.goal import Quantity

ENOUGH_TRIALS = 4
"""Complete trials that must have passed an epoch before any trial is stopped there."""


@final
class TargetPruner(BasePruner):
    """Stops a trial that would miss a target even if it improved as much as the best complete trial did.

    The improvement of a complete trial, from the epoch in question to its last one, is the share of its remaining error
    that it removed: from 90 % to 95 % accuracy, one half. The running trial is expected to remove the largest share
    that any complete trial removed. It is stopped only when that is not enough. The size of its network, and how it
    compares with other trials at this epoch, do not matter. For a metric that does not end at a known value (accuracies
    end at 1, losses at 0) the improvement itself is used.

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
        """Whether the running `trial` cannot be expected to reach the target, by the complete trials of `study`."""
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
        removed = max([0.0, *((then - at_last) / (then - self._end) for then, at_last in open_ended)])
        return value - removed * (value - self._end)
