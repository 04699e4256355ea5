"""Labelled samples for a search: loads them from any source, and splits them into training and validation.

A search gets a `Dataset`, which has no test samples. Only `load_test` gives those to anybody. `load_dataset` looks,
where it is asked to, whether they can be used: at shapes, types and labels, and, of other values than bytes, whether
all are allowed. It keeps nothing of them. A user's function for the test samples is not called by it, and of image
files only size and colours are taken. (Keras's loaders return both parts at once. Then the test part is dropped.)

Images become float32 (n, height, width, channels): floating point numbers are kept, integers (0 to 255, uint8 or wider)
are divided by 255. Rows, (n, features) or of five axes and more, become float32 as they are. `training_targets` says
what targets become.
"""

import os
import re
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, final

import numpy as np

from ..errors import DataError
from ..messages import shown
from ..user_code import is_reference
from .checks import check_samples, network_input
from .names import TASKS
from .resolve import resolve
from .source import Source
from .splitting import VALIDATION_FRACTION, split_indices
from .table import is_table_file
from .targets import class_counts, matching_targets, training_targets
from .task import Classification, Regression, Task, unit_of


@final
@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and validation samples, ready for a network. Never holds test samples.

    Attributes:
        name: short slug: "mnist", the stem of a file, the name of a folder or of an attribute.
        x_train, x_validation: images, float32 (n, height, width, channels), or rows, float32 (n, ...).
        y_train, y_validation: targets: class numbers, int32 (n,), from 0; one-hot rows, float32 (n, classes); or
            numbers, float32 (n,) or (n, numbers). `task` says which.
        task: what a network is trained for on them.
        fingerprint: SHA-256 over dtype, shape and bytes of the training samples and targets as given, before the split,
            and over the names of a table's columns.
        seed: of the split.
        columns: the names of a table's columns, the target last; empty for everything else.
    """

    name: str
    x_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_validation: np.ndarray = field(repr=False)
    y_validation: np.ndarray = field(repr=False)
    task: Task
    fingerprint: str
    seed: int
    columns: tuple[str, ...] = field(default=(), repr=False)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample: height, width, channels of an image; features of a row."""
        return self.x_train.shape[1:]

    @property
    def unit(self) -> str:
        """What samples are called, in the plural: "images" or "rows"."""
        return unit_of(self.input_shape)

    @property
    def classes(self) -> int:
        """The number of classes; raises DataError where numbers are predicted."""
        if isinstance(self.task, Classification):
            return self.task.classes
        raise DataError(f"the data set {self.name!r} has no classes: its targets are numbers")

    def identity(self) -> dict[str, Any]:
        """Which data a search uses, as values for JSON; two searches with the same identity use the same data."""
        return {
            "fingerprint": self.fingerprint,
            "images": len(self.x_train),
            "validation": len(self.x_validation),
            "validation_fraction": VALIDATION_FRACTION,
            "split_seed": self.seed,
        }

    def with_class_numbers(self) -> "Dataset":
        """The same data with class numbers, int32 (n,), in place of one-hot rows; itself where there are none."""
        task = self.task
        if not isinstance(task, Classification) or not task.one_hot:
            return self
        return replace(
            self,
            y_train=task.labels(self.y_train).astype(np.int32),
            y_validation=task.labels(self.y_validation).astype(np.int32),
            task=replace(task, one_hot=False),
        )

    def with_one_hot_rows(self) -> "Dataset":
        """The same data with one-hot rows, float32 (n, classes), in place of class numbers; itself without those."""
        task = self.task
        if not isinstance(task, Classification) or task.one_hot:
            return self
        rows = np.eye(task.classes, dtype=np.float32)
        return replace(
            self,
            y_train=rows[self.y_train],
            y_validation=rows[self.y_validation],
            task=replace(task, one_hot=True),
        )


def load_dataset(
    spec: str,
    *,
    images: int | None = None,
    seed: int = 0,
    task: str = "auto",
    target: str | None = None,
    check_test: bool = False,
) -> Dataset:
    """Loads the training part of a data set and splits it.

    Validation is a tenth of all samples, stratified where there are classes. It does not depend on `images`. All
    samples keep their order.

    Args:
        spec: a Keras data set (`KERAS_NAMES`), an `.npz` file with `x_train` and `y_train`, a table (see `open_table`
            and `open_table_folder`), a folder of images (see `open_image_folder`) or of IDX files (see
            `open_idx_folder`), or, as `module:attribute`, a callable that returns a mapping of arrays, each an array
            or a callable that returns one. For such a callable the working folder is added to `sys.path`.
        images: the most training samples, a stratified choice; at least one for each class. None for all.
        seed: fixes both choices; at least 0.
        task: "auto", "classification" or "regression": how targets are understood, see `training_targets`.
        target: the column of a table that is predicted; None for the last one.
        check_test: also refuse a test part that could not be used at the end, as far as it may be looked at before it
            is opened: see above.

    Raises DataError, in one line, for everything that cannot be used.
    """
    if seed < 0:
        raise DataError(f"the seed of the split is {seed}: it must be 0 or more; choose another")
    if task not in TASKS:
        raise DataError(f"the task {task!r} is unknown: it must be one of {', '.join(TASKS)}; choose one")
    source = resolve(spec, target)()
    if source.by_class and task == "regression":
        raise DataError(f"{shown(spec)} is a folder of images by class, which has no numbers: leave out regression")
    x, y = source.part("train")
    check_samples(x, source.place("x_train"))
    unit, where = unit_of(network_input(x[:1]).shape[1:]), source.place("y_train")
    targets, found = training_targets(y, len(x), where, unit, "classification" if source.by_class else task)
    training, validation = _split(targets, found, images, seed, spec, unit, where)
    dataset = Dataset(
        name=_slug(spec),
        x_train=network_input(x[training]),
        y_train=targets[training],
        x_validation=network_input(x[validation]),
        y_validation=targets[validation],
        task=_named(found, source),
        fingerprint=_fingerprint_of(x, y, source),
        seed=seed,
        columns=source.columns,
    )
    if check_test:
        _check_test_part(source, dataset)
        if source.by_function and source.has_test:
            _check_training_part(resolve(spec, target)(), dataset)
    return dataset


