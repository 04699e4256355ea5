"""How one network is trained: the optimiser, the batch size, the learning rate and what keeps it from overfitting."""

import math
from dataclasses import dataclass
from typing import Literal, final, get_args

from .augmentation import Augmentation
from .errors import InputError

Decay = Literal["constant", "inverse_time", "exponential", "cosine", "one_cycle"]
Optimizer = Literal["adam", "adamw", "sgd"]


@final
@dataclass(frozen=True)
class Recipe:
    """A training recipe: without optional arguments, Adam with one learning rate on the cross-entropy.

    Args:
        learning_rate: the highest learning rate, above 0: that of the first epoch, or that after the warm-up.
        batch_size: images per training step, at least 1.
        decay: how the learning rate changes. In epoch e, counted from 0, of n epochs, it is multiplied by
            "constant": 1; "inverse_time": 1 / (1 + decay_rate * e); "exponential": exp(-decay_rate * e);
            "cosine": (1 + cos(pi * e / n)) / 2, without warm restarts (Loshchilov and Hutter, 2017);
            "one_cycle": 1 + (end_factor - 1) * e / n, after a warm-up, which it must have (Smith and Topin, 2018;
            the momentum stays as it is).
        decay_rate: per epoch, at least 0; "inverse_time" and "exponential" alone use it.
        optimizer: "adam", "adamw" (Loshchilov and Hutter, 2019), or "sgd" with Nesterov's momentum of 0.9.
        weight_decay: every step multiplies the kernels by 1 - weight_decay * the learning rate, for "adamw" and "sgd".
            Biases and the weights of a normalization do not decay. At least 0.
        warm_up: share of all steps, at least 0 and below 1, in which the learning rate rises in a straight line. The
            decay follows: its e and n are counted from the end of the warm-up.
        start_factor: from 0 to 1: the warm-up begins at start_factor * learning_rate.
        end_factor: from 0 to 1: "one_cycle" ends at end_factor * learning_rate; the others do not use it.
        label_smoothing: share of a label, at least 0 and below 1, that is spread evenly over all classes (Szegedy et
            al., 2016). The loss of the training alone has it; the loss in validation is that of the plain labels.
        averaging: with 0, the trained weights are kept. Else an exponential moving average of them is validated and
            kept, and this is its momentum, below 1: each step adds 1 - averaging of the new weights. It looks back
            some 1 / (1 - averaging) steps, and the first step's weights fade at that pace. The moving statistics of a
            BatchNormalization are averages already, and stay those of the trained weights.
        augmentation: changes of the training images at random; None for none.

    The learning rate changes from epoch to epoch. With "one_cycle" or a warm-up it changes from step to step: e is then
    a fraction.

    Raises InputError for any other argument.
    """

    learning_rate: float
    batch_size: int
    decay: Decay = "constant"
    decay_rate: float = 0.0
    optimizer: Optimizer = "adam"
    weight_decay: float = 0.0
    warm_up: float = 0.0
    start_factor: float = 0.04
    end_factor: float = 0.0
    label_smoothing: float = 0.0
    averaging: float = 0.0
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate={self.learning_rate}: give a number above 0")
        if self.batch_size < 1:
            raise InputError(f"batch_size={self.batch_size}: give a whole number of at least 1")
        if self.decay not in get_args(Decay):
            raise InputError(f"decay={self.decay!r}: choose one of {', '.join(get_args(Decay))}")
        if self.optimizer not in get_args(Optimizer):
            raise InputError(f"optimizer={self.optimizer!r}: choose one of {', '.join(get_args(Optimizer))}")
        for name in ("decay_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name}={getattr(self, name)}: give a number of at least 0")
        for name in ("start_factor", "end_factor"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)}: give a number from 0 to 1")
        for name in ("warm_up", "label_smoothing", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: give a number of at least 0 and below 1")
        if self.weight_decay and self.optimizer == "adam":
            raise InputError(f"weight_decay={self.weight_decay}: Adam has none; use the optimizer adamw or sgd, or 0")
        if self.decay == "one_cycle" and not self.warm_up:
            raise InputError("warm_up=0.0: one_cycle has a warm-up; give a share of all steps above 0, such as 0.3")
        if not isinstance(self.augmentation, Augmentation | None):
            raise InputError(f"augmentation={self.augmentation!r}: give an Augmentation, or None")

    @property
    def changes_within_epochs(self) -> bool:
        """Whether the learning rate changes from step to step, and not only from epoch to epoch."""
        return self.decay == "one_cycle" or self.warm_up > 0

    def learning_rate_at(self, epoch: float, epochs: int) -> float:
        """The learning rate at `epoch`, counted from 0, of `epochs`; rounded to ten digits, as in the references.

        Args:
            epoch: within an epoch, with the share of its steps that are done: 2.5 in the middle of the third.
        """
        warming = self.warm_up * epochs
        if epoch < warming:
            factor = self.start_factor + (1 - self.start_factor) * epoch / warming
            return round(self.learning_rate * factor, 10)
        if warming:
            epoch = epoch - warming
        match self.decay:
            case "constant":
                factor = 1.0
            case "inverse_time":
                factor = 1 / (1 + self.decay_rate * epoch)
            case "exponential":
                factor = math.exp(-self.decay_rate * epoch)
            case "cosine":
                factor = (1 + math.cos(math.pi * epoch / (epochs - warming))) / 2
            case "one_cycle":
                factor = 1 + (self.end_factor - 1) * epoch / (epochs - warming)
        return round(self.learning_rate * factor, 10)

    def learning_rates_in(self, epoch: int, epochs: int, steps: int) -> list[float]:
        """The learning rate of each of the `steps` of `epoch`, counted from 0, of `epochs`."""
        if not self.changes_within_epochs:
            return [self.learning_rate_at(epoch, epochs)] * steps
        return [self.learning_rate_at(epoch + step / steps, epochs) for step in range(steps)]
