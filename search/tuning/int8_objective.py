"""Optimising a metric in int8: "val_accuracy_int8" is measured once a training is over, as an export would convert it.

After the epochs before, the pruner is told the metric in float, of which an epoch costs nothing more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import keras
import numpy as np
from keras_tuner.errors import FailedTrialError

from ..datasets.task import Classification, Regression, Task
from ..errors import InputError, SpaceError
from ..export.formats import FORMATS, missing_packages
from ..export.int8_models import Int8Figure, Int8Models, NotQuantised
from ..study.goal import Goal
from ..study.int8_names import in_float, is_in_int8
from ..training.answers import answers_of
from ..training.epochs import EpochReporter, last_metrics
from ..training.interruption import stop_if_told
from ..training.saved_model import modules_of
from .fit_arguments import by_name


def with_stand_ins(names: Iterable[str], metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics of an epoch, with the one in float in the place of each of `names` that is measured in int8."""
    missing = [name for name in names if is_in_int8(name) and name not in metrics and in_float(name) in metrics]
    return {**metrics, **{name: metrics[in_float(name)] for name in missing}}


def metrics_in(objective: Any) -> tuple[str, ...]:
    """The names of the metrics that KerasTuner's objective is made of."""
    return tuple(getattr(objective, "name_to_direction", [objective.name]))


def int8_figure(
    model: keras.Model, x_train: np.ndarray, x: np.ndarray, y: np.ndarray, task: Task, metric: str
) -> Int8Figure:
    """What a trained model reaches in int8 on the samples `x` with targets `y`.

    Args:
        x_train: that it was trained on, by which int8 is calibrated.
        task: that it is trained for.
        metric: Keras's name of it in float, without "val_".

    Raises NotQuantised where it is not known.
    """
    try:
        answers = answers_of(model, task, x, y, metric)
        with Int8Models([model], x_train, modules_of) as quantised:
            (figure,) = quantised.figures(x, y, task, answers, metric)
    except SpaceError as error:
        raise NotQuantised(str(error)) from error
    except NotQuantised:
        stop_if_told()  # a signal of the terminal ends the converter, too
        raise
    return figure


@final
class Int8Objective:
    """Measures what is optimised in int8 after every training.

    Args:
        objective: KerasTuner's.
        goal: of the study.

    Raises InputError for a metric that is not known in int8.
    """

    def __init__(self, objective: Any, goal: Goal) -> None:
        names = [*metrics_in(objective), *(part.name for part in goal.quantities if not part.is_cost)]
        self._names = [name for name in dict.fromkeys(names) if is_in_int8(name)]
        for name in self._names:
            if not name.startswith("val_") or _kind_of(name) is None:
                raise InputError(
                    f"objective {name!r}: in int8, val_accuracy_int8, val_mae_int8, val_mse_int8, val_rmse_int8 and "
                    "val_r2_int8 are known; give one of them"
                )

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise InputError where the arguments of `fit`, or what is installed, do not let it be measured."""
        if not self._names:
            return
        if missing := missing_packages(FORMATS["litert_int8"].needs):
            raise InputError(f"objective {self._names[0]!r} {missing}")
        _arrays(self._names[0], args, kwargs)

    def added(self, result: Any, reporter: EpochReporter, objective: Any, args: Any, kwargs: Any) -> Any:
        """The result of a training, with the metrics in int8 at its end. The history of `reporter` gets them too.

        A training that was stopped early keeps the metrics in float in their place.

        Raises FailedTrialError where they cannot be measured.
        """
        told = last_metrics(result, objective)
        names = [name for name in self._names if name not in told]
        if not names:
            return result
        if reporter.stopped:
            found = {name: float(told[in_float(name)]) for name in names if in_float(name) in told}
        else:
            found = {name: self._measured(name, reporter.model, args, kwargs) for name in names}
            if reporter.history:
                kept = -1 - (reporter.epochs_since_kept or 0)
                reporter.history[kept] = {**reporter.history[kept], **found}
        if not isinstance(result, keras.callbacks.History):
            return {**told, **found}
        result.history |= {name: [value] for name, value in found.items()}
        return result

    def _measured(self, name: str, model: Any, args: Any, kwargs: Any) -> float:
        x_train, x, y = _arrays(name, args, kwargs)
        task = Regression(1 if y.ndim == 1 else y.shape[1])
        try:
            if model is None:
                raise NotQuantised("the training does not tell its callbacks of the model")
            if _kind_of(name) is Classification:
                rows = y.ndim == 2 and y.shape[1] > 1
                outputs = np.shape(model.predict(x[:1], verbose=0))[-1]
                task = Classification(max(2, outputs), one_hot=rows)
                y = y if rows else y.reshape(-1)
            return int8_figure(model, x_train, x, y, task, in_float(name).removeprefix("val_")).value
        except NotQuantised as error:
            raise FailedTrialError(f"{name}, which is optimised, cannot be measured: {error}") from error


def _kind_of(name: str) -> type[Task] | None:
    """The kind of task that knows a metric; None for none of them."""
    metric = in_float(name).removeprefix("val_")
    if Classification(2).metric(metric, np.zeros(1, np.int32), np.eye(1, 2)) is not None:
        return Classification
    return Regression if Regression().metric(metric, np.zeros(1), np.zeros((1, 1))) is not None else None


def _arrays(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training samples, validation samples and their targets, of the arguments of `fit`; raises InputError."""
    given = by_name(args, kwargs)
    validation = given.get("validation_data")
    arrays: tuple[Any, ...] = (given.get("x"), *(validation[:2] if isinstance(validation, tuple | list) else ()))
    if len(arrays) < 3 or not all(isinstance(part, np.ndarray) and part.ndim > 0 for part in arrays):
        raise InputError(f"objective {name!r}: give samples and validation_data=(x, y) as arrays, which int8 is run on")
    x_train, x, y = arrays
    return x_train.astype(np.float32, copy=False), x.astype(np.float32, copy=False), y