def load_test(spec: str, like: Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    """The test samples and targets, in the form of those of `like`; None if the set has no test part.

    Args:
        spec: as in `load_dataset`.
        like: the training part, with which the test part must agree.

    Raises DataError if the test part cannot be used or does not agree, and if a function of the user now returns other
    training samples: then test samples may be among those of `like`.
    """
    source = resolve(spec, like.columns[-1] if like.columns else None)()
    if not source.has_test:
        return None
    if source.by_function:
        _check_training_part(source, like)
    x, y = source.part("test")
    _check_test_samples(x, source, like)
    return network_input(x), matching_targets(y, len(x), source.place("y_test"), like.unit, like.task)


def _check_test_part(source: Source, like: Dataset) -> None:
    """Refuses a test part that `load_test` would refuse, as far as it may be looked at before it is opened.

    Nothing of it is evaluated or kept. A set without a test part is accepted.
    """
    if not source.has_test:
        return
    source.require("test")
    x, y = source.outline("x_test"), source.outline("y_test")
    if x is not None:
        _check_test_samples(x, source, like)
    if y is None:
        return
    samples = len(x) if x is not None else len(y) if y.ndim else 0
    matching_targets(y, samples, source.place("y_test"), like.unit, like.task)


def _fingerprint_of(x: np.ndarray, y: np.ndarray, source: Source) -> str:
    return fingerprint(x, y, *([np.array(source.columns)] if source.columns else []))


def _check_training_part(source: Source, like: Dataset) -> None:
    """Refuses a source that was opened anew and has other training samples than `like`."""
    if _fingerprint_of(*source.part("train"), source) != like.fingerprint:
        raise DataError(
            f"{shown(source.spec)} returns other training samples each time, so that its test part may hold some that "
            "were trained on: fix the seed of its split, such as random_state"
        )


def _check_test_samples(x: np.ndarray, source: Source, like: Dataset) -> None:
    where = source.place("x_test")
    check_samples(x, where)
    shape = network_input(x[:1]).shape[1:]
    if shape != like.input_shape:
        raise DataError(
            f"{where} has {unit_of(shape)} of {shape}, x_train of {like.input_shape}: "
            "both must have one shape; reshape one of them"
        )


def has_test(spec: str) -> bool:
    """Whether the data set has a test part, without reading it. Raises DataError like `load_dataset`."""
    return resolve(spec)().has_test


def check_spec(spec: str, target: str | None = None) -> None:
    """Refuses a `spec` that would certainly fail, in well under a second and without importing Keras.

    An `.npz` file must open and have the training arrays. A table must have a header with the `target`, and that of a
    test table must have the same columns. A folder of images must have class folders, and its test classes must be
    training classes. Of IDX files there must be images and labels. The module of a callable must be found: this
    imports the packages around it, but not the module itself. Raises DataError.
    """
    resolve(spec, target)


def _split(
    targets: np.ndarray, task: Task, images: int | None, seed: int, spec: str, unit: str, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the validation samples; without classes, all samples are as of one class."""
    if isinstance(task, Classification):
        labels = task.labels(targets)
        counts = class_counts(labels, task.classes, where, unit)
    else:
        labels, counts = np.zeros(len(targets), np.int32), np.array([len(targets)])
    if images is not None and images < len(counts):
        why = f"{shown(spec)} has {len(counts)} classes" if isinstance(task, Classification) else "one is needed"
        raise DataError(
            f"{images} training {unit} were asked for, but {why}: ask for {len(counts)} or more"
            f"{', one for each class' if isinstance(task, Classification) else ''}"
        )
    return split_indices(labels, counts, images, seed)


def _named(task: Task, source: Source) -> Task:
    """Numbers of a table are named as their column is."""
    return replace(task, names=source.columns[-1:]) if isinstance(task, Regression) and source.columns else task


def fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256 over dtype, shape and bytes of the arrays."""
    digest = sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _slug(spec: str) -> str:
    if spec.lower().endswith(".npz") or is_table_file(spec):
        name = Path(spec).stem
    elif is_reference(spec):
        name = re.split("[:.]", spec)[-1]
    else:  # a name, or a folder
        name = os.path.basename(os.path.abspath(os.path.expanduser(spec)))
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"
