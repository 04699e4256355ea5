"""A search that is killed in the middle of a training goes on from its last epoch, and ends as an undisturbed one."""

import json
import os
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
import pytest
from support import begin_kerastuna

from kerastuna.search.study.attributes import CONTINUED_AFTER, HISTORY, REASON, WORKER
from kerastuna.search.study.names import JOURNAL_NAME
from kerastuna.search.study.storage import open_storage

EPOCHS = 30
SPACE = """
    import keras
    from kerastuna.search.training import resuming

    resuming.SECONDS_BETWEEN = 0.0

    def build(hp):
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(hp.Int("units", 4, 9), activation="relu"))
        model.add(keras.layers.Dropout(0.2))
        model.add(keras.layers.Dense(2, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""
SEARCH = (
    *("search", "--space", "tiny_space_of_kills:build", "--data", "tiny.npz", "--budget", "200", "--seed", "3"),
    *("--epochs", str(EPOCHS), "--device", "cpu", "--top", "1", "--seeds", "1", "--json"),
)
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 2
    np.savez(tmp_path / "tiny.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    (tmp_path / "tiny_space_of_kills.py").write_text(textwrap.dedent(SPACE))
    return tmp_path


def begin(folder: Path, study: str, *arguments: str) -> subprocess.Popen[str]:
    return begin_kerastuna(folder, *SEARCH, "--study", study, *arguments, **ONE_THREAD)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return json.loads(out)


def kept(process: subprocess.Popen[str], pattern: Callable[[], list[Path]]) -> tuple[Path, int]:
    """A checkpoint of a training that has had three epochs at least, and their number."""
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        for path in pattern():
            try:
                with np.load(path) as file:
                    epochs = len(json.loads(file["about"].tobytes())["history"])
            except FileNotFoundError:
                continue
            if 3 <= epochs < EPOCHS:
                return path, epochs
        time.sleep(0.001)
    process.kill()
    pytest.fail("there is no checkpoint: " + "".join(process.communicate()))


def kill(process: subprocess.Popen[str], pattern: Callable[[], list[Path]]) -> int:
    """Kill the command in a training that has a checkpoint; returns the epochs that are kept at least."""
    _, epochs = kept(process, pattern)
    process.kill()
    process.communicate()
    return epochs


def trials(folder: Path, study: str) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=study, storage=open_storage(folder / "mlruns" / JOURNAL_NAME)).trials


def course(trial: optuna.trial.FrozenTrial) -> list[Any]:
    epochs = [
        {name: value for name, value in epoch.items() if name != "seconds"} for epoch in trial.user_attrs[HISTORY]
    ]
    return [trial.value, trial.intermediate_values, epochs]


def test_a_search_that_is_killed_twice_has_the_result_of_an_undisturbed_one(folder: Path):
    of_trials = folder / "mlruns" / "trials" / "killed" / "checkpoints"
    of_champion = folder / "mlruns" / "champions" / "killed" / "checkpoints"
    epochs = kill(begin(folder, "killed", "--trials", "1"), lambda: list(of_trials.glob("*.npz")))
    kill(begin(folder, "killed", "--trials", "1"), lambda: list(of_champion.glob("final*.npz")))
    assert list(of_trials.iterdir()) == []
    killed, undisturbed = (finish(begin(folder, study, "--trials", "1")) for study in ("killed", "whole"))
    assert not of_champion.exists()
    first, second = trials(folder, "killed")
    (trial,) = trials(folder, "whole")
    assert (first.state.name, first.user_attrs[REASON]) == ("FAIL", "interrupted")
    assert EPOCHS > second.user_attrs[CONTINUED_AFTER] >= epochs
    assert course(second) == course(trial)
    for part in ("validation", "test"):
        assert killed["champion"][part] == undisturbed["champion"][part]
    saved = [folder / "mlruns" / "champions" / study / "champion.keras" for study in ("killed", "whole")]
    models: list[Any] = list(map(keras.models.load_model, saved))
    for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_trial_of_a_killed_worker_goes_on(folder: Path):
    checkpoints = folder / "mlruns" / "trials" / "workers" / "checkpoints"
    process = begin(folder, "workers", "--trials", "2", "--workers", "2", "--no-confirm")
    path, epochs = kept(process, lambda: list(checkpoints.glob("*.npz")))
    number = int(path.stem)
    os.kill(trials(folder, "workers")[number].user_attrs[WORKER]["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    (again,) = [trial for trial in trials(folder, "workers") if trial.user_attrs.get("retry_of") == number]
    assert again.user_attrs[CONTINUED_AFTER] >= epochs
    assert f"trial {again.number} went on after epoch {again.user_attrs[CONTINUED_AFTER]} of an interrupted one" in err
    assert len(again.user_attrs[HISTORY]) == len(again.intermediate_values)
    assert list(checkpoints.iterdir()) == []
