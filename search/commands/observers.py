"""Observers that only the commands need: the display of a confirmation, and the trials that ended here."""

import time
from typing import final

from ..champion.retraining import ConfirmationObserver
from ..display.progress import Progress
from ..display.search_observer import show_epoch
from ..study.events import SearchObserver, TrialRecord
from ..study.goal import Quantity
from ..training.epochs import EpochMetrics


@final
class ConfirmationProgress(ConfirmationObserver):
    """Shows a confirmation on a display.

    Args:
        progress: the display.
        metric: that the study is after.
        profile: the name of the profile.
        epochs: of every training.
    """

    def __init__(self, progress: Progress, metric: Quantity, profile: str, epochs: int) -> None:
        self._progress, self._metric, self._profile, self._epochs = progress, metric, profile, epochs
        self._began: dict[tuple[int, int], float] = {}  # by the number of the trial and the seed

    def confirmation_started(self, study: str, done: int, total: int) -> None:
        """Show how many trainings are done."""
        self._progress.search_started(
            study=f"confirmation of {study}",
            objective=self._metric.name,
            direction=self._metric.direction,
            profile=self._profile,
            trials_done=done,
            trials_total=total,
            epochs=self._epochs,
        )

    def confirmation_ended(self) -> None:
        """Leave the last state visible."""
        self._progress.search_ended()

    def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
        """Show what is trained."""
        self._began[trial, seed] = time.monotonic()
        what = "final model" if purpose == "final" else "fresh seed"
        self._progress.trial_started(number=_name(trial, seed), summary=f"{what}: {summary}")

    def epoch_ended(self, trial: int, seed: int, epoch: int, metrics: EpochMetrics) -> None:
        """Show the metrics of the epoch."""
        show_epoch(self._progress, _name(trial, seed), epoch, self._epochs, metrics)

    def batches_done(self, trial: int, seed: int, epoch: int, done: int, batches: int | None) -> None:
        """Show how far a long epoch has come."""
        self._progress.batches_done(number=_name(trial, seed), done=done, batches=batches)

    def training_ended(self, trial: int, seed: int, value: float | None) -> None:
        """Show what the training reached."""
        seconds = time.monotonic() - self._began.pop((trial, seed))
        note = "final model trained" if value is None else ""
        self._progress.trial_ended(number=_name(trial, seed), state="COMPLETE", value=value, seconds=seconds, note=note)


@final
class EndedHere(SearchObserver):
    """Notes the trials that this process and its workers ended, not those of other processes on the study.

    Attributes:
        numbers: of these trials.
    """

    def __init__(self) -> None:
        self.numbers: set[int] = set()

    def trial_ended(self, record: TrialRecord) -> None:
        """Note the trial."""
        self.numbers.add(record["number"])


def _name(trial: int, seed: int) -> str:
    return f"{trial} with seed {seed}"
