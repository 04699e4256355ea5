"""Observers that only the commands need: display and records of a confirmation, and the trials that ended here."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from ..champion.retraining import ConfirmationObserver
from ..display.progress import Progress
from ..display.search_observer import show_epoch
from ..study.events import SearchObserver, TrialRecord
from ..study.goal import Goal
from ..tracking.inputs import DataPart
from ..tracking.recorder import of_epoch
from ..tracking.tracker import Tracker
from ..training.epochs import EpochMetrics


@final
class ConfirmationProgress(ConfirmationObserver):
    """Shows a confirmation on a display.

    Args:
        progress: the display.
        goal: of the study, by which the best training is told.
        costs: of the network of a trial, by its number.
        profile: the name of the profile.
        epochs: of every training.
    """

    def __init__(
        self, progress: Progress, goal: Goal, costs: Callable[[int], Mapping[str, Any]], profile: str, epochs: int
    ) -> None:
        self._progress, self._goal, self._costs = progress, goal, costs
        self._profile, self._epochs = profile, epochs
        self._began: dict[tuple[int, int], float] = {}  # by the number of the trial and the seed

    def confirmation_started(self, study: str, done: int, total: int) -> None:
        """Show how many trainings are done."""
        self._progress.search_started(
            study=f"confirmation of {study}",
            objective=self._goal.metric.name,
            direction=self._goal.metric.direction,
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
        self._progress.trial_started(number=_name(trial, seed), summary=": ".join(filter(None, (what, summary))))

    def epoch_ended(self, trial: int, seed: int, epoch: int, metrics: EpochMetrics) -> None:
        """Show the metrics of the epoch."""
        show_epoch(self._progress, _name(trial, seed), epoch, self._epochs, metrics)

    def batches_done(self, trial: int, seed: int, epoch: int, done: int, batches: int | None) -> None:
        """Show how far a long epoch has come."""
        self._progress.batches_done(number=_name(trial, seed), done=done, batches=batches)

    def training_kept(self, trial: int, seed: int, value: float) -> None:
        """Take note of what the training reached, which is counted already."""
        costs, name = self._costs(trial), _name(trial, seed)
        rank, note = self._goal.rank(value, costs), self._goal.note(value, costs)
        told: Any = {"best": value, "best_trial": name, "best_rank": rank, "best_note": note}
        self._progress.study_read(trials_done=0, interrupted=0, **told)

    def training_spared(self, trial: int, seed: int) -> None:
        """Count the training."""
        told: Any = {"value": None, "seconds": None, "note": "final model kept"}
        self._progress.trial_ended(number=_name(trial, seed), state="COMPLETE", **told)

    def training_ended(self, trial: int, seed: int, value: float | None) -> None:
        """Show what the training reached."""
        told: Any = {"value": value, "seconds": time.monotonic() - self._began.pop((trial, seed))}
        if value is None:
            told["note"] = "final model trained"
        else:
            costs = self._costs(trial)
            told |= {"rank": self._goal.rank(value, costs), "note": self._goal.note(value, costs)}
        self._progress.trial_ended(number=_name(trial, seed), state="COMPLETE", **told)


@final
class ConfirmationRecorder(ConfirmationObserver):
    """Records every training of a confirmation in MLflow, with its curves, and tells `other` of every step.

    Args:
        tracker: of the study, whose run is open.
        tags: for every run.
        parts: the data sets.
        other: is told, too.
    """

    def __init__(
        self, tracker: Tracker, tags: Mapping[str, str], parts: Sequence[DataPart], other: ConfirmationObserver
    ) -> None:
        self._tracker, self._tags, self._parts, self._other = tracker, tags, parts, other
        self._runs: dict[tuple[int, int], str | None] = {}  # by the number of the trial and the seed, of what runs

    def confirmation_started(self, study: str, done: int, total: int) -> None:
        """End the runs that a killed confirmation left, and tell the other."""
        self._tracker.end_lost_trainings()
        self._other.confirmation_started(study, done, total)

    def confirmation_ended(self) -> None:
        """Tell the other."""
        self._other.confirmation_ended()

    def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
        """Open the run of the training."""
        tags = {"trial.number": trial, "seed": seed, "architecture": summary, "purpose": purpose}
        run_id = self._tracker.start_training(f"{purpose}-{trial:04d}-seed-{seed}", {**self._tags, **tags})
        if run_id is not None:
            self._tracker.log_data(self._parts, run_id)
        self._runs[trial, seed] = run_id
        self._other.training_started(trial, seed, summary, purpose)

    def epoch_ended(self, trial: int, seed: int, epoch: int, metrics: EpochMetrics) -> None:
        """Record the metrics of the epoch."""
        self._tracker.log_epochs(self._runs.get((trial, seed)), [of_epoch(metrics)], first_step=epoch)
        self._other.epoch_ended(trial, seed, epoch, metrics)

    def batches_done(self, trial: int, seed: int, epoch: int, done: int, batches: int | None) -> None:
        """Tell the other."""
        self._other.batches_done(trial, seed, epoch, done, batches)

    def training_kept(self, trial: int, seed: int, value: float) -> None:
        """Tell the other."""
        self._other.training_kept(trial, seed, value)

    def training_spared(self, trial: int, seed: int) -> None:
        """Tell the other."""
        self._other.training_spared(trial, seed)

    def training_ended(self, trial: int, seed: int, value: float | None) -> None:
        """Close the run, as failed where the training diverged."""
        failed = value is not None and math.isnan(value)
        self._tracker.end_training(self._runs.pop((trial, seed), None), failed=failed)
        self._other.training_ended(trial, seed, value)

    def close(self) -> None:
        """Close the runs of trainings that did not end."""
        for run_id in self._runs.values():
            self._tracker.end_training(run_id, failed=True)
        self._runs.clear()


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
