"""Compares the answers of an exported model with those of Keras, and says how far they may differ.

A comparison proves something only if a file that does not look at its input would fail it. Where such a file would
pass, `doubt` says so, and the format is not proven.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..datasets.answers import Answers
from ..datasets.task import Classification, Task

LARGEST_DIFFERENCE = 1e-4  # for formats in float32, relative to the size of the answers
LARGEST_LOSS_PERMILLE = 3  # of the samples: 0.3 points of accuracy, for int8
SAMPLES_TO_TELL = 5_000
LARGEST_RISE_PERCENT = 2  # of the MAE, in the standard deviation of the targets, for int8
STANDARD_ERRORS = 3  # by which the loss on fewer samples must exceed that limit
FOLLOWS = 0.1  # root mean square of the differences, as a share of the standard deviation of Keras's answers
_LOSS_LIMIT = f"{LARGEST_LOSS_PERMILLE / 10:g} points"
_RISE_LIMIT = f"{LARGEST_RISE_PERCENT} % of the spread of the targets"
_NOTHING = "agreement says nothing"
_ANOTHER = "it may be another network"


@dataclass(frozen=True)
class Comparison(ABC):
    """The answers of a format and of Keras to the same samples.

    Attributes:
        samples: their number.
        unit: what they are called, in the plural.
        invalid: number of samples for which the format answers NaN or infinity.
        constant: whether the format answers the same for all samples, of which there are several.
        largest_difference: between two numbers, relative to the largest that Keras answers (for a classifier at
            least 1); infinite if one of them is not finite.
        half_range: of Keras's answers, relative to the same: the best constant differs from none of them by more.
        distance: root mean square of the differences of what the answers say, as a share of the standard deviation of
            what Keras says; infinite if Keras says the same for all samples.
    """

    samples: int
    unit: str
    invalid: int
    constant: bool
    largest_difference: float
    half_range: float
    distance: float

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """Values for JSON; None for infinity."""

    def problem(self, exact: bool) -> str:
        """Why this cannot be the same network; empty if it can.

        Args:
            exact: whether the format computes in float32, and not in int8.
        """
        if self.invalid:
            return f"NaN or infinity on {self.invalid:,} of {self.samples:,} {self.unit}"
        if self.constant:
            return f"one and the same answer for all {self.samples:,} {self.unit}"
        if not exact:
            return self._int8_problem()
        if other := self._float_problem():
            return other
        if self.largest_difference > LARGEST_DIFFERENCE:
            return f"an answer differs from Keras's by {self.largest_difference:.2g}, above {LARGEST_DIFFERENCE:g}"
        return ""

    def doubt(self, exact: bool) -> str:
        """Why the answers prove nothing although there is no problem; empty if they prove it."""
        if exact:
            if self.half_range > LARGEST_DIFFERENCE:
                return ""
            return f"Keras's answers to all {self.samples:,} {self.unit} are within {LARGEST_DIFFERENCE:g}: " + _NOTHING
        return "" if self.distance <= FOLLOWS else self._int8_doubt()

    @abstractmethod
    def int8_note(self) -> str:
        """That there are too few samples to tell; empty if there are enough."""

    @abstractmethod
    def _float_problem(self) -> str: ...

    @abstractmethod
    def _int8_problem(self) -> str: ...

    @abstractmethod
    def _int8_doubt(self) -> str:
        """Why a file that does not look at its input could pass in int8; empty if it could not."""


@final
@dataclass(frozen=True)
class ClassComparison(Comparison):
    """Of classifiers.

    Attributes:
        correct: number of samples that the format classifies correctly.
        keras_correct: number of samples that Keras classifies correctly.
        regained: number of samples that the format classifies correctly and Keras does not.
        same: number of samples for which both give the same class.
        keras_classes: number of classes that Keras gives.
        best_constant: (correct, regained) of a file that gives one class for all samples, of the classes the one that
            is right most often.
    """

    correct: int
    keras_correct: int
    regained: int
    same: int
    keras_classes: int
    best_constant: tuple[int, int]

    def figures(self) -> dict[str, Any]:
        """Shares of the samples, and the loss of accuracy in percentage points."""
        return {
            "images": self.samples,
            "accuracy": self.correct / self.samples,
            "keras_accuracy": self.keras_correct / self.samples,
            "points_lost": 100 * (self.keras_correct - self.correct) / self.samples,
            "agreement": self.same / self.samples,
            "largest_difference": _finite(self.largest_difference),
        }

    def int8_note(self) -> str:
        if self._can_tell:
            return ""
        return (
            f"{self.samples:,} {self.unit} are too few to tell a loss of {_LOSS_LIMIT}; {SAMPLES_TO_TELL:,} are enough"
        )

    def _float_problem(self) -> str:
        if self.same == self.samples:
            return ""
        return f"another class than Keras on {self.samples - self.same:,} of {self.samples:,} {self.unit}"

    def _int8_problem(self) -> str:
        lost = self.keras_correct - self.correct
        if lost <= self._allowed(self.correct, self.regained):
            return ""
        points = 100 * lost / self.samples
        return f"loses {points:.2f} points of accuracy on {self.samples:,} {self.unit}, above {_LOSS_LIMIT}"

    def _int8_doubt(self) -> str:
        gained = self.correct - self.keras_correct
        chance = STANDARD_ERRORS * math.sqrt(max(0, 2 * self.regained - gained))
        if gained > self._largest_loss + chance:
            return f"right more often than Keras by {100 * gained / self.samples:.2f} points: {_ANOTHER}"
        if self.keras_classes == 1:
            return f"Keras gives one class for all {self.samples:,} {self.unit}: {_NOTHING}"
        if self.keras_correct - self.best_constant[0] <= self._allowed(*self.best_constant):
            return f"a file that gives one class for all {self.samples:,} {self.unit} would pass too: {_NOTHING}"
        if not self._can_tell and -gained > self._largest_loss:
            return f"loses {-100 * gained / self.samples:.2f} points, on too few {self.unit} to tell it from chance"
        return ""

    def _allowed(self, correct: int, regained: int) -> float:
        """How many samples more than a file with these figures Keras may classify correctly."""
        if self._can_tell:
            return self._largest_loss
        # The standard error of a paired difference is the root of the number of samples on which only one is right.
        chance = STANDARD_ERRORS * math.sqrt(max(0, self.keras_correct - correct + 2 * regained))
        return self._largest_loss + chance

    @property
    def _largest_loss(self) -> float:
        """The limit of int8 in samples."""
        return LARGEST_LOSS_PERMILLE * self.samples / 1000

    @property
    def _can_tell(self) -> bool:
        """Whether there are enough samples for the limit of int8 itself."""
        return self.samples >= SAMPLES_TO_TELL


@final
@dataclass(frozen=True)
class NumberComparison(Comparison):
    """Of networks that predict numbers. Of several numbers, the rise of the MAE is that of the worst.

    Attributes:
        mae: mean absolute error of the format.
        keras_mae: the same of Keras.
        rise: of the MAE, as a share of the standard deviation of the targets; None if the targets are all equal.
        rise_error: the standard error of the rise.
        constant_rise: the rise of a file that always answers the median of the targets.
    """

    mae: float
    keras_mae: float
    rise: float | None
    rise_error: float
    constant_rise: float

    def figures(self) -> dict[str, Any]:
        """Errors in the unit of the targets, and the rise of the MAE as a share of their standard deviation."""
        return {
            "images": self.samples,
            "mae": _finite(self.mae),
            "keras_mae": _finite(self.keras_mae),
            "mae_lost_of_spread": None if self.rise is None else _finite(self.rise),
            "largest_difference": _finite(self.largest_difference),
        }

    def int8_note(self) -> str:
        if self.rise is None or self._can_tell:
            return ""
        return f"{self.samples:,} {self.unit} are too few to tell a rise of the MAE by {_RISE_LIMIT}"

    def _float_problem(self) -> str:
        return ""

    def _int8_problem(self) -> str:
        if self.rise is None:
            return ""
        allowed = LARGEST_RISE_PERCENT / 100 + (0 if self._can_tell else STANDARD_ERRORS * self.rise_error)
        if self.rise <= allowed:
            return ""
        return f"its MAE rises by {100 * self.rise:.1f} % of the spread of the targets, above {LARGEST_RISE_PERCENT} %"

    def _int8_doubt(self) -> str:
        if self.rise is not None and -self.rise > LARGEST_RISE_PERCENT / 100 + STANDARD_ERRORS * self.rise_error:
            return f"closer to the targets than Keras by {-100 * self.rise:.1f} % of their spread: {_ANOTHER}"
        if self.rise is None:
            return f"the targets of all {self.samples:,} {self.unit} are equal: {_NOTHING}"
        if not self._can_tell:
            return f"{self.samples:,} {self.unit} are too few to tell it from another network"
        if self.constant_rise > LARGEST_RISE_PERCENT / 100:
            return ""
        return f"a file that always gives one number would pass too: {_NOTHING}"

    @property
    def _can_tell(self) -> bool:
        """Whether there are enough samples to tell a rise of the limit from chance."""
        return STANDARD_ERRORS * self.rise_error <= LARGEST_RISE_PERCENT / 100


def compare(
    task: Task, reading: Answers, expected: np.ndarray, answers: np.ndarray, y: np.ndarray, unit: str
) -> Comparison:
    """`expected` of Keras and `answers` of a format, both as they are given, to samples with the targets `y`.

    Args:
        reading: how both are read.
        unit: what samples are called, in the plural.

    Raises ValueError for answers of another shape than `reading` has.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # answers that are not finite are counted
        return _compared(task, reading, expected, answers, y, unit)


