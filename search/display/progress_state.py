"""The state of a running search, how long it will still take, and both in words. Pure: nothing is displayed here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from ..messages import counted, figure
from ..study.directions import Direction
from ..study.reasons import REJECTIONS

LONG_EPOCH = 10.0
"""An epoch that has taken more seconds tells how far it has come."""
LONG_START = 5.0
"""What comes before the first epoch of a trial is told where it takes more seconds."""
NO_REJECTIONS: Mapping[str, int] = dict.fromkeys(REJECTIONS, 0)


@final
@dataclass(frozen=True)
class Pace:
    """How long epochs and trials took so far, as sums in seconds.

    First epochs are counted separately, because the network may be compiled in them, and so is what comes before them,
    in which it is built and may be compiled.
    """

    first_epochs: int = 0
    first_epoch_seconds: float = 0.0
    later_epochs: int = 0
    later_epoch_seconds: float = 0.0
    trials: int = 0
    trial_epochs: int = 0
    overhead_seconds: float = 0.0
    starts: int = 0
    start_seconds: float = 0.0

    @property
    def usual_start(self) -> float:
        """Seconds before the first epoch of a trial; 0 until one is known."""
        return self.start_seconds / self.starts if self.starts else 0.0

    def with_start(self, seconds: float) -> "Pace":
        """Add what came before the first epoch of a trial."""
        return replace(self, starts=self.starts + 1, start_seconds=self.start_seconds + max(0.0, seconds))

    def with_epoch(self, epoch: int, seconds: float) -> "Pace":
        """Add an epoch, counted from 1."""
        if epoch == 1:
            return replace(
                self, first_epochs=self.first_epochs + 1, first_epoch_seconds=self.first_epoch_seconds + seconds
            )
        return replace(self, later_epochs=self.later_epochs + 1, later_epoch_seconds=self.later_epoch_seconds + seconds)

    def with_trial(self, epochs: int, overhead_seconds: float) -> "Pace":
        """Add a trial that ended after `epochs`; the overhead is its time outside of epochs."""
        return replace(
            self,
            trials=self.trials + 1,
            trial_epochs=self.trial_epochs + epochs,
            overhead_seconds=self.overhead_seconds + max(0.0, overhead_seconds),
        )


def seconds_left(
    pace: Pace, *, trials: int, epochs: int, under_way: Sequence[tuple[int, float]] = (), at_once: int = 1
) -> float | None:
    """Expected seconds until `trials` more trials have ended.

    A trial is expected to last as many epochs as the ended ones did on average, early stops included, and all `epochs`
    before any has ended. Until then, its time outside of epochs is what came before the first ones. A later epoch is
    expected to take as long as a first one until the first later one has ended, and the other way round.

    Args:
        pace: of the epochs and trials so far.
        trials: that have not ended, running ones included.
        epochs: of a full trial.
        under_way: of each running trial the epochs that have ended, and the seconds since the last one.
        at_once: so many trials run at the same time. No trial is shared among them.

    Returns None until the first epoch has ended.
    """
    if trials <= 0:
        return 0.0
    if not pace.first_epochs + pace.later_epochs:
        return None
    later = pace.later_epoch_seconds / pace.later_epochs if pace.later_epochs else 0.0
    first = pace.first_epoch_seconds / pace.first_epochs if pace.first_epochs else later
    later = later if pace.later_epochs else first
    usual_epochs = max(1.0, pace.trial_epochs / pace.trials) if pace.trials else float(epochs)
    overhead = pace.overhead_seconds / pace.trials if pace.trials else pace.usual_start
    whole_trial = overhead + first + (usual_epochs - 1) * later

    def rest(done: int) -> float:
        # A trial that is longer than the average already has at least one more epoch to come, unless it has had all.
        return max(0.0, min(epochs - done, max(1.0, usual_epochs - done))) * later if done else whole_trial

    running = [max(0.0, rest(done) - since) for done, since in under_way]
    waiting = max(0, trials - len(running))
    longest: float = max([*running, *([whole_trial] if waiting else [])])
    return max(longest, (sum(running) + waiting * whole_trial) / min(at_once, len(running) + waiting))


@final
@dataclass(frozen=True)
class RunningTrial:
    """A trial that is training: `epoch` of `epochs` have ended, with the `metrics` of the last one.

    The next epoch began at `began`; if it takes long, `batch` of its `batches` are done, None if not known.
    """

    number: int | str
    summary: str = ""
    epoch: int = 0
    epochs: int = 0
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
        best_rank: of the best trial, the smaller the better, where the value alone does not decide.
        logged_rejections: those that a line has been logged for.
        running: the running trials by number, in the order in which they started.
        at_once: the most trials that have run at the same time.
        deadline: when the search stops at the latest. Times are those of the clock, in seconds.
    """

    objective: str = ""
    study: str = ""
    profile: str = ""
    trials_done: int = 0
    trials_total: int = 0
    epochs: int = 0
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
    pace: Pace = Pace()
    started: float = 0.0
    deadline: float = math.inf
    direction: Direction = "max"
    ended: float | None = None

    @property
    def trials_left(self) -> int:
        """Trials that have not ended."""
        return max(0, self.trials_total - self.trials_done)

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
        return seconds_left(
            self.pace, trials=self.trials_left, epochs=self.epochs, under_way=under_way, at_once=self.at_once
        )


