"""What an export starts from, and the formats: the file of each, the packages it needs, how exact its answers are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import numpy as np

from ..datasets.answers import Answers
from ..datasets.task import Classification, Regression, Task, unit_of
from ..errors import InputError

MANIFEST = "manifest.json"
MICRO = "tflite_micro"  # exists for Linux on x86-64 alone


@final
@dataclass(frozen=True, eq=False)
class ExportSource:
    """A trained model and the samples that its exports are checked on.

    Attributes:
        model_path: a .keras file of a model with one input and one output.
        name: of the export; also names the C array.
        x_validation: float32 (n, ...), as the model takes them.
        y_validation: targets of the task, (n,) or (n, k).
        x_train: as x_validation, for the calibration of int8.
        task: what the model is trained for.
        answers: how its answers are read.
        preprocessing: how raw data become such samples, in words.
        extra: lineage (study, trial, parameters ...) as values for JSON; copied into the manifest.
        x_test: as x_validation; exports are checked on it as well. None: the test set is not opened.
        y_test: as y_validation.
        modules: imported before the model is loaded, for what they register with Keras.

    Raises InputError if the file does not exist or is not a .keras file, and if samples and targets do not match.
    """

    model_path: Path
    name: str
    x_validation: np.ndarray = field(repr=False)
    y_validation: np.ndarray = field(repr=False)
    x_train: np.ndarray = field(repr=False)
    task: Task
    answers: Answers
    preprocessing: str
    extra: Mapping[str, Any]
    x_test: np.ndarray | None = field(default=None, repr=False)
    y_test: np.ndarray | None = field(default=None, repr=False)
    modules: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.model_path.suffix != ".keras" or not self.model_path.is_file():
            raise InputError(f"{str(self.model_path)!r} is not a .keras file: give one that model.save has written")
        if (self.x_test is None) != (self.y_test is None):
            raise InputError("test samples and their targets belong together: give both or neither")
        for part, (x, y) in self.parts().items():
            targets = (len(x), *self.y_validation.shape[1:])
            if x.ndim < 2 or len(x) == 0 or y.shape != targets or x.shape[1:] != self.input_shape:
                raise InputError(
                    f"{part} {self.unit} are of shape {x.shape} with targets {y.shape}, those for training of shape "
                    f"{self.x_train.shape}: give (n, ...) with n targets, alike in all parts"
                )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.x_train.shape[1:]

    @property
    def unit(self) -> str:
        """What samples are called, in the plural."""
        return unit_of(self.input_shape)

    @property
    def labels(self) -> Sequence[str]:
        """Names of the classes, or of the predicted numbers; their places where they have none."""
        match self.task:
            case Classification(classes=count, names=names) | Regression(numbers=count, names=names):
                return names or [str(place) for place in range(count)]
            case _:
                return ()

    def parts(self) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        """Samples and targets to check on: "validation" and, where it was opened, "test"."""
        parts = {"validation": (self.x_validation, self.y_validation)}
        if self.x_test is not None and self.y_test is not None:
            parts["test"] = (self.x_test, self.y_test)
        return parts


@final
@dataclass(frozen=True)
class Format:
    """A format of an export.

    Attributes:
        path: of its file or folder in the export.
        runtime: what runs it, by its name in `runtimes.RUNTIMES`.
        writes_with: packages needed to write it, besides TensorFlow.
        runs_with: the package of its runtime, if that is not TensorFlow.
        exact: whether it computes in float32, so that it must give the same answers as Keras.
    """

    path: str
    runtime: str
    writes_with: tuple[str, ...] = ()
    runs_with: tuple[str, ...] = ()
    exact: bool = True

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages without which it is not exported, because it could not be written or not checked."""
        packages = ("tensorflow", *self.writes_with, *self.runs_with)
        return tuple(package for package in packages if package != MICRO)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "keras": Format("model.keras", "keras"),
        "savedmodel": Format("savedmodel", "savedmodel"),
        "onnx": Format("model.onnx", "onnx", writes_with=("onnx", "tf2onnx"), runs_with=("onnxruntime",)),
        "litert": Format("model.tflite", "litert", runs_with=("ai_edge_litert",)),
        "litert_int8": Format("model_int8.tflite", "litert", runs_with=("ai_edge_litert",), exact=False),
        # Made of the int8 file, so it needs what that does. Its bytes can be compared without a runtime.
        "c_array": Format(
            "model_int8.c", "tflite_micro", writes_with=("ai_edge_litert",), runs_with=(MICRO,), exact=False
        ),
        # The same as a program of its own, which needs no runtime.
        "c_program": Format("c_program", "c_program", writes_with=("ai_edge_litert",), exact=False),
    }
)


def missing_packages(packages: Sequence[str]) -> str:
    """Which of `packages` cannot be imported and how to install them, in words; empty if none is missing."""
    missing = [package for package in packages if find_spec(package) is None]
    if not missing:
        return ""
    where = " (Linux on x86-64 only)" if MICRO in missing else ""
    return f"needs {' and '.join(missing)}: pip install 'PATH/TO/kerastuna[export]'{where}"
