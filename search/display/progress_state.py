"""What is known of a running search, how long it will still take, and how that reads in words: pure, no display."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from ..study.reasons import REJECTIONS

NO_REJECTIONS: Mapping[str, int] = dict.fromkeys(REJECTIONS, 0)


@final
@dataclass(frozen=True)
class Pace:
    """How long epochs and trials took so far: sums, in seconds. The first epochs, which compile, are kept apart."""

    first_epochs: int = 0
    first_epoch_seconds: float = 0.0
    later_epochs: int = 0
    later_epoch_seconds: float = 0.0
    trials: int = 0
    trial_epochs: int = 0
    overhead_seconds: float = 0.0

    def with_epoch(self, epoch: int, seconds: float) -> "Pace":
        if epoch == 1:
            return replace(
                self, first_epochs=self.first_epochs + 1, first_epoch_seconds=self.first_epoch_seconds + seconds
            )
        return replace(self, later_epochs=self.later_epochs + 1, later_epoch_seconds=self.later_epoch_seconds + seconds)

    def with_trial(self, epochs: int, overhead_seconds: float) -> "Pace":
        return replace(
            self,
            trials=self.trials + 1,
            trial_epochs=self.trial_epochs + epochs,
            overhead_seconds=self.overhead_seconds + max(0.0, overhead_seconds),
        )


def seconds_left(pace: Pace, *, trials: int, epochs: int, epochs_done: int = 0) -> float | None:
    """Expected seconds until `trials` more trials have ended; None before the first epoch has.

    The first of the trials has `epochs_done` epochs behind it. A trial is expected to last as many epochs as the mean
    of those that ended, early stops included, and all `epochs` before any has. Later epochs count as long as a first
    one until a later one was seen.
    """
    if trials <= 0:
        return 0.0
    if not pace.first_epochs:
        return None
    first = pace.first_epoch_seconds / pace.first_epochs
    later = pace.later_epoch_seconds / pace.later_epochs if pace.later_epochs else first
    usual_epochs = max(1.0, pace.trial_epochs / pace.trials) if pace.trials else float(epochs)
    overhead = pace.overhead_seconds / pace.trials if pace.trials else 0.0
    whole_trial = overhead + first + (usual_epochs - 1) * later
    if not epochs_done:
        return trials * whole_trial
    # Past the usual length a trial goes on for at least another epoch, unless it has had them all.
    epochs_to_come = min(epochs - epochs_done, max(1.0, usual_epochs - epochs_done))
    return max(0.0, epochs_to_come) * later + (trials - 1) * whole_trial


@final
@dataclass(frozen=True)
class RunningTrial:
    number: int
    summary: str = ""
    epoch: int = 0
    epochs: int = 0
    epoch_seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class State:
    """All that is shown, since this process began to search; times are those of the clock, in seconds."""

    objective: str
    study: str = ""
    profile: str = ""
    trials_done: int = 0
    trials_total: int = 0
    epochs: int = 0
    best: float | None = None
    best_trial: int | None = None
    best_rank: Sequence[float] | None = None
    best_note: str = ""
    stopped_early: int = 0
    failed: int = 0
    rejections: Mapping[str, int] = field(default_factory=lambda: NO_REJECTIONS)
    logged_rejections: Mapping[str, int] = field(default_factory=lambda: NO_REJECTIONS)
    running: RunningTrial | None = None
    pace: Pace = Pace()
    paced: float = 0.0
    started: float = 0.0
    deadline: float = math.inf
    ended: float | None = None

    @property
    def trials_left(self) -> int:
        return max(0, self.trials_total - self.trials_done)

    @property
    def new_rejections(self) -> dict[str, int]:
        """The rejections that no line has told of, by reason."""
        return {reason: count - self.logged_rejections.get(reason, 0) for reason, count in self.rejections.items()}

    def seconds_left(self, now: float, *, limited: bool = True) -> float | None:
        """Expected seconds until the search ends, None while unknown; the deadline counts where `limited`."""
        epochs_done = self.running.epoch if self.running else 0
        expected = seconds_left(self.pace, trials=self.trials_left, epochs=self.epochs, epochs_done=epochs_done)
        left = math.inf if expected is None else max(0.0, expected - (now - self.paced))
        if limited:
            left = min(left, max(0.0, self.deadline - now))
        return left if math.isfinite(left) else None


def started_line(state: State) -> str:
    trials = f"{count(state.trials_total, 'trial')} of {count(state.epochs, 'epoch')}"
    done = f", {state.trials_done} done" if state.trials_done else ""
    best = f", best {state.objective} {best_so_far(state)}" if state.best is not None else ""
    stop = f", stops after {about(state.deadline - state.started)}" if math.isfinite(state.deadline) else ""
    return f"study {state.study} ({state.profile}): {trials}{done}{best}{stop}"


def estimate_line(state: State, epoch_seconds: float, now: float) -> str:
    trials = count(state.trials_left, "more trial" if state.trials_done else "trial")
    expected = state.seconds_left(now, limited=False) or 0.0
    left = state.seconds_left(now) or 0.0
    end = f"but the time limit leaves {about(left)}" if left < expected else "less where trials stop early"
    return (
        f"one epoch takes about {about(epoch_seconds)}; "
        f"{trials} of {count(state.epochs, 'epoch')}: about {about(expected)}, {end}"
    )


def trial_line(state: State, trial: RunningTrial, outcome: str, seconds: float, now: float) -> str:
    line = (
        f"trial {trial.number} ({state.trials_done}/{state.trials_total}): {outcome} "
        f"after {count(trial.epoch, 'epoch')} in {about(seconds)}"
    )
    if state.best is not None:
        line += f"; best {best_so_far(state)}"
    left = state.seconds_left(now)
    if left and state.trials_left:
        line += f"; about {about(left)} left"
    return f"{line} | {trial.summary}" if trial.summary else line


def ended_line(state: State, now: float) -> str:
    best = "none" if state.best is None else f"{state.objective} {best_so_far(state)}"
    trials = f"{state.trials_done} of {count(state.trials_total, 'trial')} done"
    refused = f"; {rejection_counts(state.rejections)}" if any(state.rejections.values()) else ""
    return (
        f"{state.study} ended after {about(now - state.started)}: {trials}, {state.stopped_early} stopped early, "
        f"{state.failed} failed{refused}; best {best}"
    )


def best_so_far(state: State) -> str:
    trial = "" if state.best_trial is None else f"trial {state.best_trial}"
    told = ", ".join(filter(None, (trial, state.best_note)))
    return f"{score(state.best)} ({told})" if told else score(state.best)


def rejection_counts(rejections: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {words(reason)}" for reason, number in rejections.items())


def score(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def words(identifier: str) -> str:
    return printable(identifier).replace("_", " ")


def about(seconds: float) -> str:
    """Seconds for a reader: two figures or so, in the unit that suits."""
    if seconds < 0.95:
        return f"{seconds:.1g} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
