"""A training that is killed goes on from its last epoch in another process, and ends as if nothing had happened.

This file is run as a program, on each backend, which is killed in the middle of its last training.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from support import script_environment

from kerastuna.search.training import resuming
from kerastuna.search.training.epochs import EpochMetrics
from kerastuna.search.training.train import train
from kerastuna.search.workers.plan import compilation_environment
from kerastuna.spaces.architecture import Architecture, BatchNormalization, Conv2D, Dense, Flatten
from kerastuna.spaces.augmentation import Augmentation
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.recipe import Recipe
from kerastuna.spaces.space import SearchSpace

EPOCHS = 5
X = np.random.default_rng(0).random((90, 8, 8, 1), "float32")
Y = np.arange(90) % 3
VALUES = {
    **{"blocks": 1, "block1_convs": 1, "block1_conv1": 4, "block1_pointwise": "none", "head_pointwise": False},
    **{"head": "pool_dense", "dropout": 0.1, "decay": "cosine", "learning_rate": 3e-3, "batch_size": 32},
}


def network(hp: Any) -> keras.Model:
    """With all that has a state: moving statistics, seeds and an optimizer."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(6, "relu"), keras.layers.BatchNormalization()]
    layers += [keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input(X.shape[1:]), *layers])
    model.compile(keras.optimizers.Nadam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def averaged(hp: Any) -> keras.Model:
    """The weights at its end are averages over the steps."""
    model = network(hp)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Recipes(SearchSpace):
    """With all that a recipe can have: rates of steps, weight decay, averages, smoothed labels and changed images."""

    def architecture(self, hp: Any) -> Architecture:
        return Architecture(self.input_shape, (Conv2D(4, 3), BatchNormalization(), Flatten(), Dense(3, "softmax")))

    def recipe(self, hp: Any) -> Recipe:
        image = Augmentation(rotation=20, shift=0.1, brightness=0.2, share=0.7)
        cycle: Any = {"decay": "one_cycle", "warm_up": 0.3, "optimizer": "adamw", "weight_decay": 0.01}
        return Recipe(0.01, 32, **cycle, label_smoothing=0.1, averaging=0.8, augmentation=image)


def trained(case: str, folder: Path | None, at_epoch: Mapping[int, Callable[[], Any]] = {}) -> dict[str, Any]:
    """The outcome of the training of a case, kept in `folder`; after some epochs something else is done."""
    told: list[int] = []

    def report(epoch: int, metrics: EpochMetrics) -> None:
        told.append(epoch)
        at_epoch.get(epoch, lambda: None)()

    hp = keras_tuner.HyperParameters()
    hp.values = dict(VALUES)
    spaces = {"space": ConvNet(X.shape[1:], 3), "recipes": Recipes(X.shape[1:], 3)}
    hypermodel: Any = {**spaces, "network": network, "averaged": averaged}[case]
    kept_in = None if folder is None else folder / f"{case}.npz"
    model, history = train(hypermodel, hp, 7, X, Y, EPOCHS, validation=(X[:30], Y[:30]), report=report, kept_in=kept_in)
    clocks = ("seconds", "compile_seconds")
    return {
        "history": [{name: value for name, value in epoch.items() if name not in clocks} for epoch in history],
        "weights": [weight.tolist() for weight in model.get_weights()],
        # Keras on JAX deletes those of an optimizer that averages the weights once the model is evaluated.
        "optimizer": [
            np.asarray(keras.ops.convert_to_numpy(v)).tolist() for v in model.optimizer.variables if case != "averaged"
        ],
        "told": told,
        "seconds": [epoch["seconds"] for epoch in history],
    }


CASES = ("network", "averaged", "space", "recipes")


def be_killed(folder: Path) -> None:
    """Begin all trainings; the last one is killed, with the process, in its fourth epoch."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    for case in CASES[:-1]:
        try:
            trained(case, folder, {4: interrupt})
        except KeyboardInterrupt:
            print("interrupted", case, flush=True)
    trained(CASES[-1], folder, {4: lambda: os.kill(os.getpid(), signal.SIGKILL)})


def go_on(folder: Path) -> dict[str, Any]:
    """What becomes of the trainings: gone on with, once more when they are over, and undisturbed."""
    outcomes: dict[str, Any] = {}
    for case in CASES:
        with np.load(folder / f"{case}.npz") as file:
            known = json.loads(file["about"].tobytes())["history"]
        outcomes[case] = {"known": [epoch["seconds"] for epoch in known]}
        for name, place in {"resumed": folder, "again": folder, "undisturbed": None}.items():
            outcomes[case][name] = trained(case, place)
    return outcomes


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    environment = script_environment(
        KERAS_BACKEND=request.param,
        JAX_PLATFORMS="cpu",
        TF_NUM_INTRAOP_THREADS="1",
        OMP_NUM_THREADS="1",
        **compilation_environment(folder / "programs"),
    )

    def run(what: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, __file__, str(folder), what]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    killed = run("be_killed")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout.count("interrupted") == len(CASES) - 1
    result = run("go_on")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1]) | {"told": result.stderr}


@pytest.mark.parametrize("case", CASES)
def test_a_training_that_goes_on_ends_as_an_undisturbed_one(seen: dict[str, Any], case: str):
    resumed, undisturbed = seen[case]["resumed"], seen[case]["undisturbed"]
    for what in ("history", "weights", "optimizer", "told"):
        assert resumed[what] == undisturbed[what], what


@pytest.mark.parametrize("case", CASES)
def test_its_first_epochs_are_not_trained_again(seen: dict[str, Any], case: str):
    assert len(seen[case]["known"]) == 3
    assert seen[case]["resumed"]["seconds"][:3] == seen[case]["known"]


@pytest.mark.parametrize("case", CASES)
def test_a_training_that_is_over_is_not_trained_again(seen: dict[str, Any], case: str):
    assert seen[case]["again"] == seen[case]["resumed"]


def main(folder: str, what: str) -> None:
    resuming.SECONDS_BETWEEN = 0.0
    print(json.dumps(globals()[what](Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
