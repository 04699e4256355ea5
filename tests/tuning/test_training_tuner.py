"""`OptunaTuner` trains whatever a user of KerasTuner trains: own loops, several trainings, any metrics and data."""

import gc
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from keras import layers
from tuner_support import outcomes

from kerastuna.search import OptunaTuner
from kerastuna.search.errors import InputError
from kerastuna.search.messages import cause_in
from kerastuna.search.training import failures

X, Y = np.random.default_rng(0).random((40, 4), "float32"), np.arange(40) % 2
STOP_ALL = optuna.pruners.ThresholdPruner(lower=2.0)


def network(hp: Any) -> keras.Model:
    """Not compiled."""
    return keras.Sequential([keras.Input((4,)), layers.Dense(hp.Int("units", 2, 9)), layers.Dense(2, "softmax")])


def build(hp: Any, metrics: Sequence[Any] = ("accuracy",)) -> keras.Model:
    model = network(hp)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=list(metrics), run_eagerly=True)
    return model


class Fitting(keras_tuner.HyperModel):
    """Trains as `how(hp, model, *args, **kwargs)` does."""

    def __init__(self, how: Any, made: Any = build) -> None:
        super().__init__()
        self.how, self.made = how, made

    def build(self, hp: Any) -> keras.Model:
        return self.made(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return self.how(hp, model, *args, **kwargs)


def tuner_of(space: Any, folder: Path, max_trials: int = 1, objective: str = "val_accuracy", **given: Any) -> Any:
    given = {"seed": 0, "pruner": STOP_ALL} | given
    return OptunaTuner(space, keras_tuner.Objective(objective, "max"), max_trials, directory=folder, **given)


def search(tuner: Any, *args: Any, x: Any = X, y: Any = Y, **given: Any) -> optuna.trial.FrozenTrial:
    """The first trial of a search."""
    tuner.search(x, y, *args, **{"validation_data": (x, y), "verbose": 0} | given)
    return tuner.oracle.study.trials[0]


def course(trial: optuna.trial.FrozenTrial) -> tuple[str, list[int]]:
    assert len(trial.user_attrs["history"]) == len(trial.intermediate_values)
    return trial.state.name, list(trial.intermediate_values)


# Models


def own_loop(hp: Any, model: Any, x: Any, y: Any, callbacks: Sequence[Any], epochs: int = 3, **kwargs: Any) -> float:
    """Trains a model that is not compiled, takes no notice of `stop_training`, and returns what it does not report."""
    loss_of: Any = keras.losses.SparseCategoricalCrossentropy()
    optimizer = keras.optimizers.SGD()
    import tensorflow as tf

    for callback in callbacks:
        callback.set_model(model)
    for epoch in range(epochs):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True)
        )
        for callback in callbacks:
            callback.on_epoch_end(epoch, {"loss": float(loss), "by_class": np.ones(2)})
    return float(loss_of(y, model(x)))


def test_models_that_are_not_compiled_are_trained_and_loaded(tmp_path: Path) -> None:
    tuner = tuner_of(Fitting(own_loop, network), tmp_path, objective="my_loss")
    trial = search(tuner)
    model = tuner.get_best_models()[0]
    loss_of: Any = keras.losses.SparseCategoricalCrossentropy()
    assert trial.value == pytest.approx(float(loss_of(Y, model(X))), rel=1e-5)
    assert len(trial.user_attrs["history"]) == 3


