"""The command called in this process, and a study for the commands that only read."""

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from support import call_kerastuna

from kerastuna.search.study.storage import open_storage
from kerastuna.spaces.references import REFERENCES


class Outcome(NamedTuple):
    """How the command ended, and what it printed."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


def run_here(folder: Path, *arguments: str) -> Outcome:
    """Run the command in this process and in `folder`."""
    ended = call_kerastuna(folder, *arguments, check=None)
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture
def kerastuna(tmp_path: Path) -> Command:
    """`kerastuna(*arguments)` runs the command in this process, in `tmp_path`."""
    return partial(run_here, tmp_path)


@pytest.fixture
def storage(tmp_path: Path) -> BaseStorage:
    """The storage that a command in `tmp_path` opens, with the study `one`: trained, refused and failed trials."""
    (tmp_path / "mlruns").mkdir()
    storage = open_storage(tmp_path / "mlruns" / "optuna.journal")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name="one", direction="maximize")
    study.set_user_attr(
        "identity",
        {
            "objective": ["val_accuracy", "max"],
            "budget": 15000,
            "space": "kerastuna.spaces.convnet:ConvNet",
            "data": {"input_shape": [28, 28, 1], "classes": 10},
        },
    )
    eip_3 = {"hyperparameters": dict(REFERENCES["eip_3"].values), "params": 14652, "macs": 3578496, "summary": "eip 3"}
    refused = {"reason": "over_budget", "limits": ["params"], "params": 15810, "summary": "eip 1"}
    failed = {"reason": "error", "message": "ValueError: no", "params": 90, "summary": "bad"}
    for made in (
        {"state": TrialState.PRUNED, "user_attrs": refused},
        {"state": TrialState.COMPLETE, "value": 0.9, "user_attrs": eip_3},
        {"state": TrialState.COMPLETE, "value": 0.95, "user_attrs": eip_3 | {"params": 13380}},
        {"state": TrialState.FAIL, "user_attrs": failed},
        {"state": TrialState.WAITING, "params": {"n": 1}, "distributions": {"n": IntDistribution(0, 9)}},
    ):
        study.add_trial(optuna.create_trial(**made))
    return storage


TINY_SPACE = """
    import keras

    def build(hp):
        print("from the user's code")
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(hp.Int("units", 1, 9), activation="relu"))
        model.add(keras.layers.Dense(2, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""
SEARCH = (
    *("search", "--space", "tiny_space_of_commands:build", "--data", "tiny.npz", "--budget", "150", "--study", "tiny"),
    *("--trials", "2", "--epochs", "1", "--device", "cpu"),
)


class Searched(NamedTuple):
    """A folder in which the command has searched, and what it printed."""

    folder: Path
    arguments: tuple[str, ...]
    json: str
    err: str

    def run(self, *arguments: str) -> Outcome:
        """Run another command there."""
        return run_here(self.folder, *arguments)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A search of two tiny networks on noise. Tests may go on with the study."""
    folder = tmp_path_factory.mktemp("searched")
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 2
    np.savez(folder / "tiny.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    (folder / "tiny_space_of_commands.py").write_text(textwrap.dedent(TINY_SPACE))
    status, out, err = run_here(folder, *SEARCH, "--no-confirm", "--json")
    assert status == 0, err
    return Searched(folder, SEARCH, out, err)
