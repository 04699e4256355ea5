"""What hears of a search: the display and MLflow, each told in its own words."""

import time
from collections.abc import Mapping
from typing import Any, final

from ..display.progress import Progress
from ..study.events import SearchObserver
from ..study.goal import Goal
from ..training.epochs import EpochMetrics


@final
class ProgressObserver(SearchObserver):
    """Shows a search on a display; `epochs` is the length of a full trial."""

    def __init__(self, progress: Progress, epochs: int, goal: Goal) -> None:
        self._progress, self._epochs, self._goal = progress, epochs, goal
        self._began = 0.0

    def proposal_refused(self, record: Mapping[str, Any]) -> None:
        self._progress.rejected(number=record["number"], reason=record["reason"], summary=record["summary"])

    def trial_started(self, record: Mapping[str, Any]) -> None:
        self._began = time.monotonic()
        size = "" if record["params"] is None else f"{record['params']:,} params"
        summary = " | ".join(part for part in (record["summary"], size) if part)
        self._progress.trial_started(number=record["number"], summary=summary)

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        _show_epoch(self._progress, number, epoch, self._epochs, metrics)

    def trial_ended(self, record: Mapping[str, Any]) -> None:
        self._progress.trial_ended(
            number=record["number"],
            state=record["state"],
            reason=record["reason"],
            value=record["value"],
            seconds=time.monotonic() - self._began,
            rank=None if record["value"] is None else self._goal.rank(record["value"], record),
            note="" if record["value"] is None else self._goal.note(record["value"], record),
        )


def _show_epoch(progress: Progress, number: int, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
    shown = {name: value for name, value in metrics.items() if name != "seconds"}
    progress.epoch_ended(number=number, epoch=epoch, epochs=epochs, metrics=shown, seconds=metrics["seconds"])


@final
class ConfirmationProgress:
    """Shows a confirmation on a display, a training at a time."""

    def __init__(self, progress: Progress, epochs: int) -> None:
        self._progress, self._epochs = progress, epochs
        self._began = 0.0

    def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
        self._began = time.monotonic()
        what = "final model" if purpose == "final" else "fresh seed"
        self._progress.trial_started(number=trial, summary=f"{what}, seed {seed}: {summary}")

    def epoch_ended(self, trial: int, epoch: int, metrics: EpochMetrics) -> None:
        _show_epoch(self._progress, trial, epoch, self._epochs, metrics)

    def training_ended(self, trial: int, value: float | None) -> None:
        seconds = time.monotonic() - self._began
        note = "final model trained" if value is None else ""
        self._progress.trial_ended(number=trial, state="COMPLETE", value=value, seconds=seconds, note=note)
