"""Trials a minute against the number of processes that search on one GPU, each with memory as it needs it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
from common import images, machine
from optuna.storages.journal import JournalFileBackend

TRIALS_OF_A_WORKER = 6


def measurements(small: bool, out: Path) -> Iterator[dict[str, Any]]:
    yield machine()
    number, epochs, each = (200, 1, 1) if small else (48_000, 5, TRIALS_OF_A_WORKER)
    source = images(8)[2]
    for workers in (1, 2) if small else (1, 2, 4, 8, 16):
        told = {"what": "trials a minute", "workers": workers, "images": number, "epochs": epochs, "data": source}
        yield told | _searched(workers, workers * each + workers, number, epochs)


def _searched(workers: int, trials: int, number: int, epochs: int) -> dict[str, Any]:
    """One study, and as many processes; the first trial of each is left out, which pays for its start."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("kerastuna")), "search", "--folder", folder, "--study", "workers"]
        command += ["--profile", "quick", "--trials", str(trials), "--epochs", str(epochs), "--images", str(number)]
        command += ["--pruner", "none", "--no-confirm", "--no-warm-start", "--sampler", "random", "--json"]
        environment = os.environ | {"KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        began = time.perf_counter()
        with ExitStack() as files:
            logs = [files.enter_context(Path(folder, f"{number}.txt").open("w+")) for number in range(workers)]
            processes = [
                subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log) for log in logs
            ]
            codes = [process.wait() for process in processes]
            seconds = time.perf_counter() - began
            if failed := [log for log, code in zip(logs, codes, strict=True) if code]:
                failed[0].seek(0)
                return {"failed": f"{len(failed)} of {workers} processes: {failed[0].read()[-400:]}"}
        storage = optuna.storages.JournalStorage(JournalFileBackend(f"{folder}/optuna.journal"))
        study = optuna.load_study(study_name=None, storage=storage)
        done = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    ends = sorted(trial.datetime_complete.timestamp() for trial in done if trial.datetime_complete)
    counted = ends[workers - 1 :]
    return {
        "trials": len(done),
        "seconds_with_start": seconds,
        "trials_a_minute": 60 * (len(counted) - 1) / max(counted[-1] - counted[0], 1e-9) if len(counted) > 1 else None,
    }
