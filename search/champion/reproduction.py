"""The networks that are known by name, trained by their own recipes, to compare them with what was published."""

import fcntl
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from ...spaces.champions import NETWORKS
from ...spaces.space_of_network import space_of
from ..errors import StudyError
from ..training.epochs import EpochMetrics
from ..training.train import train
from ..tuning.hyperparameters import declared_hyperparameters
from ..tuning.parallel import keras_settings, use_keras_settings
from ..workers.process import Channel
from ..workers.tasks import Pool

FILE = "reproductions.json"
"""In the folder of the runs."""
EVALUATION_BATCH_SIZE = 512

OnEpoch = Callable[[str, int, int, EpochMetrics], Any]
"""Told of the network, the seed, the epoch from 1, and its metrics."""


@final
@dataclass(frozen=True)
class Images:
    """What the networks are trained and tested on.

    Attributes:
        x, y: training images, float32 (n, 28, 28, 1), and class numbers (n,).
        x_test, y_test: of the test set.
        fingerprint: of the data set.
    """

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    fingerprint: str


@final
@dataclass(frozen=True)
class Reproduction:
    """One training of a network that is known by name.

    Attributes:
        name: of the network.
        seed: of its training.
        epochs: of its training.
    """

    name: str
    seed: int
    epochs: int

    def identity(self, images: Images) -> dict[str, Any]:
        """What its result depends on, JSON-able."""
        values = dict(NETWORKS[self.name].values)
        counted = {"images": len(images.x), "test_images": len(images.x_test)}
        return {**vars(self), **counted, "data": images.fingerprint, "hyperparameters": values}

    def run(self, images: Images, on_epoch: OnEpoch) -> float:
        """The accuracy on the test set after the last epoch. Raises SearchFailed when the network cannot be trained."""
        space = space_of(NETWORKS[self.name])
        model: Any
        model, _ = train(
            space,
            declared_hyperparameters(space, NETWORKS[self.name].values),
            self.seed,
            images.x,
            images.y,
            self.epochs,
            report=lambda epoch, metrics: on_epoch(self.name, self.seed, epoch, metrics),
        )
        told = model.evaluate(
            images.x_test, images.y_test, batch_size=EVALUATION_BATCH_SIZE, verbose=0, return_dict=True
        )
        return float(told["accuracy"])


def reproduce(
    reproductions: Sequence[Reproduction],
    images: Images,
    folder: Path,
    pool: Pool[Any] | None,
    *,
    on_epoch: OnEpoch,
    on_result: Callable[[Reproduction, float], Any],
) -> dict[Reproduction, float]:
    """The test accuracy of every training, in this order. Each is stored in `folder` at once, and not done again.

    Args:
        reproductions: to be done.
        images: for all of them.
        folder: of the runs.
        pool: of the workers that train; None for this process.
        on_epoch: told of every epoch.
        on_result: told of every training that ends now.

    Raises StudyError when the file of results cannot be read, and what a training raises.
    """
    path = folder / FILE
    known = _results(path)
    done = {each: known[key] for each in reproductions if (key := _key(each.identity(images))) in known}
    missing = [each for each in reproductions if each not in done]

    def keep(reproduction: Reproduction, accuracy: float) -> None:
        done[reproduction] = accuracy
        _store(path, reproduction.identity(images), accuracy)
        on_result(reproduction, accuracy)

    if pool is None:
        for reproduction in missing:
            keep(reproduction, reproduction.run(images, on_epoch))
    elif missing:
        tasks = [_WorkerReproduction(reproduction, images, keras_settings()) for reproduction in missing]
        pool.run(
            tasks,
            lambda index, name, values: on_epoch(*values),
            on_result=lambda index, accuracy: keep(missing[index], accuracy),
        )
    return {each: done[each] for each in reproductions}


@final
@dataclass(frozen=True)
class _WorkerReproduction:
    """The task of a worker."""

    reproduction: Reproduction
    images: Images
    settings: tuple[str, str, Any]

    def __call__(self, channel: Channel) -> float:
        use_keras_settings(self.settings)
        return self.reproduction.run(self.images, lambda *values: channel.tell("epoch_ended", *values))


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        records = json.loads(path.read_text())
        return [{**record, "test_accuracy": float(record["test_accuracy"])} for record in records]
    except (ValueError, TypeError, KeyError) as error:
        raise StudyError(f"{str(path)!r} cannot be read ({type(error).__name__}): delete it to train anew") from error


def _results(path: Path) -> dict[str, float]:
    """The accuracies that are known, by what they depend on."""
    records = _read(path)
    return {_key({**record, "test_accuracy": None}): record["test_accuracy"] for record in records}


def _store(path: Path, identity: Mapping[str, Any], accuracy: float) -> None:
    """Add a result to the file, which is never half written, and to which several programs may add at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        with suppress(OSError):  # a network file system without such locks
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
        new = path.with_suffix(".new")
        new.write_text(json.dumps([*_read(path), {**identity, "test_accuracy": accuracy}], indent=1))
        new.replace(path)


def _key(identity: Mapping[str, Any]) -> str:
    return json.dumps({**identity, "test_accuracy": None}, sort_keys=True)
