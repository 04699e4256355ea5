"""One search of one contender in a process of its own:

    python -m side_by_side.one_search CONTENDER SEED SETTING EXPECTED OUT

SETTING is a `Setting` as JSON, EXPECTED what the searches before were measured on, or null. The result is written to
the file OUT as JSON: the search and what it was measured on, or why it was "refused". The clock begins when Keras is
imported and the images are loaded, and before the tuner is made.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerastuna.search.errors import InputError
from kerastuna.search.messages import one_line
from kerastuna.search.training.device import prepare_environment, software, use_device
from kerastuna.search.workers.pool import WorkerPool

from .contenders import CONTENDERS
from .measures import search_of
from .setting import BUDGET, Setting, workers_on

if TYPE_CHECKING:
    from kerastuna.search import Dataset
    from kerastuna.spaces import ConvNet


def run(name: str, seed: int, setting: Setting, expected: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The result of a search, JSON-able.

    Raises InputError, before the search, where the data cannot be used, and where anything differs from what is
    `expected` that it is measured on.
    """
    contender = CONTENDERS[name]
    prepare_environment("auto")
    device = use_device("auto")
    workers = workers_on(device.kind) if contender.every_core else 1
    search = contender.load()
    import_for_peers()
    from kerastuna.search import load_dataset

    from .clock import epochs_in
    from .job import Job

    data = load_dataset(setting.data, images=setting.images).with_class_numbers()
    space = space_for(data)
    validation = data.x_validation[: setting.validated], data.y_validation[: setting.validated]
    told = software()
    measured_on = {
        "images": [len(data.x_train), len(validation[0])],
        "fingerprint": data.fingerprint,
        "hardware": f"{device.kind}: {device.name}",
        "backend": told["backend"],
        "versions": f"{told['versions']}, optuna-integration {version('optuna-integration')}",
    }
    check_same(measured_on, expected)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, ready(workers) as training:
        job = Job(
            space,
            data.x_train,
            data.y_train,
            validation,
            setting.epochs,
            setting.seconds,
            seed,
            Path(folder),
            began=time.time(),
            budget=BUDGET,
            workers=training,
        )
        proposals = search(job)
        epochs = epochs_in(job.epochs_file, job.began)
    measured = search_of(name, seed, setting.seconds, proposals, epochs, budget=BUDGET, workers=workers, load=load)
    return {"search": asdict(measured), **measured_on}


def space_for(data: "Dataset") -> "ConvNet":
    """The space of all contenders; raises InputError where its networks cannot take the data."""
    from kerastuna.spaces import ConvNet

    try:
        height, width, channels = data.input_shape
    except ValueError:
        raise InputError(
            f"the samples of {data.name!r} are {data.input_shape}, not images (height, width, channels): give other "
            "--data"
        ) from None
    return ConvNet((height, width, channels), data.classes)


def check_same(measured_on: Mapping[str, Any], expected: Mapping[str, Any] | None) -> None:
    """Raise InputError where a search would be measured on something else than those before."""
    other = [name for name, value in measured_on.items() if expected is not None and expected.get(name) != value]
    if expected is not None and other:
        raise InputError(
            "; ".join(
                f"the searches before have {name} {expected.get(name)}, now {measured_on[name]}" for name in other
            )
        )


@contextmanager
def ready(workers: int) -> Iterator[int | WorkerPool]:
    """Workers that have imported Keras, where there are several: importing is not measured."""
    if workers == 1:
        yield 1
        return
    from kerastuna.search.tuning.parallel import worker_pool

    with worker_pool(workers) as pool:
        pool.wait_until_ready()
        yield pool


def import_for_peers() -> None:
    """Import what peers import in their first trial, by the extra `bench`: importing is not measured."""
    import keras

    import_module("optuna_integration.keras")
    if keras.backend.backend() == "tensorflow":
        import_module("tensorboard.plugins.hparams.api")


def main(arguments: Sequence[str]) -> None:
    """Run, and write the result."""
    name, seed, setting, expected, out = arguments
    try:
        result = run(name, int(seed), Setting(**json.loads(setting)), json.loads(expected))
    except InputError as error:
        result = {"refused": one_line(str(error))}
    Path(out).write_text(json.dumps(result, allow_nan=False))


if __name__ == "__main__":
    main(sys.argv[1:])
