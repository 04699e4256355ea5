"""The simulated clock of a search: it counts epochs and seconds, and nobody waits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

from kerastuna.search.proposals.distributions import Values

from .table import Course


class Spent(BaseException):
    """The epochs of a search are spent. No `Exception`: KerasTuner would take that for a failed trial."""


@final
@dataclass(frozen=True)
class World:
    """What training would bring.

    Attributes:
        observed: the course that a search sees at some values, with the noise of training.
        expected: the accuracy without noise after all epochs, by which networks are judged.
    """

    observed: Callable[[Values], Course]
    expected: Callable[[Values], float]


@final
@dataclass(frozen=True)
class Trial:
    """A trial that was trained.

    Attributes:
        values: of its hyperparameters.
        epochs: that it was trained.
        complete: whether those are all epochs; else it was stopped, or it is one of Hyperband's short trials.
        at: epochs of the search at its end.
        seconds: simulated, of the search at its end.
        observed: its accuracy at its end, as the search sees it.
        expected: without noise, after all epochs.
    """

    values: Values
    epochs: int
    complete: bool
    at: int
    seconds: float
    observed: float
    expected: float


@final
class Clock:
    """Trains, in a world, until the epochs are spent.

    Args:
        world: what training brings.
        epochs: of a full training.
        limit: epochs of the search.

    Attributes:
        epochs: as given.
        trials: those that ended.
        spent: epochs of the search so far.
        seconds: simulated, so far.
    """

    def __init__(self, world: World, epochs: int, limit: int) -> None:
        self._world = world
        self._limit = limit
        self._running: tuple[Values, int, float] | None = None
        self.epochs = epochs
        self.trials: list[Trial] = []
        self.spent, self.seconds = 0, 0.0

    @property
    def is_running(self) -> bool:
        """Whether any epochs are left."""
        return self.spent < self._limit

    def training(self, values: Values, first: int = 1, last: int | None = None) -> Iterator[tuple[int, float]]:
        """Each epoch from `first` to `last` (all), with the accuracy after it; raises Spent where none is left."""
        course = self._world.observed(values)
        self.seconds += course.first_seconds
        for epoch in range(first, (last or self.epochs) + 1):
            if not self.is_running:
                raise Spent
            self.spent += 1
            self.seconds += course.epoch_seconds
            self._running = values, epoch, course.curve[epoch - 1]
            yield epoch, course.curve[epoch - 1]

    def end(self) -> None:
        """The trial that is trained ends here."""
        assert self._running is not None
        values, epoch, observed = self._running
        self._running = None
        expected = self._world.expected(values)
        complete = epoch == self.epochs
        self.trials.append(Trial(values, epoch, complete, self.spent, self.seconds, observed, expected))
