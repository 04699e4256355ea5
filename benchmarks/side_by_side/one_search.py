"""One search of one contender in a process of its own: `python -m side_by_side.one_search CONTENDER SEED SETTING OUT`.

SETTING is a `Setting` as JSON. The result is written to the file OUT as JSON: the search, the device and the versions.
The clock begins when Keras is imported and the images are loaded, and before the tuner is made.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kerastuna.search.training.device import prepare_environment, software, use_device
from kerastuna.search.workers.pool import WorkerPool

from .contenders import CONTENDERS
from .measures import search_of
from .setting import BUDGET, Setting, workers_on


def run(name: str, seed: int, setting: Setting) -> dict[str, Any]:
    """The result of a search, JSON-able."""
    contender = CONTENDERS[name]
    prepare_environment("auto")
    device = use_device("auto")
    workers = workers_on(device.kind) if contender.every_core else 1
    search = contender.load()
    import_for_peers()
    from kerastuna.search import load_dataset
    from kerastuna.spaces import ConvNet

    from .clock import epochs_in
    from .job import Job

    data = load_dataset(setting.data, images=setting.images)
    validation = data.x_validation[: setting.validated], data.y_validation[: setting.validated]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, ready(workers) as training:
        job = Job(
            ConvNet(),
            data.x_train,
            data.y_train,
            validation,
            setting.epochs,
            setting.seconds,
            seed,
            Path(folder),
            began=time.time(),
            workers=training,
        )
        proposals = search(job)
        epochs = epochs_in(job.epochs_file, job.began)
    measured = search_of(name, seed, setting.seconds, proposals, epochs, budget=BUDGET, workers=workers, load=load)
    told = software()
    return {
        "search": asdict(measured),
        "images": [len(data.x_train), len(validation[0])],
        "hardware": f"{device.kind}: {device.name}",
        "backend": told["backend"],
        "versions": f"{told['versions']}, optuna-integration {version('optuna-integration')}",
    }


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
    name, seed, setting, out = arguments
    result = run(name, int(seed), Setting(**json.loads(setting)))
    Path(out).write_text(json.dumps(result, allow_nan=False))


if __name__ == "__main__":
    main(sys.argv[1:])
