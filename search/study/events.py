"""What a search tells those who watch it: the display, MLflow, and whatever a user adds."""

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, final

import optuna

TrialRecord = Mapping[str, Any]
"""A trial as plain values; `kerastuna.search.study.records.full_record` says which."""
SearchStatus = Literal["FINISHED", "KILLED", "FAILED"]
"""How a search ended: by itself, interrupted by the user or the system, or by an error. The words are MLflow's."""


class SearchObserver(ABC):  # noqa: B024  every method may be left out
    """Told of every step of a search, in order. Each method does nothing until it is overridden."""

    def search_started(self, study: optuna.Study, settings: Mapping[str, Any]) -> None:  # noqa: B027
        """A search begins or goes on in `study`; `settings` are what it was asked to do, by name.

        May raise InputError, which ends the search before its first trial.
        """

    def proposal_refused(self, record: TrialRecord) -> None:  # noqa: B027
        """A proposal was refused before anything was built: over budget, infeasible or a duplicate."""

    def trial_started(self, record: TrialRecord) -> Mapping[str, Any] | None:  # noqa: B027
        """A trial is about to be built and trained. May return attributes to be kept with it, JSON-able, by name."""

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:  # noqa: B027
        """Epoch `epoch` (from 1) of trial `number` ended; `metrics` include "seconds" and "learning_rate"."""

    def batches_done(self, number: int, epoch: int, done: int, batches: int | None) -> None:  # noqa: B027
        """Epoch `epoch` (from 1) of trial `number` takes long: `done` of its `batches` are done, None if not known."""

    def trial_ended(self, record: TrialRecord) -> None:  # noqa: B027
        """A trial is complete, stopped early or failed."""

    def search_ended(self, status: SearchStatus) -> None:  # noqa: B027
        """The search that `search_started` told of is over. Called however it ended."""


@contextmanager
def observed(observers: Sequence[SearchObserver], study: optuna.Study, settings: Mapping[str, Any]) -> Iterator[None]:
    """Tell `observers` that a search in `study` begins, and, once the block is left, how it ended.

    It was KILLED when the block raises KeyboardInterrupt, SystemExit or GeneratorExit, and FAILED when it raises
    anything else, an InputError included.
    """
    status: SearchStatus = "FAILED"
    with ExitStack() as stack:
        for observer in observers:
            observer.search_started(study, settings)
            stack.callback(lambda observer=observer: observer.search_ended(status))
        try:
            yield
            status = "FINISHED"
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            status = "KILLED"
            raise


@final
class Announcer:
    """Tells the observers of a search of each step.

    Args:
        observers: of every search.
    """

    def __init__(self, observers: Sequence[SearchObserver] = ()) -> None:
        self._observers = tuple(observers)
        self._of_this_search: tuple[SearchObserver, ...] = ()

    @property
    def observers(self) -> tuple[SearchObserver, ...]:
        """All who are told at the moment."""
        return (*self._observers, *self._of_this_search)

    @contextmanager
    def search(
        self, study: optuna.Study, settings: Mapping[str, Any], observers: Sequence[SearchObserver] = ()
    ) -> Iterator[None]:
        """Tell that a search begins, and at the end of the block how it ended; `observers` are those of this search."""
        self._of_this_search = tuple(observers)
        try:
            with observed(self.observers, study, settings):
                yield
        finally:
            self._of_this_search = ()

    def refused(self, record: TrialRecord) -> None:
        """Tell of a refused proposal."""
        for observer in self.observers:
            observer.proposal_refused(record)

    def started(self, record: TrialRecord) -> dict[str, Any]:
        """Tell that a trial starts; returns the attributes that observers want to keep with it."""
        kept: dict[str, Any] = {}
        for observer in self.observers:
            kept |= observer.trial_started(record) or {}
        return kept

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Tell of an epoch of trial `number`."""
        for observer in self.observers:
            observer.epoch_ended(number, epoch, metrics)

    def batches_done(self, number: int, epoch: int, done: int, batches: int | None) -> None:
        """Tell how far a long epoch of trial `number` has come."""
        for observer in self.observers:
            observer.batches_done(number, epoch, done, batches)

    def ended(self, record: TrialRecord) -> None:
        """Tell that a trial ended."""
        for observer in self.observers:
            observer.trial_ended(record)
