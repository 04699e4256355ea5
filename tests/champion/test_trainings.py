"""The trainings of a confirmation, in this process and by workers."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import keras_tuner
import numpy as np
import optuna
import pytest

from kerastuna.search.champion.retraining import ConfirmationObserver, Retraining
from kerastuna.search.champion.trainings import Training, run_trainings
from kerastuna.search.datasets.data import load_dataset
from kerastuna.search.errors import SearchFailed
from kerastuna.search.workers.pool import WorkerPool

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Listener(ConfirmationObserver):
    def __init__(self) -> None:
        self.began: list[tuple[int, int, str]] = []
        self.epochs: list[tuple[int, int, int]] = []

    def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
        self.began.append((trial, seed, purpose))

    def epoch_ended(self, trial: int, seed: int, epoch: int, metrics: Any) -> None:
        self.epochs.append((trial, seed, epoch))


class Perceptron(keras_tuner.HyperModel):
    def __init__(self, rate: float = 0.01) -> None:
        self.rate = rate

    def build(self, hp: Any) -> Any:
        model: Any = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(hp.Int("units", 2, 32), activation="relu"))
        model.add(keras.layers.Dense(10, activation="softmax"))
        model.compile(keras.optimizers.SGD(self.rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


def retraining(data: Path, listener: Listener, hypermodel: Any) -> Retraining:
    space = keras_tuner.HyperParameters()
    space.Int("units", 2, 32)
    return Retraining(hypermodel, space, load_dataset(str(data), images=200), "val_accuracy", 2, listener)


@pytest.fixture(scope="module")
def trial() -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        value=0.5, user_attrs={"hyperparameters": {"units": 4}, "params": 3190, "summary": "4"}
    )


@pytest.fixture(scope="module")
def pool():
    environment = {"TF_NUM_INTRAOP_THREADS": "1"}
    modules = ("kerastuna.search.champion.trainings",)
    with WorkerPool([environment, environment], device="cpu", modules=modules, warn=print) as started:
        yield started


@pytest.mark.parametrize("is_final", [False, True])
def test_workers_train_what_this_process_would_have_trained(
    mnist_slice: Path, trial: Any, pool: WorkerPool, is_final: bool
):
    outcomes: list[Any] = []
    trainings = [Training(trial, seed, is_final) for seed in (7, 8)]
    for workers in (None, pool):
        listener, seen = Listener(), []
        training = retraining(mnist_slice, listener, Perceptron())
        results = run_trainings(trainings, training, workers, lambda done, result, seen=seen: seen.append(done.seed))
        assert sorted(seen) == [7, 8]
        purpose = "final" if is_final else "confirm"
        assert sorted(listener.began) == [(trial.number, seed, purpose) for seed in (7, 8)]
        assert sorted(listener.epochs) == [(trial.number, seed, epoch) for seed in (7, 8) for epoch in (1, 2)]
        if is_final:
            images = training.dataset.x_validation
            outcomes.append([model.predict(images, verbose=0) for model, _ in results])
        else:
            outcomes.append([[epoch["loss"] for epoch in result.history] for result in results])
    np.testing.assert_allclose(outcomes[0], outcomes[1], rtol=1e-3, atol=1e-5)
    assert not np.allclose(outcomes[0][0], outcomes[0][1])  # by their seeds


def test_a_worker_measures_int8(mnist_slice: Path, trial: Any, pool: WorkerPool):
    training = replace(retraining(mnist_slice, Listener(), Perceptron()), int8=True)
    (result,) = run_trainings([Training(trial, 7, False)], training, pool, lambda done, result: None)
    assert result.int8["float"] == pytest.approx(result.history[-1]["val_accuracy"])
    assert result.int8["value"] == pytest.approx(result.int8["float"], abs=0.1)


def test_what_a_training_raises_is_raised(mnist_slice: Path, trial: Any, pool: WorkerPool):
    training = retraining(mnist_slice, Listener(), Perceptron(rate=1e30))
    told = f"trial {trial.number} with seed 7: the network could not be trained"
    with pytest.raises(SearchFailed, match=told):
        run_trainings([Training(trial, 7, True)], training, pool, lambda done, result: None)
    (result,) = run_trainings([Training(trial, 7, False)], training, pool, lambda done, result: None)
    assert result.problem.startswith(told)
