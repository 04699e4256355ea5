"""A model that is exported: where it comes from, and the check of its file."""

import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from ..datasets.checks import PREPROCESSING
from ..errors import SpaceError
from ..messages import cause

if TYPE_CHECKING:
    from ..datasets.answers import Answers
    from ..datasets.data import Dataset

Say = Callable[[str], None]


def check_whole(path: Path, again: str) -> None:
    """Raise SpaceError for a model file that is damaged, before the data and the runtimes are loaded.

    The message ends with `again`, which says what to do.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise SpaceError(f"{path} cannot be read ({cause(error)}): {again}") from error
    if damaged is not None:
        raise SpaceError(f"{path} is damaged (its part {damaged}): {again}")


def export_trained(model: Any, dataset: "Dataset", name: str, out: Path, formats: Any, say: Say) -> Mapping[str, Any]:
    """Export a model that was trained on `dataset` without a study of the command; returns the manifest.

    The classes of `dataset` may be class numbers or one-hot rows, whichever the model was trained on.

    Raises InputError for unknown formats, and SpaceError for a model that cannot be loaded again, or that does not take
    the samples and targets of `dataset`.
    """
    from ..export.exporter import check_formats
    from ..study.scratch import own_temporary_folder
    from ..training.saved_model import saving_problem

    if formats is not None:
        check_formats(formats)
    with own_temporary_folder():
        if problem := saving_problem(model):
            raise SpaceError(f"{name} cannot be exported: {problem}")
        dataset = labelled_for(model, dataset)
        answers = answers_of_model(model, dataset, dataset.task.objective[0])
        origin = Origin(name, dataset, {"params": model.count_params()}, answers, None, (None, None))
        return export_built(model, origin, out, formats, say)


@final
@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        name: of its export.
        dataset: that it was trained on.
        lineage: for the manifest.
        answers: how those of the model are read.
        space: that it is from, as the user named it; None where that is not known.
        test: samples and targets of the test set; (None, None) where it is not opened.
    """

    name: str
    dataset: "Dataset"
    lineage: Mapping[str, Any]
    answers: "Answers"
    space: str | None
    test: Any


def export_built(model: Any, origin: Origin, out: Path, formats: Any, say: Say) -> Mapping[str, Any]:
    """Export a model that is in memory."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "model.keras")
        if model.optimizer is not None and not model.optimizer.built:  # Keras would warn when it loads the file
            model.optimizer.build(model.trainable_variables)
        model.save(path)
        return export_saved(path, origin, out, formats, say)


def export_saved(
    path: Path, origin: Origin, out: Path, formats: Any, say: Say, finish: Any = None
) -> Mapping[str, Any]:
    """Export the model in the file `path`."""
    from ..export.exporter import export as export_model
    from ..export.formats import ExportSource
    from ..training.saved_model import modules_of

    dataset, (x_test, y_test) = origin.dataset, origin.test
    source = ExportSource(
        model_path=path,
        name=origin.name,
        x_validation=dataset.x_validation,
        y_validation=dataset.y_validation,
        x_train=dataset.x_train,
        task=dataset.task,
        answers=origin.answers,
        preprocessing=PREPROCESSING[dataset.unit],
        extra=origin.lineage,
        x_test=x_test,
        y_test=y_test,
        modules=_modules(origin.space) + modules_of(path),
    )
    return export_model(source, out, formats, progress=say, finish=finish)


def labelled_for(model: Any, dataset: "Dataset") -> "Dataset":
    """`dataset` with its classes in the form that the loss of `model` takes: class numbers or one-hot rows.

    It is returned as it is where its targets are of that form, are no classes, or the loss is of the user's own.

    Raises SpaceError where the model does not take its samples.
    """
    import numpy as np

    from ..datasets.task import Classification
    from ..training.answers import takes_one_hot

    samples, task = dataset.x_validation[:1], dataset.task
    try:
        answer = model.predict(samples, verbose=0)
    except Exception as error:  # layers may be of the user's own
        raise SpaceError(
            f"the model does not take the samples of {dataset.name}, which are {samples.dtype} (n, "
            f"{', '.join(map(str, dataset.input_shape))}) ({cause(error)}): give the data that it was trained on"
        ) from error
    if not isinstance(task, Classification) or not isinstance(answer, np.ndarray) or answer.ndim != 2:
        return dataset
    one_hot = takes_one_hot(model, answer.shape[1])
    if one_hot in (None, task.one_hot):
        return dataset
    return dataset.with_one_hot_rows() if one_hot else dataset.with_class_numbers()


def answers_of_model(model: Any, dataset: "Dataset", objective: str) -> "Answers":
    """How the answers of a model are read; raises SpaceError if that is not what its own metric says.

    Args:
        objective: the name of the metric that it was chosen by.
    """
    from ..training.answers import answers_of

    metric = objective.removeprefix("val_")
    return answers_of(model, dataset.task, dataset.x_validation, dataset.y_validation, metric)


def _modules(space: str | None) -> tuple[str, ...]:
    """The module of a user's space: it may register with Keras what a file names in other ways."""
    if space is None:
        return ()
    module = space.partition(":")[0]
    return () if module.partition(".")[0] == "kerastuna" else (module,)
