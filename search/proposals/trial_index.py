"""An index of a study's trials: which values were tried or refused, and how many trials are trained or running."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, final

from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from ..study.attributes import HYPERPARAMETERS, REASON, is_enqueued, is_rejection, is_trained
from ..study.budget import UNITS
from ..study.reasons import RETRIED_REASONS
from ..study.stored_study import StoredStudy
from .distributions import ParameterSpace, Values, values_key

FEW_TRIALS = 20
"""Up to this number unfinished trials are read one by one."""
SMALL_SPACE = 1000
"""The largest number of points at which all points of a space are listed."""


@final
class TrialIndex:
    """The trials of a study, those of all processes, as they were at the last `update`.

    Args:
        stored: the study.
        fixed: parameters that the sampler never changes, in Optuna's terms. Points with other values are not listed.
    """

    def __init__(self, stored: StoredStudy, fixed: Mapping[str, Any] | None = None) -> None:
        self._stored = stored
        self._fixed = fixed or {}
        self._trials: list[FrozenTrial] = []
        self._unfinished: list[int] = []
        self._trained = 0
        self._tried: dict[str, int] = {}  # key of the values -> number of the trial
        self._refused: set[str] = set()  # keys of the values that are over the budget or infeasible
        self._points: tuple[ParameterSpace, dict[str, Values] | None] | None = None
        self._left: dict[str, Values] | None = None  # the points neither tried nor refused; None: not known yet

    def update(self) -> list[FrozenTrial]:
        """Read the study. Returns the trials that are new or were unfinished, by number."""
        changed = self._read()
        for trial in changed:
            if HYPERPARAMETERS in trial.user_attrs and trial.state != TrialState.WAITING:
                self._enter(trial, values_key(trial.user_attrs[HYPERPARAMETERS]))
        self._trained += sum(map(is_trained, changed))
        self._unfinished = [trial.number for trial in changed if not trial.state.is_finished()]
        return changed

    def _read(self) -> list[FrozenTrial]:
        """The trials that are new or were unfinished, by number.

        A journal makes a list of all trials whenever it is asked for them: a few are asked for one by one.
        """
        known = len(self._trials)
        if known and len(self._unfinished) <= FEW_TRIALS and isinstance(self._stored.storage, JournalStorage):
            changed = [self._stored.trial(number) for number in self._unfinished]
            with suppress(KeyError):  # there are no more
                while True:
                    changed.append(self._stored.trial(known + len(changed) - len(self._unfinished)))
        else:
            trials = self._stored.trials()
            changed = [trials[number] for number in self._unfinished] + trials[known:]
        for trial in changed:
            self._trials[trial.number : trial.number + 1] = [trial]
        return changed

    def _enter(self, trial: FrozenTrial, key: str) -> None:
        if self._left is not None:
            self._left.pop(key, None)
        if is_rejection(trial):
            if trial.user_attrs[REASON] != "duplicate":
                self._refused.add(key)
        elif trial.user_attrs.get(REASON) not in RETRIED_REASONS:
            self._tried.setdefault(key, trial.number)
        else:
            self._left = None
            self._tried = {key: number for key, number in self._tried.items() if number != trial.number}

    def __len__(self) -> int:
        """The number of trials, in any state."""
        return len(self._trials)

    @property
    def trained(self) -> int:
        """The number of trials that trained to their end or were stopped early."""
        return self._trained

    @property
    def running(self) -> list[FrozenTrial]:
        """The running trials, by number."""
        unfinished = [self._trials[number] for number in self._unfinished]
        return [trial for trial in unfinished if trial.state == TrialState.RUNNING]

    def is_waiting(self) -> bool:
        """Whether a trial is enqueued."""
        return any(self._trials[number].state == TrialState.WAITING for number in self._unfinished)

    def is_full(self, max_trials: int | None, *, before: int | None = None, without: int | None = None) -> bool:
        """Whether `max_trials` trials are trained or running; always False for None.

        For the proposal with the number `before`, of the running trials only earlier ones are counted, and all that
        were enqueued, also those that wait: they go first. The trial `without` is not counted.
        """
        if max_trials is None:
            return False
        others = [trial for trial in self.running if trial.number != without]
        if before is not None:
            unfinished = [self._trials[number] for number in self._unfinished]
            others = [
                trial
                for trial in unfinished
                if is_enqueued(trial) or (trial.state == TrialState.RUNNING and trial.number < before)
            ]
        return self._trained + len(others) >= max_trials

    def trial_of(self, values: Values) -> int | None:
        """The number of the first trial with these values; None when there is none."""
        return self._tried.get(values_key(values))

    def was_refused(self, values: Values) -> bool:
        """Whether these values were over the budget or infeasible."""
        return values_key(values) in self._refused

    def any_tried(self) -> bool:
        """Whether any values were accepted for training."""
        return bool(self._tried)

    def least_refused(self) -> dict[str, int]:
        """The smallest parameters, MACs and bytes over the budget, each by itself; empty when there are none."""
        refused = [trial.user_attrs for trial in self._trials if trial.user_attrs.get(REASON) == "over_budget"]
        counted = {name: [attributes[name] for attributes in refused if attributes.get(name)] for name in UNITS}
        return {name: min(amounts) for name, amounts in counted.items() if amounts}

    def is_settled(self, values: Values) -> bool:
        """Whether these values were tried or refused."""
        return self._knows(values_key(values))

    def points_left(self, space: ParameterSpace) -> Sequence[Values] | None:
        """The points of a small space that were neither tried nor refused; None for a larger space."""
        if self._points is None or self._points[0] is not space:
            points = space.points(SMALL_SPACE)
            if points is not None and self._fixed:
                points = [point for point in points if _agrees(space.encode(point)[0], self._fixed)]
            self._points = (space, None if points is None else {values_key(point): point for point in points})
            self._left = None
        listed = self._points[1]
        if listed is None:
            return None
        if self._left is None:
            self._left = {key: point for key, point in listed.items() if not self._knows(key)}
        return list(self._left.values())

    def _knows(self, key: str) -> bool:
        return key in self._tried or key in self._refused


def _agrees(params: Mapping[str, Any], fixed: Mapping[str, Any]) -> bool:
    return all(params[name] == value for name, value in fixed.items() if name in params)
