"""How long a search will still take, by what its epochs and trials took so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final


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
    pace: Pace, *, trials: int, epochs: int | None, under_way: Sequence[tuple[int, float]] = (), at_once: int = 1
) -> float | None:
    """Expected seconds until `trials` more trials have ended.

    A trial is expected to last as many epochs as the ended ones did on average, early stops included, and all `epochs`
    before any has ended. Until then, its time outside of epochs is what came before the first ones. A later epoch is
    expected to take as long as a first one until the first later one has ended, and the other way round.

    Args:
        pace: of the epochs and trials so far.
        trials: that have not ended, running ones included.
        epochs: of a full trial; None where not known.
        under_way: of each running trial the epochs that have ended, and the seconds since the last one.
        at_once: so many trials run at the same time. No trial is shared among them.

    Returns None until the first epoch has ended, and where `epochs` are not known, until the first trial has.
    """
    if trials <= 0:
        return 0.0
    if not pace.first_epochs + pace.later_epochs or (epochs is None and not pace.trials):
        return None
    most = math.inf if epochs is None else float(epochs)
    later = pace.later_epoch_seconds / pace.later_epochs if pace.later_epochs else 0.0
    first = pace.first_epoch_seconds / pace.first_epochs if pace.first_epochs else later
    later = later if pace.later_epochs else first
    usual_epochs = max(1.0, pace.trial_epochs / pace.trials) if pace.trials else most
    overhead = pace.overhead_seconds / pace.trials if pace.trials else pace.usual_start
    whole_trial = overhead + first + (usual_epochs - 1) * later

    def rest(done: int) -> float:
        # A trial that is longer than the average already has at least one more epoch to come, unless it has had all.
        return max(0.0, min(most - done, max(1.0, usual_epochs - done))) * later if done else whole_trial

    running = [max(0.0, rest(done) - since) for done, since in under_way]
    waiting = max(0, trials - len(running))
    longest: float = max([*running, *([whole_trial] if waiting else [])])
    return max(longest, (sum(running) + waiting * whole_trial) / min(at_once, len(running) + waiting))
