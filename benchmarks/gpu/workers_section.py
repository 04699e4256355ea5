"""Epochs a minute against the number of workers that search on one GPU, also with NVIDIA's Multi-Process Service.

The service (MPS) lets kernels of several processes run on a GPU at the same time; without it they take turns.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from common import images, machine
from optuna.storages.journal import JournalFileBackend

MPS = "nvidia-cuda-mps-control"
SECONDS = 35
"""Of a search."""
SETTINGS = ((2, False), (8, False), (8, True), (16, True))
"""Workers, and whether with MPS."""


def measurements(small: bool, out: Path) -> Iterator[dict[str, Any]]:
    yield machine()
    source = images(8)[2]
    for workers, with_mps in ((1, False), (2, False)) if small else SETTINGS:
        told = {"what": "epochs a minute", "workers": workers, "mps": with_mps, "data": source}
        with mps(with_mps) as environment:
            if environment is None:
                yield told | {"failed": f"{MPS} is not installed"}
            else:
                yield told | _searched(workers, environment, small)


@contextmanager
def mps(wanted: bool) -> Iterator[Mapping[str, str] | None]:
    """The variables of processes that share the GPU this way, for the time of the block; None where it is missing."""
    if not wanted:
        yield {}
        return
    if shutil.which(MPS) is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        places = {"CUDA_MPS_PIPE_DIRECTORY": f"{folder}/pipe", "CUDA_MPS_LOG_DIRECTORY": f"{folder}/log"}
        for place in places.values():
            Path(place).mkdir()
        environment = os.environ | places
        try:
            subprocess.run([MPS, "-d"], env=environment, check=True, timeout=20)
            yield places
        finally:
            subprocess.run([MPS], input="quit\n", text=True, env=environment, check=False, timeout=20)


def _searched(workers: int, more: Mapping[str, str], small: bool) -> dict[str, Any]:
    """One study: what its workers trained within the time, from their start."""
    number, epochs, seconds = (200, 1, 20) if small else (54_000, 5, SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kerastuna", "search", "--folder", folder, "--study", "workers"]
        command += ["--profile", "quick", "--trials", "4" if small else "1000", "--epochs", str(epochs)]
        command += ["--images", str(number), "--timeout", str(seconds), "--workers", str(workers)]
        command += ["--pruner", "none", "--no-confirm", "--no-warm-start", "--sampler", "random", "--json"]
        environment = os.environ | {"KERAS_BACKEND": "jax", **more}
        began = time.time()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        ended = time.time()
        if done.returncode not in (0, 1):
            return {"failed": f"code {done.returncode}: {done.stderr[-400:]}"}
        storage = optuna.storages.JournalStorage(JournalFileBackend(f"{folder}/optuna.journal"))
        trials = optuna.load_study(study_name=None, storage=storage).get_trials(deepcopy=False)
    trained = [trial for trial in trials if trial.intermediate_values and trial.datetime_start]
    if not trained:
        return {"failed": f"nothing was trained: {done.stderr[-400:]}"}
    first = min(trial.datetime_start.timestamp() for trial in trained if trial.datetime_start)
    epochs_trained = sum(len(trial.intermediate_values) for trial in trained)
    return {
        "training_images": number,
        "epochs_of_a_trial": epochs,
        "trials": sum(trial.state.name == "COMPLETE" for trial in trained),
        "epochs": epochs_trained,
        "seconds": ended - first,
        "seconds_with_start": ended - began,
        "epochs_a_minute": 60 * epochs_trained / (ended - first),
        "reasons": json.loads(done.stdout)["trials"] if done.stdout.startswith("{") else None,
    }