def started_line(state: State) -> str:
    """The line at the start of a search."""
    trials = f"{counted(state.trials_total, 'trial')} of {counted(state.epochs, 'epoch')}"
    done = f", {state.trials_done} done" if state.trials_done else ""
    best = f", best {state.objective} {best_so_far(state)}" if state.best is not None else ""
    stop = f", stops after {about(state.deadline - state.started)}" if math.isfinite(state.deadline) else ""
    profile = f" ({state.profile})" if state.profile else ""
    return f"study {state.study}{profile}: {trials}{done}{best}{stop}"


def estimate_line(state: State, epoch_seconds: float, now: float) -> str:
    """The line after the first epoch: how long the trials are going to take, with what they have taken already."""
    trials = counted(state.trials_left, "more trial" if state.trials_done else "trial")
    expected = state.seconds_left(now, limited=False) or 0.0
    left = state.seconds_left(now) or 0.0
    # What runs has had its first epoch: the time limit may have room for the rest, though not for the whole.
    end = f"but the time limit leaves {about(left)}" if left < expected else "less where trials stop early"
    start = state.pace.usual_start
    before = f", after {about(start)} to build and compile" if start >= LONG_START else ""
    return (
        f"one epoch takes about {about(epoch_seconds)}{before}; "
        f"{trials} of {counted(state.epochs, 'epoch')}: about {about(state.seconds_in_all or 0.0)}, {end}"
    )


def within_epoch(trial: RunningTrial, now: float) -> str:
    """How far the epoch that runs has come; empty while it has not taken long."""
    took = now - trial.began
    if took < LONG_EPOCH or trial.epoch >= trial.epochs:
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
        told = [f"trial {trial.number}: epoch {trial.epoch}/{trial.epochs}"]
        if state.objective in trial.metrics:
            told.append(f"{state.objective} {score(trial.metrics[state.objective], state.objective)}")
        trials.append(", ".join(filter(None, (*told, within_epoch(trial, now)))))
    left = state.seconds_left(now)
    times = [f"about {about(left)} left"] if left else []
    return "; ".join([*trials, f"{state.trials_done}/{state.trials_total} trials done", *times])


def trial_line(state: State, trial: RunningTrial, outcome: str, seconds: float, now: float) -> str:
    """The line at the end of a trial, which took `seconds`."""
    line = (
        f"trial {trial.number} ({state.trials_done}/{state.trials_total}): {outcome} "
        f"after {counted(trial.epoch, 'epoch')} in {about(seconds)}"
    )
    if state.best is not None:
        line += f"; best {best_so_far(state)}"
    left = state.seconds_left(now)
    if left and state.trials_left:
        line += f"; about {about(left)} left"
    return f"{line} | {trial.summary}" if trial.summary else line


def ended_line(state: State, now: float) -> str:
    """The line at the end of a search."""
    best = "none" if state.best is None else f"{state.objective} {best_so_far(state)}"
    trials = f"{state.trials_done} of {counted(state.trials_total, 'trial')} done"
    refused = f"; {rejection_counts(state.rejections)}" if any(state.rejections.values()) else ""
    interrupted = f", {state.interrupted} to be tried again" if state.interrupted else ""
    return (
        f"{state.study} ended after {about(now - state.started)}: {trials}, {state.stopped_early} stopped early, "
        f"{state.failed} failed{interrupted}{refused}; best {best}"
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
