"""What trained models reach in int8: converted as an export does it, and run in LiteRT, both in other processes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, final

import numpy as np

from ..datasets.answers import Answers
from ..datasets.task import Task
from ..errors import KerastunaError
from ..messages import cause
from .files import calibration_samples
from .formats import FORMATS, missing_packages
from .process import Job, run_jobs

_FORMAT = FORMATS["litert_int8"]
_WRITERS_MODULE = f"{__package__}.writers"
_RUNTIMES_MODULE = f"{__package__}.runtimes"


class NotQuantised(KerastunaError):
    """A network has no figure in int8; the message says why, in one line."""


@final
@dataclass(frozen=True)
class Int8Figure:
    """What one model reaches in int8.

    Attributes:
        metric: Keras's name of it, without "val_".
        value: in int8; `in_float`: of the model itself, on the same samples.
    """

    metric: str
    value: float
    in_float: float

    def record(self) -> dict[str, Any]:
        """The figure as values for JSON."""
        return {"metric": self.metric, "value": self.value, "float": self.in_float}


@final
class Int8Models:
    """Trained models in int8. A context manager: their files exist within its block.

    They are converted at its beginning, where TensorFlow is imported in another process, which takes seconds. To run
    the files takes much less.

    Args:
        models: Keras's, with one input and one output, on any backend.
        x_train: float32 (n, ...), the samples of the training, some of which calibrate int8.
        modules_of: tells of a `.keras` file which modules to import before it is loaded.
    """

    def __init__(
        self, models: Sequence[Any], x_train: np.ndarray, modules_of: Callable[[Path], Sequence[str]] = lambda path: ()
    ) -> None:
        self._models, self._x_train, self._modules_of = models, x_train, modules_of
        self._files: list[Path] = []
        self._problem = ""

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory()
        try:
            self._convert(Path(self._folder.name))
        except NotQuantised as error:
            self._problem = str(error)
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def figures(self, x: np.ndarray, y: np.ndarray, task: Task, answers: Answers, metric: str) -> list[Int8Figure]:
        """What each model reaches on the samples `x`, float32 (n, ...), with targets `y`.

        Args:
            task: that they are trained for.
            answers: how those of the models are read.
            metric: the one that is told; `task.main_metric` where the task cannot compute it from answers.

        Raises NotQuantised where a model could not be converted, or cannot be run.
        """
        if self._problem:
            raise NotQuantised(self._problem)
        if not self._models:
            return []
        folder = Path(self._folder.name)
        np.save(folder / "samples.npy", x, allow_pickle=False)
        jobs = {path.stem: _run(path, folder) for path in self._files}
        _check(run_jobs(_RUNTIMES_MODULE, jobs))
        figures = []
        for path, model in zip(self._files, self._models, strict=True):
            told = np.load(folder / f"{path.stem}.npy", allow_pickle=False)
            in_float = np.asarray(model.predict(x, batch_size=512, verbose=0))
            try:
                read, own = answers.read(told), answers.read(in_float)
            except ValueError as error:
                raise NotQuantised(str(error)) from error
            figures.append(_figure(task, metric, y, read, own))
        return figures

    def _convert(self, folder: Path) -> None:
        if not self._models:
            return
        if missing := missing_packages(_FORMAT.needs):
            raise NotQuantised(missing)
        calibration = folder / "calibration.npy"
        np.save(calibration, calibration_samples(self._x_train), allow_pickle=False)
        jobs: dict[str, Job] = {}
        for number, model in enumerate(self._models):
            path = folder / f"{number}.keras"
            try:
                model.save(path)
            except Exception as error:  # of a model of the user's own class
                raise NotQuantised(f"the model cannot be saved ({cause(error)})") from error
            self._files.append(path.with_suffix(".tflite"))
            arguments: Mapping[str, Any] = {
                "model": str(path),
                "modules": list(self._modules_of(path)),
                "shape": list(self._x_train.shape[1:]),
                "path": str(self._files[-1]),
                "calibration": str(calibration),
            }
            jobs[path.stem] = ("litert_int8", arguments)
        _check(run_jobs(_WRITERS_MODULE, jobs))


def _run(path: Path, folder: Path) -> Job:
    files = {"path": str(path), "samples": str(folder / "samples.npy"), "answers": str(folder / f"{path.stem}.npy")}
    return "evaluate", {"runtime": _FORMAT.runtime, "modules": [], **files}


def _check(results: Mapping[str, Mapping[str, Any]]) -> None:
    for result in results.values():
        if "problem" in result:
            raise NotQuantised(str(result["problem"]))


def _figure(task: Task, metric: str, y: np.ndarray, read: np.ndarray, own: np.ndarray) -> Int8Figure:
    for name in (metric, task.main_metric):
        value, in_float = task.metric(name, y, read), task.metric(name, y, own)
        if value is not None and in_float is not None:
            return Int8Figure(name, value, in_float)
    raise NotQuantised(f"{metric} cannot be computed from answers")
