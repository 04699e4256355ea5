"""Whether a training reports what is optimised."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

from keras_tuner.errors import FailedTrialError

from ..errors import InputError
from ..study.goal import Goal
from ..training.metric_values import objective_problem
from .int8_objective import metrics_in, with_stand_ins


@final
class ObjectiveCheck:
    """Checks the metrics of a training for everything that is optimised.

    Args:
        objective: KerasTuner's.
        goal: of the study.
        known: the trials of KerasTuner by now.

    Attributes:
        names: of the metrics that the objective is made of.
    """

    def __init__(self, objective: Any, goal: Goal, known: Callable[[], Iterable[Any]]) -> None:
        self._goal, self._known = goal, known
        self.names: tuple[str, ...] = metrics_in(objective)

    def __call__(self, metrics: Mapping[str, Any]) -> None:
        """Raise an error when something that is optimised is missing in `metrics`, or is not a number.

        Once a trial has a score, it is not the names that are wrong: the error is this trial's alone, a
        FailedTrialError. Before that it is an InputError.
        """
        goal = self._goal
        # Several objectives may be known by their sum alone.
        names = [goal.metric.name] if goal.metric.name in metrics else self.names
        parts = [part.name for part in goal.quantities if part != goal.metric and not part.is_cost]
        metrics = with_stand_ins([*names, *parts], metrics)  # what is in int8 is measured at the end
        if (told := objective_problem([*names, *parts], metrics)) is None:
            return
        raise InputError(told) if all(trial.score is None for trial in self._known()) else FailedTrialError(told)
