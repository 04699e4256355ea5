"""How the answers of a model are read: as the probabilities of classes, or as numbers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np


@dataclass(frozen=True)
class Answers(ABC):
    """How the answers of one model are read."""

    @abstractmethod
    def read(self, raw: np.ndarray) -> np.ndarray:
        """What the answers say, float64 (n, outputs of the task or more).

        Args:
            raw: as the model gives them, (n, ...).

        Raises ValueError when they have another shape than the model had when these `Answers` were made.
        """

    @property
    @abstractmethod
    def width(self) -> int:
        """How many numbers the model answers for one sample."""

    @property
    @abstractmethod
    def meaning(self) -> str:
        """What the numbers of an answer mean, in words."""

    def record(self) -> dict[str, Any]:
        """The answers as values for JSON."""
        return {"width": self.width, "meaning": self.meaning}

    def _rows(self, raw: np.ndarray) -> np.ndarray:
        """`raw` as float64 (n, width)."""
        if raw.ndim == 1 and self.width == 1:
            raw = raw[:, np.newaxis]
        if raw.ndim != 2 or raw.shape[1] != self.width:
            raise ValueError(f"the answers are of shape {raw.shape}, expected were (n, {self.width})")
        return raw.astype(np.float64)


@final
@dataclass(frozen=True)
class ClassAnswers(Answers):
    """The answers of a classifier.

    Attributes:
        columns: numbers in one answer: one for each class; or 1, which stands for the second of two classes.
        logits: whether they are logits, and not probabilities.
    """

    columns: int
    logits: bool

    @property
    def width(self) -> int:
        return self.columns

    @property
    def classes(self) -> int:
        """How many classes the answers tell apart."""
        return max(2, self.columns)

    @property
    def meaning(self) -> str:
        what = "logit" if self.logits else "probability"
        return f"the {what} of class 1" if self.columns == 1 else f"the {what} of each class"

    def read(self, raw: np.ndarray) -> np.ndarray:
        """The probability of each class, float64 (n, classes).

        The class that a model says is the one with the highest probability. Of two equal ones it is the first, so that
        a single probability means the second class above 0.5, as in `keras.metrics.BinaryAccuracy`.
        """
        rows = self._rows(raw)
        if self.columns == 1:
            second = 1 / (1 + np.exp(-np.clip(rows, -500, 500))) if self.logits else rows
            return np.concatenate([1 - second, second], axis=1)
        if not self.logits:
            return rows
        powers = np.exp(rows - rows.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


@final
@dataclass(frozen=True)
class NumberAnswers(Answers):
    """The answers of a network that predicts numbers.

    Attributes:
        numbers: how many for one sample.
    """

    numbers: int

    @property
    def width(self) -> int:
        return self.numbers

    @property
    def meaning(self) -> str:
        return "the predicted number" if self.numbers == 1 else f"the {self.numbers} predicted numbers"

    def read(self, raw: np.ndarray) -> np.ndarray:
        """The predicted numbers, float64 (n, numbers)."""
        return self._rows(raw)
