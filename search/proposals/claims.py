"""A trial that this process trains, from its claim to its end."""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, final

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from ..messages import redact
from ..study.attributes import HISTORY, HYPERPARAMETERS, LAST_SEEN, MESSAGE, REASON, SCORE, SECONDS
from ..study.budget import Size
from ..study.events import Announcer
from ..study.heartbeat import Heartbeat
from ..study.liveness import claim_attributes
from ..study.reasons import ERROR, NOT_FINITE, RETRIED_REASONS, STOPPED_EARLY
from ..study.records import finite_metrics, full_record
from ..study.retries import WithoutInterrupted, retry
from ..study.stored_study import StoredStudy
from .distributions import Values

LONGEST_MESSAGE = 4000
"""Characters of a failure's message that are stored: its end."""


@final
class Claim:
    """A running trial of a study that belongs to this process.

    One of `complete`, `stop` and `fail` ends it. Observers are told of every step. While it is trained, it reports from
    time to time that it is.

    A process that stood still for minutes is taken for dead: another one fails the trial, and it is tried again. When
    the first goes on, its claim is lost. It takes note of that once, stores nothing more, and stops the training.

    Args:
        stored: the study.
        announcer: of the search.
        number: Optuna's number of the trial.
        values: of the active hyperparameters, as they were proposed.

    Attributes:
        number, values: as given.
        reason: why the trial stops before its last epoch, or is going to fail; None while neither is known.
    """

    def __init__(self, stored: StoredStudy, announcer: Announcer, number: int, values: Values) -> None:
        self._stored = stored
        self._announcer = announcer
        self.number = number
        self.values = values
        self.reason: str | None = None
        self._heartbeat: Heartbeat | None = None
        self._is_lost = False

    @classmethod
    def enter(
        cls,
        stored: StoredStudy,
        announcer: Announcer,
        values: Values,
        size: Size | None,
        encoded: tuple[dict[str, Any], dict[str, BaseDistribution]] = ({}, {}),
    ) -> "Claim":
        """Add a running trial with values that no sampler proposed.

        Args:
            stored, announcer, values: as above.
            size: of its network, where counted.
            encoded: the values as Optuna's parameters, with their distributions, where they are in the space.
        """
        attributes = {HYPERPARAMETERS: dict(values), **claim_attributes(), **({} if size is None else vars(size))}
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING, params=encoded[0], distributions=encoded[1], user_attrs=attributes
        )
        return cls(stored, announcer, stored.add(trial), values)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The trial's user attributes, as they are stored."""
        return self._stored.trial(self.number).user_attrs

    @property
    def is_finished(self) -> bool:
        """Whether the trial has ended in the study: another process may have taken this one for dead."""
        return self._stored.trial(self.number).state.is_finished()

    def keep(self, **attributes: Any) -> None:
        """Store user attributes of the trial, JSON-able."""
        with self._unless_lost():
            self._stored.keep(self.number, **attributes)

    def keep_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Store the metrics of every epoch, and the seconds they took together."""
        self.keep(**{HISTORY: [finite_metrics(epoch) for epoch in history], SECONDS: _seconds_of(history)})

    def add_seconds(self, history: Sequence[Mapping[str, float]]) -> None:
        """Add the seconds of another execution to those of the trial."""
        self.keep(**{SECONDS: round(self.attributes.get(SECONDS, 0.0) + _seconds_of(history), 3)})

    def start(self) -> None:
        """Tell the observers that the trial is about to be built and trained."""
        self.reason = None
        if self._heartbeat is None:
            self._heartbeat = Heartbeat(self._stored, self.number, self)
        self.keep(**self._announcer.started(full_record(self._stored.trial(self.number))))

    def report(self, epoch: int, metrics: Mapping[str, float], value: float | None, pruner: BasePruner | None) -> bool:
        """Store the objective after `epoch`, counted from 1, and return whether the trial stops here.

        The pruner stops it, or that another process has taken it for dead.

        A trial that reports once more, although it was stopped, was not.

        Args:
            metrics: of the epoch, for the observers. They are told once the value is stored.
            value: of the objective; None in an epoch that did not compute it.
            pruner: is asked; None where the trial must not be stopped.
        """
        stored = self._stored
        self.reason = None
        self.keep(**{LAST_SEEN: time.time()})
        if self._heartbeat is not None:
            self._heartbeat.has_reported()
        if value is not None:
            with self._unless_lost():
                stored.storage.set_trial_intermediate_value(stored.trial_id(self.number), epoch, value)
        if self._is_lost:
            return True
        self._announcer.epoch_ended(self.number, epoch, metrics)
        if value is None or pruner is None or not pruner.prune(WithoutInterrupted(stored.study), self._until(epoch)):
            return False
        self.reason = STOPPED_EARLY
        return True

    def _until(self, epoch: int) -> FrozenTrial:
        """The trial as it is after `epoch`: when it is tried again, those of the time before stay in the study."""
        trial = copy(self._stored.trial(self.number))
        trial.intermediate_values = {step: value for step, value in trial.intermediate_values.items() if step <= epoch}
        return trial

    def report_batches(self, epoch: int, done: int, batches: int | None) -> None:
        """Tell the observers how far a long epoch, counted from 1, has come."""
        self._announcer.batches_done(self.number, epoch, done, batches)

    def complete(self, score: float, values: Sequence[float], constraints: Mapping[str, float]) -> None:
        """End the trial at its last epoch.

        Args:
            score: the metric at the last epoch.
            values: of the study, one for each of its directions.
            constraints: what the goal demands, in Optuna's form: above 0 is not met.
        """
        self._constrain(constraints)
        self.keep(**{SCORE: score})
        self._end(TrialState.COMPLETE, values)

    def stop(self, constraints: Mapping[str, float]) -> None:
        """End the trial early, as the pruner decided; `constraints` as in `complete`."""
        self._constrain(constraints)
        self.keep(**{REASON: STOPPED_EARLY})
        self._end(TrialState.PRUNED)

    def fail(self, *, score: float | None = None, message: str | None = None, reason: str | None = None) -> None:
        """End the trial as failed. One that was interrupted or ran out of time is enqueued again.

        Args:
            score: where one was reported, it is not finite.
            message: the text of the failure; its end is stored.
            reason: in place of the trial's own; see `kerastuna.search.study.reasons`.
        """
        reason = reason or (None if self.reason == STOPPED_EARLY else self.reason)
        reason = reason or (ERROR if score is None else NOT_FINITE)
        self.keep(**{REASON: reason, **({MESSAGE: redact(message)[-LONGEST_MESSAGE:]} if message else {})})
        self._end(TrialState.FAIL, retried=reason in RETRIED_REASONS)

    def _constrain(self, constraints: Mapping[str, float]) -> None:
        if constraints and not self._is_lost:
            with self._unless_lost():
                trial = self._stored.live(self.number)
                for name, violation in constraints.items():
                    trial.set_constraint(name, violation)

    def let_go(self) -> None:
        """Take note that the trial has ended by another process, where it has."""
        self._take_note()
        self._close()

    def _end(self, state: TrialState, values: Sequence[float] | None = None, *, retried: bool = False) -> None:
        with self._unless_lost():
            if self.is_finished:  # `tell` would raise another error for it
                raise UpdateFinishedTrialError
            # Of a complete trial Optuna checks the values, and says so where they are not finite.
            self._stored.study.tell(self.number, values, state=None if state == TrialState.COMPLETE else state)
        if retried and not self._is_lost:
            retry(self._stored.study, self._stored.trial(self.number))
        self._close()

    def _close(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()
        self._announcer.ended(full_record(self._stored.trial(self.number)))

    @contextmanager
    def _unless_lost(self) -> Iterator[None]:
        try:
            yield
        except UpdateFinishedTrialError:
            self._take_note()

    def _take_note(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            warnings.warn(
                f"trial {self.number} was taken for dead by another process, and tried again: this result is left out",
                stacklevel=4,
            )


def _seconds_of(history: Sequence[Mapping[str, float]]) -> float:
    return round(sum(epoch.get("seconds", 0.0) for epoch in history), 3)
