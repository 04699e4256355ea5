"""What a search tells those who watch it: the display and the tracker."""

from abc import ABC
from collections.abc import Mapping
from typing import Any

TrialRecord = Mapping[str, Any]
"""A trial as plain values; `kerastuna.search.study.records.trial_record` says which."""


class SearchObserver(ABC):  # noqa: B024  every method may be left out
    """Told of every step of a search, in order. Each method does nothing until it is overridden."""

    def proposal_refused(self, record: TrialRecord) -> None:  # noqa: B027
        """A proposal was refused before anything was built: over budget, infeasible or a duplicate."""

    def trial_started(self, record: TrialRecord) -> None:  # noqa: B027
        """A trial is about to be built and trained."""

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:  # noqa: B027
        """Epoch `epoch` (from 1) of trial `number` ended; `metrics` include "seconds" and "learning_rate"."""

    def trial_ended(self, record: TrialRecord) -> None:  # noqa: B027
        """A trial is complete, stopped early or failed."""
