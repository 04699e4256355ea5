"""Interrupted trials are tried again: a point is lost at no moment, and completes once.

There is one limit: where a worker dies while it trains and the process that started it lives on, a segmentation fault
or the system's killer of processes that take too much memory is the likely cause, and it may come again at the same
point. After `MOST_DEATHS` of them the trial has failed for good.

A trial fails first, and is enqueued again afterwards. A process that is killed in between leaves a failed trial without
a retry: whoever proposes next sees that it is owed one. Two processes may see it at the same time. Of several retries
of one trial only the first counts, and the others are refused when they are taken.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Any, final

import optuna
from optuna.trial import FrozenTrial, TrialState

from .attributes import DIED, NAME, NARROWED_FROM, REASON, RETRY_OF
from .reasons import RETRIED_REASONS

MOST_DEATHS = 3
"""So many times a point may end its process before it is given up."""


@final
class Retries:
    """Which interrupted trials of a study are still to be enqueued again, as of the trials that were noted."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}  # number of the interrupted trial -> number of its first retry
        self._owed: dict[int, FrozenTrial] = {}

    def note(self, trials: Iterable[FrozenTrial]) -> None:
        """Take account of the present state of these trials, by number."""
        for trial in trials:
            if (original := trial.user_attrs.get(RETRY_OF)) is not None:
                self._first[original] = min(trial.number, self._first.get(original, trial.number))
                self._owed.pop(original, None)
            if is_interrupted(trial) and trial.number not in self._first:
                self._owed[trial.number] = trial

    @property
    def owed(self) -> list[FrozenTrial]:
        """The interrupted trials that nobody has enqueued again, by number."""
        return [self._owed[number] for number in sorted(self._owed)]

    def is_second(self, trial: FrozenTrial) -> bool:
        """Whether `trial` retries what an earlier trial retries too."""
        original = trial.user_attrs.get(RETRY_OF)
        return original is not None and self._first.get(original, trial.number) != trial.number


def is_interrupted(trial: FrozenTrial) -> bool:
    """Whether `trial` failed for no fault of its own, and is to be tried again."""
    return trial.state == TrialState.FAIL and trial.user_attrs.get(REASON) in RETRIED_REASONS


@final
class WithoutInterrupted(optuna.Study):
    """`study` as a pruner shall see it: without the trials that are tried again, whose values come twice."""

    def __init__(self, study: optuna.Study) -> None:
        vars(self).update(vars(study))

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        return [trial for trial in super().get_trials(deepcopy, states) if not is_interrupted(trial)]


def deaths_before(study: optuna.Study, trial: FrozenTrial) -> int:
    """How often a process died by itself at the point of `trial`, in the trials that it retries."""
    trials = {earlier.number: earlier for earlier in study.get_trials(deepcopy=False)}
    deaths = 0
    while (number := trial.user_attrs.get(RETRY_OF)) in trials:
        trial = trials[number]
        deaths += DIED in trial.user_attrs
    return deaths


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Enqueue the hyperparameters of an interrupted trial again, unless somebody has done it."""
    if all(other.user_attrs.get(RETRY_OF) != trial.number for other in study.get_trials(deepcopy=False)):
        kept = {name: trial.user_attrs[name] for name in (NAME, NARROWED_FROM) if name in trial.user_attrs}
        study.enqueue_trial(_parameters(trial), user_attrs={RETRY_OF: trial.number, **kept})


def first_of(number: int, trials: Sequence[FrozenTrial]) -> int:
    """The trial that trial `number` retries, or that one's own, and so on; itself where it retries none."""
    while (original := trials[number].user_attrs.get(RETRY_OF)) is not None:
        number = original
    return number


def unsettled(trials: Sequence[FrozenTrial]) -> set[int]:
    """The trials, the first ones of their retries, that are still to come to an end; `trials` are all of a study."""
    retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    return {
        first_of(trial.number, trials)
        for trial in trials
        if not trial.state.is_finished() or (is_interrupted(trial) and trial.number not in retried)
    }


def still_interrupted(trials: Sequence[FrozenTrial]) -> set[int]:
    """The numbers of the interrupted trials that nobody has begun to try again; `trials` are all of a study."""
    retries = {trial.user_attrs.get(RETRY_OF): trial for trial in reversed(trials)}  # the first one of each counts
    return {
        trial.number
        for trial in filter(is_interrupted, trials)
        if trial.number not in retries or retries[trial.number].state == TrialState.WAITING
    }


def _parameters(trial: FrozenTrial) -> dict[str, Any]:
    """Those of the trial, and those it was enqueued with: it may have been interrupted before it took them up."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}
