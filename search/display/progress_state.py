"""The state of a running search, and what is said of it. Pure: nothing is displayed here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from ..messages import counted, figure
from ..study.directions import Direction
from ..study.reasons import REJECTIONS
from .pace import Pace, seconds_left

LONG_EPOCH = 10.0
"""An epoch that has taken more seconds tells how far it has come."""
LONG_START = 5.0
"""What comes before the first epoch of a trial is told where it takes more seconds."""
NO_REJECTIONS: Mapping[str, int] = dict.fromkeys(REJECTIONS, 0)


@final
@dataclass(frozen=True)
class RunningTrial:
    """A trial that is training: `epoch` of `epochs`, None if not known, have ended, the last one with these `metrics`.

    The next epoch began at `began`; if it takes long, `batch` of its `batches` are done, None if not known.
    """

    number: int | str
    summary: str = ""
    epoch: int = 0
    epochs: int | None = 0
    epoch_seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    began: float = 0.0
    batch: int = 0
    batches: int | None = None


@final
@dataclass(frozen=True)
class State:
    """Everything that is shown of a search, since this process started it.

    Attributes:
        trials_total: that the study is to have; None for no limit.
        epochs: of a full trial; None where not known.
        may_stop_early: whether a trial can end before its last epoch.
        best_rank: of the best trial, the smaller the better, where the value alone does not decide.
        interrupted: trials that are still to be tried again.
        logged_rejections: those that a line has been logged for.
        running: the running trials by number, in the order in which they started.
        at_once: the most trials that have run at the same time.
        deadline: when the search stops at the latest. Times are those of the clock, in seconds.
    """

    objective: str = ""
    study: str = ""
    profile: str = ""
    trials_done: int = 0
    trials_total: int | None = 0
    epochs: int | None = 0
    may_stop_early: bool = False
    best: float | None = None
    best_trial: int | str | None = None
    best_rank: Sequence[float] | None = None
    best_note: str = ""
    stopped_early: int = 0
    failed: int = 0
    interrupted: int = 0
    rejections: Mapping[str, int] = field(default_factory=lambda: NO_REJECTIONS)
    logged_rejections: Mapping[str, int] = field(default_factory=lambda: NO_REJECTIONS)
    running: Mapping[int | str, RunningTrial] = field(default_factory=dict)
    at_once: int = 1
    pace: Pace = field(default_factory=Pace)
    started: float = 0.0
    deadline: float = math.inf
    direction: Direction = "max"
    ended: float | None = None

    @property
    def trials_left(self) -> int | None:
        """Trials that have not ended; None for no limit."""
        return None if self.trials_total is None else max(0, self.trials_total - self.trials_done)

    @property
    def has_more_than_asked(self) -> bool:
        """Whether more trials are done than the study is to have."""
        return self.trials_total is not None and self.trials_done > self.trials_total

    @property
    def new_rejections(self) -> dict[str, int]:
        """The rejections that no line has been logged for, by reason."""
        return {reason: count - self.logged_rejections.get(reason, 0) for reason, count in self.rejections.items()}

    def with_running(self, trial: RunningTrial) -> "State":
        """The state in which `trial` runs, in place of an earlier state of the same trial."""
        running = {**self.running, trial.number: trial}
        return replace(self, running=running, at_once=max(self.at_once, len(running)))

    def without_running(self, number: int | str) -> "State":
        """The state in which trial `number` does not run any more."""
        return replace(self, running={key: trial for key, trial in self.running.items() if key != number})

    def improves(self, value: float, rank: Sequence[float] | None) -> bool:
        """Whether a trial of this value, and of this rank where ranks decide, is better than the best so far."""
        if rank is not None and self.best_rank is not None:
            return tuple(rank) < tuple(self.best_rank)
        if math.isnan(value) or self.best is None:
            return not math.isnan(value)
        return value > self.best if self.direction == "max" else value < self.best

    def seconds_left(self, now: float, *, limited: bool = True) -> float | None:
        """Expected seconds until the search ends, None while unknown. The deadline counts where `limited`."""
        under_way = [(trial.epoch, now - trial.began) for trial in self.running.values()]
        expected = self._expected(under_way)
        left = math.inf if expected is None else expected
        if limited:
            left = min(left, max(0.0, self.deadline - now))
        return left if math.isfinite(left) else None

    @property
    def seconds_in_all(self) -> float | None:
        """Expected seconds of all trials that have not ended, each from its start; None while unknown."""
        return self._expected([])

    def _expected(self, under_way: Sequence[tuple[int, float]]) -> float | None:
        if (trials := self.trials_left) is None:
            return None
        return seconds_left(self.pace, trials=trials, epochs=self.epochs, under_way=under_way, at_once=self.at_once)


def started_line(state: State) -> str:
    """The line at the start of a search."""
    trials, done = of_epochs(state.trials_total, state.epochs), ""
    if not trials or state.has_more_than_asked:
        trials = trials_done(state) if state.trials_done else ""
    elif state.trials_done:
        done = f"{state.trials_done} done"
    best = f"best {state.objective} {best_so_far(state)}" if state.best is not None else ""
    stop = f"stops after {about(state.deadline - state.started)}" if math.isfinite(state.deadline) else ""
    profile = f" ({state.profile})" if state.profile else ""
    told = ", ".join(filter(None, (trials, done, best, stop)))
    return f"study {state.study}{profile}{': ' if told else ''}{told}"


def estimate_line(state: State, epoch_seconds: float, now: float) -> str:
    """The line after the first epoch: how long the trials are going to take, with what they have taken already."""
    start = state.pace.usual_start
    before = f", after {about(start)} to build and compile" if start >= LONG_START else ""
    took = f"one epoch takes about {about(epoch_seconds)}{before}"
    left, in_all = state.seconds_left(now), state.seconds_in_all
    if in_all is None:
        return took if left is None else f"{took}; the time limit leaves {about(left)}"
    # What runs has had its first epoch: the time limit may have room for the rest, though not for the whole.
    is_short = (left or 0.0) < (state.seconds_left(now, limited=False) or 0.0)
    less = ", less where trials stop early" if state.may_stop_early else ""
    end = f", but the time limit leaves {about(left or 0.0)}" if is_short else less
    trials = of_epochs(state.trials_left, state.epochs, "more trial" if state.trials_done else "trial")
    return f"{took}; {trials}: about {about(in_all)}{end}"


def of_epochs(trials: int | None, epochs: int | None, noun: str = "trial") -> str:
    """Numbers of trials and of their epochs: "4 trials of 3 epochs". What is not known is left out."""
    named = f"{noun}s" if trials is None else counted(trials, noun)
    if epochs is None:
        return "" if trials is None else named
    return f"{named} of {counted(epochs, 'epoch')}"


def trials_done(state: State, of: str = " of ") -> str:
    """How many trials are done, of how many: "3 of 4 trials done"."""
    if state.trials_total is None or state.has_more_than_asked:
        asked = "" if state.trials_total is None else f" ({state.trials_total:,} asked for)"
        return f"{counted(state.trials_done, 'trial')} done{asked}"
    return f"{state.trials_done:,}{of}{counted(state.trials_total, 'trial')} done"


def tally(state: State) -> str:
    """How many trials are done, of how many, in short: "3/4"."""
    if state.has_more_than_asked:
        return f"{state.trials_done} done, {state.trials_total} asked for"
    return f"{state.trials_done} done" if state.trials_total is None else f"{state.trials_done}/{state.trials_total}"


def epoch_of(trial: RunningTrial) -> str:
    """How many epochs of a trial have ended, of how many: "1/3"."""
    return f"{trial.epoch}" if trial.epochs is None else f"{trial.epoch}/{trial.epochs}"


def within_epoch(trial: RunningTrial, now: float) -> str:
    """How far the epoch that runs has come; empty while it has not taken long."""
    took = now - trial.began
    # Where their number is not known, only batches tell that another epoch runs after the first one.
    is_over = (trial.epoch > 0 and not trial.batch) if trial.epochs is None else trial.epoch >= trial.epochs
    if took < LONG_EPOCH or is_over:
        return ""
    batch = f"batch {trial.batch:,}{f'/{trial.batches:,}' if trial.batches else ''}, " if trial.batch else ""
    return f"epoch {trial.epoch + 1}: {batch}{about(took)}"


def epochs_done(trial: RunningTrial) -> float:
    """The epochs of a trial that have ended, and the share of the one that runs."""
    return trial.epoch + (min(1.0, trial.batch / trial.batches) if trial.batches else 0.0)


def running_line(state: State, now: float) -> str:
    """The line about the trials that are training."""
    trials: list[str] = []
    for trial in state.running.values():
        told = [f"trial {trial.number}: epoch {epoch_of(trial)}"]
        if state.objective in trial.metrics:
            told.append(f"{state.objective} {score(trial.metrics[state.objective], state.objective)}")
        trials.append(", ".join(filter(None, (*told, within_epoch(trial, now)))))
    left = state.seconds_left(now)
    times = [f"about {about(left)} left"] if left else []
    return "; ".join([*trials, trials_done(state, "/"), *times])


def trial_line(state: State, trial: RunningTrial, outcome: str, seconds: float | None, now: float) -> str:
    """The line at the end of a trial, which took `seconds`; None where it was not trained."""
    took = "" if seconds is None else f" after {counted(trial.epoch, 'epoch')} in {about(seconds)}"
    line = f"trial {trial.number} ({tally(state)}): {outcome}{took}"
    if state.best is not None:
        line += f"; best {best_so_far(state)}"
    left = state.seconds_left(now)
    if left and state.trials_left != 0:
        line += f"; about {about(left)} left"
    return f"{line} | {trial.summary}" if trial.summary else line


def ended_line(state: State, now: float) -> str:
    """The line at the end of a search."""
    best = "none" if state.best is None else f"{state.objective} {best_so_far(state)}"
    refused = f"; {rejection_counts(state.rejections)}" if any(state.rejections.values()) else ""
    interrupted = f", {state.interrupted} to be tried again" if state.interrupted else ""
    return (
        f"{state.study} ended after {about(now - state.started)}: {trials_done(state)}, "
        f"{state.stopped_early} stopped early, {state.failed} failed{interrupted}{refused}; best {best}"
    )


def best_so_far(state: State) -> str:
    """The best value, and in brackets whose it is."""
    trial = "" if state.best_trial is None else f"trial {state.best_trial}"
    told = ", ".join(filter(None, (trial, state.best_note)))
    best = score(state.best, state.objective)
    return f"{best} ({told})" if told else best


def rejection_counts(rejections: Mapping[str, int]) -> str:
    """Numbers of rejected proposals, given by reason, in words."""
    return ", ".join(f"{number} {words(reason)}" for reason, number in rejections.items())


def score(value: float | None, metric: str) -> str:
    """The value of a metric."""
    return "unknown" if value is None else figure(value, metric)


def words(identifier: str) -> str:
    """An identifier as words: its underscores become spaces."""
    return printable(identifier).replace("_", " ")


def about(seconds: float) -> str:
    """A time in seconds, rounded, in seconds, minutes or hours."""
    if seconds < 0.95:
        return f"{seconds:.1g} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def printable(text: str) -> str:
    """`text` with a space in place of every control character."""
    return "".join(character if character.isprintable() else " " for character in text)