class Adversaries(keras.Model):
    """With two optimizers of its own, and none of Keras's."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.critic, self.maker = (
            keras.Sequential([keras.Input((4,)), layers.Dense(units), layers.Dense(4)]) for _ in range(2)
        )
        self.distance = keras.metrics.Mean("distance")

    def compile(self, d_optimizer: Any, g_optimizer: Any) -> None:
        super().compile(run_eagerly=True)
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

    def call(self, x: Any) -> Any:
        return self.critic(self.maker(x))

    def train_step(self, data: Any) -> dict[str, Any]:
        import tensorflow as tf

        parts = ((self.critic, self.d_optimizer), (self.maker, self.g_optimizer))
        for part, optimizer in parts:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(data) - data) ** 2)
            gradients = tape.gradient(loss, part.trainable_weights)
            optimizer.apply_gradients(zip(gradients, part.trainable_weights, strict=True))
        self.distance.update_state(loss)
        return {"distance": self.distance.result()}


def test_models_with_several_optimizers_are_trained_and_loaded(tmp_path: Path) -> None:
    def adversaries(hp: Any) -> keras.Model:
        made.append(Adversaries(hp.Int("units", 2, 9)))
        made[-1].compile(keras.optimizers.Adam(), keras.optimizers.Adam())
        return made[-1]

    made: list[Any] = []

    tuner = tuner_of(adversaries, tmp_path, objective="distance", pruner="none")
    tuner.search(X, epochs=2, verbose=0)
    assert outcomes(tuner.oracle.study) == {("COMPLETE", None): 1}
    trained = made[-1].get_weights()
    model = tuner.get_best_models()[0]  # a warning of the optimizers' states fails the test
    for weights, kept in zip(model.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(weights, kept)


# Metrics


def test_a_metric_for_each_class_is_left_out(tmp_path: Path) -> None:
    def by_class(hp: Any) -> keras.Model:
        model = network(hp)
        model.compile("sgd", "categorical_crossentropy", metrics=["accuracy", keras.metrics.F1Score()])
        return model

    labels = keras.utils.to_categorical(Y)
    trial = search(tuner_of(by_class, tmp_path / "a"), y=labels)
    assert trial.state.name == "COMPLETE"
    assert {"val_accuracy", "val_loss"} < set(trial.user_attrs["history"][0])
    assert "val_f1_score" not in trial.user_attrs["history"][0]
    begun: list[int] = []
    counting = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    with pytest.raises(InputError, match=r"'val_f1_score', which is optimised, is not a number but an array of shape"):
        search(tuner_of(by_class, tmp_path / "b", objective="val_f1_score"), y=labels, epochs=3, callbacks=[counting])
    assert begun == [0]


def test_a_dictionary_may_hold_more_than_numbers(tmp_path: Path) -> None:
    def fit(hp: Any, model: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {"val_accuracy": hp.get("units") / 10, "confusion": np.eye(2), "note": "good"}

    trial = search(tuner_of(Fitting(fit), tmp_path))
    assert trial.value == trial.params["units"] / 10


class Counted(keras.callbacks.Callback):
    """Counts epochs, over all trials and copies."""

    epochs = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        Counted.epochs += 1

    def __deepcopy__(self, memo: Any) -> "Counted":
        return Counted()


def epochs_until(told: str, tuner: Any, **given: Any) -> int:
    """The epochs until the search ends with such an error."""
    Counted.epochs = 0
    with pytest.raises(InputError, match=told) as caught:
        search(tuner, **{"epochs": 3, "callbacks": [Counted()]} | given)
    assert "\n" not in str(caught.value)
    assert {trial.state.name for trial in tuner.oracle.study.trials} == {"FAIL", "WAITING"}
    return Counted.epochs


WITHOUT_VALIDATION = r"'val_accuracy', .* there are accuracy, loss: give validation_data= or validation_split="
WRONG_NAME = (
    r"no metric is called 'val_acuracy', which is optimised; there are accuracy, loss, val_accuracy, val_loss: op"
)


def test_a_wrong_objective_is_told_after_the_first_epoch(tmp_path: Path) -> None:
    assert epochs_until(WITHOUT_VALIDATION, tuner_of(build, tmp_path / "a"), validation_data=None) == 1
    assert epochs_until(WRONG_NAME, tuner_of(build, tmp_path / "b", objective="val_acuracy")) == 1
    objectives: Any = ["val_loss", keras_tuner.Objective("val_acuracy", "max")]
    several = OptunaTuner(build, objectives, 2, directory=tmp_path / "c", seed=0)
    assert epochs_until(WRONG_NAME, several) == 1
    front: Any = ["val_loss", keras_tuner.Objective("val_acuracy", "max")]
    assert epochs_until(WRONG_NAME, OptunaTuner(build, pareto=front, directory=tmp_path / "d", seed=0)) == 1


def test_a_wrong_objective_is_told_after_the_first_trial_where_that_is_too_early(tmp_path: Path) -> None:
    class Own(OptunaTuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return super().run_trial(trial, *args, **kwargs)

    fitting = Fitting(lambda hp, model, *args, **kwargs: model.fit(*args, **kwargs))
    wrong = keras_tuner.Objective("val_acuracy", "max")
    assert epochs_until(WRONG_NAME, tuner_of(fitting, tmp_path / "a", objective="val_acuracy", pruner="none")) == 3
    assert epochs_until(WRONG_NAME, Own(build, wrong, directory=tmp_path / "b", seed=0)) == 3
    third = tuner_of(build, tmp_path / "c", objective="val_acuracy")
    assert epochs_until(WRONG_NAME, third, validation_freq=3) == 3


def test_validation_now_and_then_is_no_mistake(tmp_path: Path) -> None:
    trial = search(tuner_of(build, tmp_path, pruner="none"), epochs=2, validation_freq=2)
    assert (trial.state.name, list(trial.intermediate_values)) == ("COMPLETE", [2])


def test_once_a_trial_is_complete_a_missing_objective_fails_one_trial(tmp_path: Path) -> None:
    def now_and_then(hp: Any) -> keras.Model:
        return build(hp, ["accuracy"] if hp.Boolean("measured", default=True) else [])

    tuner = tuner_of(now_and_then, tmp_path, 2, pruner="none")
    for measured in (True, False, True):
        units = 2 + len(tuner.oracle.study.trials)
        tuner.enqueue({"units": units, "measured": measured})
    search(tuner)
    assert [trial.state.name for trial in tuner.oracle.study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert "no metric is called 'val_accuracy'" in tuner.oracle.study.trials[1].user_attrs["message"]


# Data


@pytest.mark.parametrize("kind", [str, object])
def test_strings_that_fit_turns_into_numbers(tmp_path: Path, kind: type) -> None:
    def fit(hp: Any, model: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        numbers = np.array([[len(text)] * 4 for text in x], "float32")
        return model.fit(numbers, y, validation_split=0.5, **kwargs)

    words = np.array(["a", "bb", "ccc", "dddd"] * 10, kind)
    tuner = tuner_of(Fitting(fit), tmp_path, budget=1000)
    tuner.search(words, Y, verbose=0)
    assert outcomes(tuner.oracle.study) == {("COMPLETE", None): 1}


# How long a training is, and who may stop it


def test_the_epochs_may_be_known_to_the_training_alone(tmp_path: Path) -> None:
    def fit(hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, epochs=hp.Fixed("epochs", 2), **kwargs)

    assert course(search(tuner_of(Fitting(fit), tmp_path / "a"))) == ("PRUNED", [1])
    last = optuna.pruners.ThresholdPruner(lower=2.0, n_warmup_steps=2)
    assert course(search(tuner_of(Fitting(fit), tmp_path / "b", pruner=last))) == ("COMPLETE", [1, 2])


def test_the_epochs_may_be_given_by_position(tmp_path: Path) -> None:
    last = optuna.pruners.ThresholdPruner(lower=2.0, n_warmup_steps=2)
    assert course(search(tuner_of(build, tmp_path / "a", pruner=last), 32, 2)) == ("COMPLETE", [1, 2])
    tuner = tuner_of(build, tmp_path / "b", pruner="halving")
    search(tuner, 32, 2)
    assert type(tuner.oracle.study.pruner).__name__ == "CautiousPruner"


def test_a_user_who_stops_a_training_has_completed_it(tmp_path: Path) -> None:
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            model: Any = self.model
            model.stop_training = True

    trial = search(tuner_of(build, tmp_path), epochs=5, callbacks=[Enough()])
    assert course(trial) == ("COMPLETE", [1])


def reporting(epochs: int) -> Any:
    """A loop that takes no notice of `stop_training`, and does not tell the callbacks how long it is."""

    def fit(hp: Any, model: Any, x: Any, y: Any, callbacks: Sequence[Any], **kwargs: Any) -> float:
        for callback in callbacks:
            callback.set_model(model)
        for epoch in range(epochs):
            for callback in callbacks:
                callback.on_epoch_end(epoch, {"val_accuracy": epoch / 10})
        return 0.9

    return fit


def test_a_loop_of_unknown_length_is_never_stopped(tmp_path: Path) -> None:
    trial = search(tuner_of(Fitting(reporting(3)), tmp_path))
    assert course(trial) == ("COMPLETE", [1, 2, 3])


def test_a_loop_that_goes_on_regardless_is_complete(tmp_path: Path) -> None:
    tuner = tuner_of(Fitting(reporting(3)), tmp_path)
    trial = search(tuner, epochs=3)
    assert (course(trial), trial.value) == (("COMPLETE", [1, 2, 3]), 0.9)
    assert len(tuner.oracle.get_best_trials()) == 1


def test_trainings_in_a_row_are_one_trial(tmp_path: Path) -> None:
    def fit(hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        model.fit(*args, epochs=2, **kwargs)
        return model.fit(*args, epochs=4, initial_epoch=hp.Fixed("initial", 0), **kwargs)

    def pruner(epoch: int) -> Any:
        return optuna.pruners.ThresholdPruner(lower=2.0, n_warmup_steps=epoch)

    assert course(search(tuner_of(Fitting(fit), tmp_path / "a", pruner="none"))) == ("COMPLETE", [1, 2, 3, 4, 5, 6])
    assert course(search(tuner_of(Fitting(fit), tmp_path / "b", pruner=pruner(2)))) == ("PRUNED", [1, 2, 3])
    assert course(search(tuner_of(Fitting(fit), tmp_path / "c", pruner=pruner(6)))) == ("COMPLETE", [1, 2, 3, 4, 5, 6])


def test_a_worker_deletes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search(tuner_of(build, tmp_path, pruner="none"))
    (tmp_path / "untitled_project" / "tuner0.json").write_text("")  # what the chief is deleting
    files = sorted(tmp_path.rglob("*"))
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner0")  # the name that the files are of
    tuner_of(build, tmp_path, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == files
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    tuner_of(build, tmp_path, overwrite=True)
    assert not list(tmp_path.rglob("*.journal"))


def test_networks_of_earlier_trials_are_gone(tmp_path: Path):
    kept: list[tuple[weakref.ref[Any], ...]] = []
    alive: list[list[bool]] = []
    graphs: list[int] = []

    class Watching(keras.callbacks.Callback):
        def __deepcopy__(self, memo: Any) -> Self:
            return type(self)()

        def on_train_end(self, logs: Any = None) -> None:
            model: Any = self.model
            gc.collect()
            graphs.append(sum(type(each).__name__.endswith("FuncGraph") for each in gc.get_objects()))
            alive.append([part() is not None for parts in kept for part in parts])
            parts = (model, model.optimizer, model.train_function, model.test_function, model.trainable_variables[0])
            kept.append(tuple(weakref.ref(part) for part in parts if part is not None))

    def compiled(hp: Any) -> keras.Model:
        model = network(hp)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    search(tuner_of(compiled, tmp_path, 3, pruner="none"), callbacks=[Watching()], epochs=1)
    assert len(kept) == 3
    assert alive == [[], [False] * len(kept[0]), [False] * len(kept[0] + kept[1])]
    assert len(set(graphs)) == 1  # TensorFlow's graphs of the network that is trained, and of no other


# Limits


class Slow(keras.callbacks.Callback):
    """Every batch takes a quarter of an hour, by the clock that trials are measured with."""

    later = 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        Slow.later += 900


def test_a_trial_over_its_time_fails_within_an_epoch_and_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + Slow.later)
    monkeypatch.setattr(failures, "time", clock)

    def how(hp: Any, model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
        slow = [Slow()] if hp.get("units") != 2 else []  # the other ones
        return model.fit(*args, callbacks=[*callbacks, *slow], batch_size=4, **kwargs)

    tuner = tuner_of(Fitting(how), tmp_path, trial_timeout=12000.0, pruner="none", executions_per_trial=2)
    tuner.oracle.enqueue({"units": 5})
    tuner.oracle.enqueue({"units": 2})
    search(tuner, epochs=2)
    late, other = tuner.oracle.study.trials
    assert (late.state.name, late.user_attrs["reason"]) == ("FAIL", "trial_timeout")
    assert "longer than 12000 s" in late.user_attrs["message"]
    assert len(late.user_attrs["history"]) == 1  # of its two epochs with ten batches each
    assert other.state.name == "COMPLETE"


def test_a_network_that_cannot_be_built_fails_its_trial_with_the_hyperparameters(tmp_path: Path) -> None:
    def fails_once(hp: Any) -> keras.Model:
        if (units := hp.Int("units", 2, 9)) == 5:
            raise ValueError("no five")
        del units
        return build(hp)

    tuner = tuner_of(fails_once, tmp_path, pruner="none")
    tuner.oracle.enqueue({"units": 5})
    search(tuner)
    failed, other = tuner.oracle.study.trials
    assert (failed.state.name, failed.user_attrs["reason"], other.state.name) == ("FAIL", "build_error", "COMPLETE")
    assert cause_in(failed.user_attrs["message"]) == "ValueError: no five while the network was built, at units=5"