def _compared(
    task: Task, reading: Answers, expected: np.ndarray, answers: np.ndarray, y: np.ndarray, unit: str
) -> Comparison:
    said, keras_said = reading.read(answers), reading.read(expected)
    raw, keras_raw = (given.reshape(len(y), -1).astype(np.float64) for given in (answers, expected))
    size = np.abs(keras_raw).max(axis=0)
    if isinstance(task, Classification):
        size = np.full_like(size, max(1.0, size.max()))
    deviation = keras_said.std(axis=0)
    error = np.sqrt(np.square(said - keras_said).mean(axis=0))
    if isinstance(task, Classification):  # of all classes together: some may never be likely
        deviation, error = np.linalg.norm(deviation), np.linalg.norm(error)
    common: dict[str, Any] = {
        "samples": len(y),
        "unit": unit,
        "invalid": int((~np.isfinite(raw)).any(axis=1).sum()),
        "constant": len(y) > 1 and bool((raw == raw[0]).all()),
        "largest_difference": _worst(np.abs(raw - keras_raw).max(axis=0), size),
        "half_range": float(_shares(np.ptp(keras_raw, axis=0) / 2, size).max()),
        "distance": _worst(error, deviation) if np.any(deviation > 0) else math.inf,
    }
    if isinstance(task, Classification):
        return _of_classes(said, keras_said, task.labels(y), common)
    return _of_numbers(said, keras_said, y.reshape(len(y), -1).astype(np.float64), common)


