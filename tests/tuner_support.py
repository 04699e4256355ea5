"""Shared by the tests of the tuner: a small model, a function instead of a model, and the outcomes of trials."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import optuna
from optuna.trial import TrialState

from kerastuna.search import OptunaOracle, OptunaTuner
from kerastuna.search.datasets.data import Dataset
from kerastuna.search.study.attributes import REASON, RETRY_OF
from kerastuna.search.study.retries import Retries

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


def perceptron(hp: keras_tuner.HyperParameters) -> keras.Model:
    """795 * units + 10 parameters."""
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(hp.Int("units", 1, 40), activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    # Without a graph: tracing it takes longer than these few batches.
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


def search(tuner: Any, data: Dataset, epochs: int = 1, **given: Any) -> optuna.Study:
    validation = (data.x_validation, data.y_validation)
    tuner.search(data.x_train, data.y_train, epochs=epochs, validation_data=validation, verbose=0, **given)
    return tuner.oracle.study


def outcomes(study: optuna.Study) -> Counter:
    return Counter((trial.state.name, trial.user_attrs.get("reason")) for trial in study.trials)


def outcomes_of_workers(study: optuna.Study) -> Counter:
    """As `outcomes`, without what two workers may leave that did the same at one moment.

    A proposal between a failure and its retry may come too late for the last place: it waits for a search with more
    trials. Of two retries of one trial the second waits too, or is refused.
    """
    retries = Retries()
    retries.note(study.trials)
    assert not retries.owed
    found = [
        trial
        for trial in study.trials
        if not retries.is_second(trial) and (trial.state != TrialState.WAITING or RETRY_OF in trial.user_attrs)
    ]
    return Counter((trial.state.name, trial.user_attrs.get(REASON)) for trial in found)


def accuracy(model: Any, data: Dataset) -> float:
    return float((model.predict(data.x_validation, verbose=0).argmax(1) == data.y_validation).mean())


def complete_all(oracle: OptunaOracle, score: Callable[[Any], float], epochs: int = 0) -> list[dict[str, Any]]:
    """Complete all trials, each with the score of its values after `epochs` reported epochs; returns the values."""
    done = []
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        values = trial.hyperparameters.values
        for epoch in range(1, epochs + 1):
            oracle.report(trial.trial_id, epoch, {oracle.objective.name: score(values) * epoch / epochs})
        oracle.update_trial(trial.trial_id, {oracle.objective.name: score(values)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        done.append(values)
    return done


class Function(OptunaTuner):
    """Optimises a function that declares its hyperparameters as it runs; no network is built."""

    def __init__(self, function: Callable[[Any], Any], folder: Path, max_trials: int = 3, **given: Any) -> None:
        self.function = function
        defaults: dict[str, Any] = {"seed": 0, "pruner": "none", "objective": OBJECTIVE}
        super().__init__(max_trials=max_trials, directory=folder, **defaults | given)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        return self.function(trial.hyperparameters)


class Untrained(OptunaTuner):
    """Builds its networks but does not train them."""

    def _build_and_fit_model(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        self._try_build(trial.hyperparameters)
        return {"val_accuracy": 0.5}
