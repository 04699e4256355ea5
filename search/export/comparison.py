"""Compares the answers of an exported model with those of Keras, and says how far they may differ."""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

LARGEST_DIFFERENCE = 1e-4  # of a probability, for formats in float32
LARGEST_LOSS_PERMILLE = 3  # of the images: 0.3 points of accuracy, for int8
IMAGES_TO_TELL = 5_000
STANDARD_ERRORS = 3  # by which the loss on fewer images must exceed that limit
_LIMIT = f"{LARGEST_LOSS_PERMILLE / 10:g} points"


@final
@dataclass(frozen=True)
class Comparison:
    """The answers of a format and of Keras on the same images.

    Attributes:
        images: number of images.
        correct: number of images that the format classifies correctly.
        keras_correct: number of images that Keras classifies correctly.
        regained: number of images that the format classifies correctly and Keras does not.
        same: number of images for which both give the same class.
        largest_difference: between two probabilities; infinite if one of them is not finite.
    """

    images: int
    correct: int
    keras_correct: int
    regained: int
    same: int
    largest_difference: float

    def figures(self) -> dict[str, Any]:
        """Values for JSON: shares of the images, the loss of accuracy in percentage points; None for infinity."""
        return {
            "images": self.images,
            "accuracy": self.correct / self.images,
            "keras_accuracy": self.keras_correct / self.images,
            "points_lost": 100 * (self.keras_correct - self.correct) / self.images,
            "agreement": self.same / self.images,
            "largest_difference": self.largest_difference if math.isfinite(self.largest_difference) else None,
        }

    def float_problem(self) -> str:
        """Why this cannot be the same network in float32; empty if it can."""
        if self.same < self.images:
            return f"another class than Keras on {self.images - self.same:,} of {self.images:,} images"
        if self.largest_difference > LARGEST_DIFFERENCE:
            return f"a probability differs from Keras's by {self.largest_difference:.2g}, above {LARGEST_DIFFERENCE:g}"
        return ""

    def int8_problem(self) -> str:
        """Why this loses too much accuracy; empty if it does not, or if there are too few images to tell."""
        lost = self.keras_correct - self.correct
        allowed = LARGEST_LOSS_PERMILLE * self.images / 1000
        if not self.can_tell:
            # The standard error of a paired difference is the root of the number of images on which only one is right.
            allowed += STANDARD_ERRORS * math.sqrt(lost + 2 * self.regained)
        if lost <= allowed:
            return ""
        return f"loses {100 * lost / self.images:.2f} points of accuracy on {self.images:,} images, above {_LIMIT}"

    def int8_note(self) -> str:
        """That there are too few images to tell; empty if there are enough."""
        if self.can_tell:
            return ""
        return f"{self.images:,} images are too few to tell a loss of {_LIMIT}; {IMAGES_TO_TELL:,} are enough"

    @property
    def can_tell(self) -> bool:
        """Whether there are enough images for the limit of int8 itself."""
        return self.images >= IMAGES_TO_TELL


def compare(expected: np.ndarray, answers: np.ndarray, labels: np.ndarray) -> Comparison:
    """`expected` of Keras and `answers` of a format, both (n, classes), with the true `labels` (n,)."""
    difference = float(np.abs(answers.astype(np.float64) - expected).max())
    right, keras_right = (probabilities.argmax(axis=1) == labels for probabilities in (answers, expected))
    return Comparison(
        images=len(labels),
        correct=int(right.sum()),
        keras_correct=int(keras_right.sum()),
        regained=int((right & ~keras_right).sum()),
        same=int((answers.argmax(axis=1) == expected.argmax(axis=1)).sum()),
        largest_difference=difference if math.isfinite(difference) else math.inf,
    )
