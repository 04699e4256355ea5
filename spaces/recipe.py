"""How one network is trained: the optimiser, the batch size and the learning rate of every epoch."""

import math
from dataclasses import dataclass
from typing import Literal, final, get_args

from .errors import InputError

Decay = Literal["constant", "inverse_time", "exponential", "cosine"]


@final
@dataclass(frozen=True)
class Recipe:
    """A training recipe with the Adam optimiser and a learning rate that changes from epoch to epoch.

    Args:
        learning_rate: the learning rate of the first epoch, above 0.
        batch_size: images per training step, at least 1.
        decay: how the learning rate changes. In epoch e, counted from 0, of n epochs, it is multiplied by
            "constant": 1; "inverse_time": 1 / (1 + decay_rate * e); "exponential": exp(-decay_rate * e);
            "cosine": (1 + cos(pi * e / n)) / 2, without warm restarts (Loshchilov and Hutter, 2017).
        decay_rate: per epoch, at least 0; "constant" and "cosine" do not use it.

    Raises InputError for any other argument.
    """

    learning_rate: float
    batch_size: int
    decay: Decay = "constant"
    decay_rate: float = 0.0

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate={self.learning_rate}: give a number above 0")
        if self.batch_size < 1:
            raise InputError(f"batch_size={self.batch_size}: give a whole number of at least 1")
        if self.decay not in get_args(Decay):
            raise InputError(f"decay={self.decay!r}: choose one of {', '.join(get_args(Decay))}")
        if not self.decay_rate >= 0:
            raise InputError(f"decay_rate={self.decay_rate}: give a number of at least 0")

    def learning_rate_at(self, epoch: int, epochs: int) -> float:
        """The learning rate of `epoch`, counted from 0, of `epochs`; rounded to ten digits, as in the references."""
        match self.decay:
            case "constant":
                factor = 1.0
            case "inverse_time":
                factor = 1 / (1 + self.decay_rate * epoch)
            case "exponential":
                factor = math.exp(-self.decay_rate * epoch)
            case "cosine":
                factor = (1 + math.cos(math.pi * epoch / epochs)) / 2
        return round(self.learning_rate * factor, 10)