def _of_classes(said: np.ndarray, keras_said: np.ndarray, labels: np.ndarray, common: dict[str, Any]) -> Comparison:
    classes, keras_classes = said.argmax(axis=1), keras_said.argmax(axis=1)
    right, keras_right = classes == labels, keras_classes == labels
    constants = [(int((labels == one).sum()), int((~keras_right & (labels == one)).sum())) for one in np.unique(labels)]
    return ClassComparison(
        **common,
        correct=int(right.sum()),
        keras_correct=int(keras_right.sum()),
        regained=int((right & ~keras_right).sum()),
        same=int((classes == keras_classes).sum()),
        keras_classes=len(np.unique(keras_classes)),
        best_constant=max(constants),
    )


def _of_numbers(said: np.ndarray, keras_said: np.ndarray, y: np.ndarray, common: dict[str, Any]) -> Comparison:
    errors, keras_errors = np.abs(said - y), np.abs(keras_said - y)
    spread = y.std(axis=0)
    told = spread > 0  # of a target that is always the same, no share of the spread can be told
    worst: dict[str, Any] = {"rise": None, "rise_error": 0.0, "constant_rise": 0.0}
    if told.any():
        rises = (errors - keras_errors)[:, told] / spread[told]
        number = int(rises.mean(axis=0).argmax())
        constants = np.abs(y - np.median(y, axis=0)) - keras_errors
        worst = {
            "rise": float(rises[:, number].mean()),
            "rise_error": float(rises[:, number].std() / math.sqrt(len(y))),
            "constant_rise": float((constants[:, told].mean(axis=0) / spread[told]).max()),
        }
    return NumberComparison(**common, mae=float(errors.mean()), keras_mae=float(keras_errors.mean()), **worst)


def _shares(values: Any, of: Any) -> np.ndarray:
    """`values / of`; where `of` is 0: 0 for a value of 0, else infinite."""
    values, of = np.atleast_1d(values), np.atleast_1d(of)
    zero = np.where(values > 0, np.inf, 0.0)
    return np.divide(values, of, out=zero, where=of > 0)


def _worst(values: Any, of: Any) -> float:
    """The largest of the shares; infinite if one of them is not finite."""
    shares = _shares(values, of)
    return float(shares.max()) if np.isfinite(values).all() and np.isfinite(of).all() else math.inf


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
