"""A search in several processes: one that goes on with another's project, another backend, and a chief with workers.

As a script, this is one of them.
"""

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras_tuner
import pytest
from optuna.trial import TrialState
from support import script_environment
from tuner_support import OBJECTIVE, accuracy, perceptron, search

from kerastuna.search import OptunaOracle, OptunaTuner
from kerastuna.search.datasets.data import Dataset, load_dataset


def test_a_second_process_goes_on_as_the_first_would_have_and_loads_its_weights(tmp_path: Path, mnist_slice: Path):
    whole = resume(tmp_path / "whole", mnist_slice, 2)
    resume(tmp_path / "parts", mnist_slice, 1)
    printed = finish(start("resume", tmp_path / "parts", mnist_slice, 2))
    assert printed == whole
    assert len(printed["trials"]) == 2
    assert printed["accuracy"] == pytest.approx(printed["best"])


def test_the_same_search_on_jax(tmp_path: Path, mnist_slice: Path):
    printed = finish(start("resume", tmp_path, mnist_slice, 1, KERAS_BACKEND="jax"))
    assert printed["accuracy"] == pytest.approx(printed["best"])


def test_a_chief_proposes_within_the_budget_and_its_workers_train(tmp_path: Path, mnist_slice: Path):
    old = tmp_path / "shared" / "tuner0.json"  # all of them overwrite, at different times
    old.parent.mkdir()
    old.write_text("{}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free.getsockname()[1])}
    processes = {}
    for name in ("worker0", "chief", "worker1"):  # the last one starts when the chief's study is there
        if name == "worker1":
            wait_for(tmp_path / "shared", "*.journal")
        processes[name] = start("distributed", tmp_path, mnist_slice, 3, KERASTUNER_TUNER_ID=name, **address)
    try:
        done = {name: finish(process) for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    chief, workers = done.pop("chief"), list(done.values())
    assert not old.exists()
    assert chief["states"]["COMPLETE"] == 3
    assert set(chief["states"]) <= {"COMPLETE", "PRUNED"}
    assert sorted(number for worker in workers for number in worker["trained"]) == chief["trained"]
    assert all(worker["trained"] for worker in workers)
    assert max(chief["params"]) <= 8000
    assert chief["accuracy"] == pytest.approx(chief["best"])


# As a script


class WithFit(keras_tuner.HyperModel):
    """Declares a hyperparameter in `fit`, which a search knows only once a trial has been trained."""

    def build(self, hp: Any) -> Any:
        return perceptron(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)


class Meeting(OptunaTuner):
    """A worker that trains nothing before the other one has a trial, so that each has a share."""

    trained: list[str]

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        folder = Path(self.directory)
        (folder / f"{self.tuner_id}.met").touch()
        wait_for(folder, "*.met", 2)
        self.trained.append(trial.trial_id)
        return super().run_trial(trial, *args, **kwargs)


def resume(folder: Path, images: Path, trials: int) -> dict[str, Any]:
    """Search until there are so many trials; returns what they were and scored, and what the best model does."""
    data = load_dataset(str(images), images=32)
    tuner = OptunaTuner(WithFit(), OBJECTIVE, trials, budget=8000, seed=5, directory=folder, pruner="none")
    done = search(tuner, data).get_trials(states=(TrialState.COMPLETE,))
    return {"trials": [[trial.params, trial.value, trial.user_attrs["seed"]] for trial in done]} | best_of(tuner, data)


def distributed(folder: Path, images: Path, trials: int) -> dict[str, Any]:
    """The part that the environment variables give to this process."""
    from keras_tuner.src.distribute import oracle_chief

    # A chief whose workers are done sleeps for twenty seconds before it looks again.
    oracle_chief.time = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.2)))
    data = load_dataset(str(images), images=32)
    given: dict[str, Any] = {"budget": 8000, "seed": 5, "directory": folder, "project_name": "shared"}
    tuner = Meeting(perceptron, OBJECTIVE, trials, overwrite=True, **given)
    tuner.trained = []
    validation = (data.x_validation, data.y_validation)
    tuner.search(data.x_train, data.y_train, validation_data=validation, epochs=1, verbose=0)
    if not isinstance(tuner.oracle, OptunaOracle):
        return {"trained": tuner.trained}
    study = tuner.oracle.study
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    return {
        "states": Counter(trial.state.name for trial in study.trials),
        "trained": [f"{trial.number:04d}" for trial in complete],
        "params": [trial.user_attrs["params"] for trial in complete],
    } | best_of(tuner, data)


def best_of(tuner: OptunaTuner, data: Dataset) -> dict[str, Any]:
    return {"best": tuner.oracle.get_best_trials()[0].score, "accuracy": accuracy(tuner.get_best_models()[0], data)}


def wait_for(folder: Path, files: str, count: int = 1) -> None:
    until = time.monotonic() + 240
    while len(list(folder.glob(files))) < count and time.monotonic() < until:
        time.sleep(0.05)


def start(part: str, folder: Path, images: Path, trials: int, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, part, str(folder), str(images), str(trials)]
    environment = script_environment(TF_CPP_MIN_LOG_LEVEL="3", **environment)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Warning" not in err, err
    return json.loads(out.splitlines()[-1])


if __name__ == "__main__":
    part, folder, images, trials = sys.argv[1:]
    done = {"resume": resume, "distributed": distributed}[part](Path(folder), Path(images), int(trials))
    print(json.dumps(done))
