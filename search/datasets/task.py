"""What a network is trained for: to tell classes apart, or to predict numbers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..errors import SpaceError
from .answers import Answers, ClassAnswers, NumberAnswers

ACCURACY = "accuracy"
_ACCURACIES = {ACCURACY, "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"}
MAE, MSE, RMSE, R2 = "mae", "mse", "rmse", "r2"
_ERRORS = {
    MAE: MAE,
    "mean_absolute_error": MAE,
    MSE: MSE,
    "mean_squared_error": MSE,
    RMSE: RMSE,
    "root_mean_squared_error": RMSE,
    R2: R2,
    "r2_score": R2,
}


@dataclass(frozen=True)
class Task(ABC):
    """What a network is trained for.

    In its methods `y` are targets as they are trained on, and `read` is what `Answers.read` returns.
    """

    @property
    @abstractmethod
    def objective(self) -> tuple[str, str]:
        """The metric that is optimised unless the user names another, and its direction: "max" or "min"."""

    @property
    @abstractmethod
    def main_metric(self) -> str:
        """The metric that is computed from answers where the objective cannot be."""

    @property
    @abstractmethod
    def offered(self) -> Mapping[str, int]:
        """What the constructor of a space may take to make the last layer."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """The task as values for JSON; `task_of` reads them back."""

    @abstractmethod
    def answers(self, shape: Sequence[int | None], logits: bool) -> Answers:
        """How the answers of a model are read.

        Args:
            shape: of one answer, without the batch.
            logits: whether the loss takes them for logits.

        Raises SpaceError when answers of this shape cannot be read for this task.
        """

    @abstractmethod
    def metric(self, name: str, y: np.ndarray, read: np.ndarray) -> float | None:
        """The metric that Keras calls `name`, of these answers; None for one that this task does not know."""

    @abstractmethod
    def standard_error(self, name: str, y: np.ndarray, read: np.ndarray) -> float | None:
        """The standard error of the metric `name` that comes from the number of samples; None where it is unknown."""

    @abstractmethod
    def figures(self, y: np.ndarray, read: np.ndarray) -> dict[str, Any]:
        """What else is told of the answers of one model, as values for JSON."""


@final
@dataclass(frozen=True)
class Classification(Task):
    """To tell classes apart.

    Attributes:
        classes: their number, at least 2.
        one_hot: whether targets are one-hot rows, float32 (n, classes), and not class numbers, int32 (n,).
        names: of the classes; their numbers where it is empty.
    """

    classes: int
    one_hot: bool = False
    names: tuple[str, ...] = ()

    @property
    def objective(self) -> tuple[str, str]:
        return f"val_{ACCURACY}", "max"

    @property
    def main_metric(self) -> str:
        return ACCURACY

    @property
    def offered(self) -> Mapping[str, int]:
        return {"classes": self.classes}

    def record(self) -> dict[str, Any]:
        """{"classes"}, and "one_hot" and "names" where there are any: a study of class numbers is as it always was."""
        return {
            "classes": self.classes,
            **({"one_hot": True} if self.one_hot else {}),
            **({"names": list(self.names)} if self.names else {}),
        }

    def answers(self, shape: Sequence[int | None], logits: bool) -> ClassAnswers:
        columns = shape[0] if len(shape) == 1 else 1 if not shape else None
        one_for_two = columns == 1 and self.classes == 2 and not self.one_hot
        enough = columns is not None and columns >= self.classes and not (self.one_hot and columns > self.classes)
        if columns is None or not (one_for_two or enough):
            allowed = f"(n, {self.classes})" + (" or (n, 1)" if self.classes == 2 and not self.one_hot else "")
            raise SpaceError(
                f"the model's answers are of shape {_batch_of(shape)}, but a classifier of {self.classes} classes "
                f"answers {allowed}: correct its last layer"
            )
        return ClassAnswers(columns, logits)

    def labels(self, y: np.ndarray) -> np.ndarray:
        """The class numbers of targets, int (n,)."""
        return y.argmax(axis=1) if self.one_hot else y

    def metric(self, name: str, y: np.ndarray, read: np.ndarray) -> float | None:
        return float((read.argmax(axis=1) == self.labels(y)).mean()) if name in _ACCURACIES else None

    def standard_error(self, name: str, y: np.ndarray, read: np.ndarray) -> float | None:
        share = self.metric(name, y, read)
        return None if share is None else math.sqrt(share * (1 - share) / len(y))

    def figures(self, y: np.ndarray, read: np.ndarray) -> dict[str, Any]:
        """{"per_class": [{"label", "images", "accuracy"}]} of every class that has samples."""
        labels, said = self.labels(y), read.argmax(axis=1)
        return {
            "per_class": [
                {
                    "label": self.names[label] if self.names else int(label),
                    "images": int((labels == label).sum()),  # of rows too, as records always had it
                    "accuracy": float((said[labels == label] == label).mean()),
                }
                for label in np.unique(labels)
            ]
        }


@final
@dataclass(frozen=True)
class Regression(Task):
    """To predict numbers: targets are float32 (n,), or (n, numbers) for several.

    Attributes:
        numbers: how many for one sample, at least 1.
        names: of the numbers; their places where it is empty.
    """

    numbers: int = 1
    names: tuple[str, ...] = ()

    @property
    def objective(self) -> tuple[str, str]:
        return "val_loss", "min"

    @property
    def main_metric(self) -> str:
        return MAE

    @property
    def offered(self) -> Mapping[str, int]:
        return {"outputs": self.numbers}

    def record(self) -> dict[str, Any]:
        """{"numbers"}, and "names" where there are any."""
        return {"numbers": self.numbers, **({"names": list(self.names)} if self.names else {})}

    def answers(self, shape: Sequence[int | None], logits: bool) -> NumberAnswers:
        if tuple(shape) != (self.numbers,) and not (not shape and self.numbers == 1):
            raise SpaceError(
                f"the model's answers are of shape {_batch_of(shape)}, but the targets are {self.numbers} for one "
                f"sample: let its last layer answer (n, {self.numbers})"
            )
        return NumberAnswers(self.numbers)

    def metric(self, name: str, y: np.ndarray, read: np.ndarray) -> float | None:
        match _ERRORS.get(name):
            case "mae":
                return float(np.abs(_errors(y, read)).mean())
            case "mse":
                return float(np.square(_errors(y, read)).mean())
            case "rmse":
                return math.sqrt(np.square(_errors(y, read)).mean())
            case "r2":
                return float(np.mean([_r2(true, said) for true, said in zip(_columns(y).T, read.T, strict=True)]))
            case _:
                return None

    def standard_error(self, name: str, y: np.ndarray, read: np.ndarray) -> float | None:
        match _ERRORS.get(name):
            case "mae":
                return _error_of_mean(np.abs(_errors(y, read)))
            case "mse":
                return _error_of_mean(np.square(_errors(y, read)))
            case _:
                return None

    def figures(self, y: np.ndarray, read: np.ndarray) -> dict[str, Any]:
        """{"per_number": [{"name", "mae", "rmse", "r2", "bias", "spread"}]}.

        "bias" is the mean of answer minus target, "spread" the standard deviation of the targets.
        """
        names = self.names or tuple(map(str, range(self.numbers)))
        return {
            "per_number": [
                {
                    "name": name,
                    "mae": float(np.abs(said - true).mean()),
                    "rmse": math.sqrt(np.square(said - true).mean()),
                    "r2": _r2(true, said),
                    "bias": float((said - true).mean()),
                    "spread": float(true.std()),
                }
                for name, true, said in zip(names, _columns(y).T, read.T, strict=True)
            ]
        }


def task_of(record: Mapping[str, Any]) -> Task:
    """The task that `Task.record` has recorded; other entries of the mapping are passed over."""
    names = tuple(record.get("names", ()))
    if "numbers" in record:
        return Regression(record["numbers"], names)
    return Classification(record["classes"], record.get("one_hot", False), names)


def unit_of(input_shape: Sequence[int]) -> str:
    """What one sample of this shape is called, in the plural: "images" or "rows"."""
    return "images" if len(input_shape) == 3 else "rows"


def _columns(y: np.ndarray) -> np.ndarray:
    """Targets as float64 (n, numbers)."""
    return y.reshape(len(y), -1).astype(np.float64)


def _errors(y: np.ndarray, read: np.ndarray) -> np.ndarray:
    return read - _columns(y)


def _r2(true: np.ndarray, said: np.ndarray) -> float:
    """The coefficient of determination: 1 for perfect answers, 0 for those as good as the mean of the targets."""
    spread = np.square(true - true.mean()).sum()
    return float(1 - np.square(said - true).sum() / spread) if spread else math.nan


def _error_of_mean(values: np.ndarray) -> float:
    """The standard error of the mean over samples, (n, numbers), those of one sample taken together."""
    means = values.mean(axis=1)
    return float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else 0.0


def _batch_of(shape: Sequence[int | None]) -> str:
    return f"({', '.join(['n', *map(str, shape)])})" if shape else "(n,)"
