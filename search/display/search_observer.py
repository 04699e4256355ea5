"""The progress display as an observer of a search."""

import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, final

import optuna

from ..study.attributes import is_trained
from ..study.events import SearchObserver, SearchStatus
from ..study.goal import Goal, goal_of, score_of
from ..study.retries import still_interrupted
from .early_stops import may_stop_early
from .progress import Progress


@final
class ProgressObserver(SearchObserver):
    """Shows a search on a display.

    Args:
        progress: the display.
        profile: the name of the profile.
        timeout: of the search, in seconds; None for no limit.
    """

    def __init__(self, progress: Progress, profile: str, timeout: float | None) -> None:
        self._progress, self._profile, self._timeout = progress, profile, timeout
        self._epochs: int | None = None
        self._study: optuna.Study | None = None
        self._goal: Goal | None = None
        self._began: dict[int, float] = {}  # by the number of a trial whose end has not been told

    def search_started(self, study: optuna.Study, settings: Mapping[str, Any]) -> None:
        """Show the study, how many of its trials are done, and the best so far."""
        trials, goal = study.get_trials(deepcopy=False), goal_of(study)
        self._study, self._goal, self._epochs, self._began = study, goal, settings["epochs"], {}
        results = goal.results(trials)
        self._progress.search_started(
            study=study.study_name,
            objective=goal.metric.name,
            direction=goal.metric.direction,
            profile=self._profile,
            trials_done=sum(map(is_trained, trials)),
            trials_total=settings["max_trials"],
            epochs=self._epochs,
            best=score_of(results[0]) if results else None,
            best_rank=goal.rank(score_of(results[0]), results[0].user_attrs) if results else None,
            deadline=self._timeout,
            may_stop_early=may_stop_early(study.pruner, self._epochs, settings["max_trials"]),
        )

    def proposal_refused(self, record: Mapping[str, Any]) -> None:
        """Count the proposal by its reason."""
        self._progress.rejected(number=record["number"], reason=record["reason"], summary=record["summary"])

    def trial_started(self, record: Mapping[str, Any]) -> None:
        """Show the trial's network."""
        self._began[record["number"]] = time.monotonic()
        size = "" if record["params"] is None else f"{record['params']:,} params"
        summary = " | ".join(part for part in (record["summary"], size) if part)
        self._progress.trial_started(number=record["number"], summary=summary)

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show the metrics of the epoch."""
        show_epoch(self._progress, number, epoch, self._epochs, metrics)

    def batches_done(self, number: int, epoch: int, done: int, batches: int | None) -> None:
        """Show how far a long epoch has come."""
        self._progress.batches_done(number=number, done=done, batches=batches)

    def trial_ended(self, record: Mapping[str, Any]) -> None:
        """Show how the trial ended, and what other processes have done meanwhile."""
        assert self._goal is not None, "search_started comes first"
        value = record["value"]
        self._read_study({record["number"], *self._began})  # of several that end at a time each is counted once
        if (epochs := record.get("continued_after")) is not None:
            self._progress.message(f"trial {record['number']} went on after epoch {epochs} of an interrupted one")
        self._progress.trial_ended(
            number=record["number"],
            state=record["state"],
            reason=record["reason"],
            value=value,
            seconds=time.monotonic() - self._began.pop(record["number"], time.monotonic()),
            rank=None if value is None else self._goal.rank(value, record),
            note="" if value is None else self._goal.note(value, record),
        )

    def search_ended(self, status: SearchStatus) -> None:
        """Leave the last state visible, with what other processes have done."""
        if status == "FINISHED":  # else the study may not be there any more
            self._read_study()
        self._progress.search_ended()

    def _read_study(self, untold: Collection[int] = ()) -> None:
        """Show what all processes have trained, but for the trials whose end is still to be told here."""
        if self._study is None or self._goal is None:
            return
        trials = self._study.get_trials(deepcopy=False)
        told = [trial for trial in trials if trial.number not in untold]
        read = partial(
            self._progress.study_read,
            trials_done=sum(map(is_trained, told)),
            interrupted=len(still_interrupted(trials) - set(untold)),
        )
        best = next(iter(self._goal.results(told)), None)
        if best is None:
            read()
            return
        value = score_of(best)
        read(
            best=value,
            best_trial=best.number,
            best_rank=self._goal.rank(value, best.user_attrs),
            best_note=self._goal.note(value, best.user_attrs),
        )


def show_epoch(
    progress: Progress, number: int | str, epoch: int, epochs: int | None, metrics: Mapping[str, float]
) -> None:
    """Show an epoch of a training on a display; the arguments are those of `Progress.epoch_ended`."""
    shown = {name: value for name, value in metrics.items() if name not in ("seconds", "compile_seconds")}
    progress.epoch_ended(number=number, epoch=epoch, epochs=epochs, metrics=shown, seconds=metrics["seconds"])
