"""How a user may train: callbacks, optimizers, loops of one's own, executions and distribution strategies."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest
import tensorflow as tf
from keras import callbacks, optimizers
from model_cases import HP, KIND, SIZE, X, check_search, first, perceptron, tuner_of, units

from kerastuna.search import OptunaTuner

FIT = {"x": X, "y": SIZE, "validation_data": (first(X), first(SIZE))}


def averaged() -> optimizers.Optimizer:
    return optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9)


def evaluated(tuner: OptunaTuner) -> float:
    (model,) = tuner.get_best_models()
    return model.evaluate(*FIT["validation_data"], verbose=0, return_dict=True)["loss"]


CALLBACKS: dict[str, list[Any]] = {
    "stops early": [callbacks.EarlyStopping(patience=3)],
    "lowers the rate": [callbacks.ReduceLROnPlateau(patience=0, min_delta=float("inf"))],
    "sets the rate": [callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))],
    "others": [callbacks.TerminateOnNaN(), callbacks.LambdaCallback(), callbacks.History()],
}
RATES = {
    "stops early": [0.01, 0.01, 0.01],
    "lowers the rate": [0.01, 0.01, 0.001],
    "sets the rate": [0.1, 0.05, 0.1 / 3],
    "others": [0.01, 0.01, 0.01],
}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks(tmp_path: Path, name: str) -> None:
    trial = check_search(tmp_path, perceptron, lambda: FIT | {"callbacks": CALLBACKS[name], "epochs": 3}, (25, 49))
    rates = [epoch["learning_rate"] for epoch in trial.user_attrs["history"]]
    assert rates == pytest.approx(RATES[name], rel=1e-4)


@pytest.mark.usefixtures("eager")
def test_files_of_callbacks(tmp_path: Path) -> None:
    made = [
        callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), save_best_only=True),
        callbacks.CSVLogger(str(tmp_path / "log.csv")),
    ]
    check_search(tmp_path / "study", perceptron, lambda: FIT | {"callbacks": made}, (25, 49))
    assert (tmp_path / "best.keras").exists()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


HALVED: Any = optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
OPTIMIZERS: dict[str, Any] = {
    "a schedule": lambda: optimizers.SGD(HALVED),
    "a scaled loss": lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.1)),
    "averages that overwrite": lambda: optimizers.SGD(0.05, use_ema=True, ema_overwrite_frequency=2),
}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(tmp_path: Path, name: str) -> None:
    trial = check_search(tmp_path, lambda hp: perceptron(hp, OPTIMIZERS[name]), lambda: FIT, (25, 49))
    rates = [epoch["learning_rate"] for epoch in trial.user_attrs["history"]]
    expected = {"a schedule": [0.1 / 2**2, 0.1 / 2**4], "a scaled loss": [0.1, 0.1]}  # two batches an epoch
    assert rates == pytest.approx(expected.get(name, [0.05, 0.05]))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("every_epoch", [True, False])
def test_averaged_weights_that_are_swapped_in_are_those_of_the_score(tmp_path: Path, every_epoch: bool) -> None:
    swap = callbacks.SwapEMAWeights(swap_on_epoch=every_epoch)
    check_search(tmp_path, lambda hp: perceptron(hp, averaged), lambda: FIT | {"callbacks": [swap]}, (25, 49))


@pytest.mark.usefixtures("eager")
def test_weights_that_keras_replaces_after_the_last_epoch_are_validated_again(tmp_path: Path) -> None:
    scores = []
    for name, optimizer in (("averaged", averaged), ("plain", lambda: optimizers.SGD(0.05))):
        tuner = tuner_of(lambda hp, optimizer=optimizer: perceptron(hp, optimizer), tmp_path / f"again_{name}")
        tuner.search(**FIT, epochs=2, verbose=0)
        scores.append(tuner.oracle.study.best_value)
        assert evaluated(tuner) == pytest.approx(scores[-1], rel=1e-4)
    assert scores[0] != pytest.approx(scores[1], rel=1e-2)


@pytest.mark.usefixtures("eager")
def test_early_stopping_that_restores_weights_keeps_those_and_their_score(tmp_path: Path) -> None:
    tuner = tuner_of(lambda hp: perceptron(hp, lambda: optimizers.SGD(-0.05)), tmp_path)  # every epoch is worse
    restore = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    tuner.search(**FIT, epochs=9, verbose=0, callbacks=[restore])
    trial = tuner.oracle.study.best_trial
    losses = [epoch["val_loss"] for epoch in trial.user_attrs["history"]]
    assert len(losses) == 3
    assert losses == sorted(losses)
    assert trial.value == losses[0]
    assert evaluated(tuner) == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.usefixtures("eager")
def test_weights_of_classes(tmp_path: Path) -> None:
    def build(hp: HP) -> keras.Model:
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(units(hp)), keras.layers.Dense(2, activation="softmax")]
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    given = {"x": X, "y": KIND, "validation_data": (first(X), first(KIND))}

    def weighted(weight: float) -> Any:
        return lambda: given | {"class_weight": {0: 1.0, 1: weight}}

    scores = [check_search(tmp_path / str(weight), build, weighted(weight), (30, 58)).value for weight in (1.0, 9.0)]
    assert scores[0] != pytest.approx(scores[1], rel=1e-3)


class FitOfItsOwn(keras_tuner.HyperModel):
    """Has hyperparameters of the training, also in a condition."""

    def build(self, hp: HP) -> keras.Model:
        return perceptron(hp)

    def fit(self, hp: HP, model: Any, *args: Any, **given: Any) -> Any:
        size = 32
        if shuffle := hp.Boolean("shuffle", default=True):
            with hp.conditional_scope("shuffle", [True]):
                size = hp.Choice("batch_size", [8, 16])
        given["epochs"] = hp.Int("epochs", 1, 3, default=2)
        return model.fit(*args, shuffle=shuffle, batch_size=size, **given)


class Loop(keras_tuner.HyperModel):
    """Trains in a loop of its own, and tells its callbacks of the end of each epoch alone."""

    def build(self, hp: HP) -> keras.Model:
        return perceptron(hp)

    def fit(self, hp: HP, model: Any, x: Any, y: Any, validation_data: Any, callbacks: Any, **given: Any) -> Any:
        for callback in callbacks:
            callback.set_model(model)
        loss = 0.0
        for epoch in range(2):
            model.train_on_batch(x, y)
            loss = model.evaluate(*validation_data, verbose=0)
            for callback in callbacks:
                callback.on_epoch_end(epoch, {"val_loss": loss})
        return {"val_loss": loss}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("hypermodel", [FitOfItsOwn(), Loop()], ids=["fit", "loop"])
def test_hypermodels_that_train_by_themselves(tmp_path: Path, hypermodel: Any) -> None:
    check_search(tmp_path, hypermodel, lambda: FIT, (25, 49))


@pytest.mark.usefixtures("eager")
def test_hyperparameters_of_the_training_are_used_and_kept(tmp_path: Path) -> None:
    tuner = tuner_of(FitOfItsOwn(), tmp_path, max_trials=5)
    tuner.search(**FIT, verbose=0)
    trials = tuner.oracle.study.trials
    assert [trial.state.name for trial in trials if trial.state.name != "PRUNED"] == ["COMPLETE"] * 5
    for trial in tuner.oracle.trials.values():
        values = trial.hyperparameters.values
        history = trials[int(trial.trial_id)].user_attrs["history"]
        assert len(history) == values["epochs"]
        assert ("batch_size" in values) == bool(values["shuffle"])


class RunTrial(OptunaTuner):
    """Trains by itself, and keeps the weights."""

    def run_trial(self, trial: Any, *args: Any, **given: Any) -> Any:
        model: Any = perceptron(trial.hyperparameters)
        history = model.fit(*args, **given)
        model.save_weights(self.weights_of(int(trial.trial_id)))
        return history


@pytest.mark.usefixtures("eager")
def test_run_trial_of_ones_own_is_scored_at_the_last_epoch(tmp_path: Path) -> None:
    tuner = RunTrial(
        perceptron, "val_loss", 2, budget=25, directory=tmp_path, pruner="none", seed=0, project_name="own"
    )
    tuner.search(**FIT, epochs=2, verbose=0)
    assert evaluated(tuner) == pytest.approx(tuner.oracle.study.best_value, rel=1e-4)
    assert max(trial.user_attrs["params"] for trial in tuner.oracle.study.trials if trial.values) <= 25


@pytest.mark.usefixtures("eager")
def test_the_score_of_several_executions_is_their_mean_and_the_weights_are_those_of_the_best(tmp_path: Path) -> None:
    seen: list[float] = []

    class Seen(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append(logs["val_loss"])

    tuner = tuner_of(perceptron, tmp_path, executions_per_trial=2)
    tuner.search(**FIT, epochs=1, verbose=0, callbacks=[Seen()])
    assert tuner.oracle.study.best_value == pytest.approx(sum(seen) / 2)
    assert evaluated(tuner) == pytest.approx(min(seen), rel=1e-4)
    assert seen[0] != pytest.approx(seen[1], rel=1e-2)


def without_input(hp: HP) -> keras.Model:
    model = keras.Sequential([keras.layers.Dense(units(hp)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("build", [perceptron, without_input])
def test_distribution_strategies(tmp_path: Path, build: Any) -> None:
    strategies = (tf.distribute.OneDeviceStrategy("/cpu:0"), tf.distribute.MirroredStrategy(["/cpu:0"]))
    for number, strategy in enumerate(strategies):
        tuner = tuner_of(build, tmp_path / str(number), budget=25, distribution_strategy=strategy)
        tuner.enqueue({"units": 4})
        tuner.search(**FIT, epochs=2, verbose=0)
        (trial,) = tuner.oracle.study.trials
        assert (trial.state.name, trial.user_attrs["params"]) == ("COMPLETE", 25)
        assert evaluated(tuner) == pytest.approx(trial.value, rel=1e-4)
