"""What KerasTuner's own tests ask of a tuner, asked of `OptunaTuner`; test_oracle.py asks the same of the oracle."""

import importlib.util
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import keras_tuner
import pytest
from tuner_support import OBJECTIVE, Function, Untrained, accuracy, outcomes, perceptron, search

from kerastuna.search import OptunaOracle, OptunaTuner
from kerastuna.search.datasets.data import Dataset, load_dataset


@pytest.fixture(scope="module")
def data(mnist_slice: Path) -> Dataset:
    return load_dataset(str(mnist_slice), images=32)


# What `run_trial` returns


def history(*values: float) -> keras.callbacks.History:
    made = keras.callbacks.History()
    made.history = {"val_accuracy": list(values)}
    return made


@pytest.mark.parametrize(
    ("result", "score"),
    [
        (0.5, 0.5),
        (1, 1.0),
        ({"val_accuracy": 0.25, "cost": 3.0}, 0.25),
        (history(0.9, 0.8, 0.3), 0.3),
        ([0.25, 0.75], 0.5),
        ([history(0.9, 0.2), history(0.9, 0.4)], 0.3),
    ],
    ids=["float", "int", "dict", "history", "floats", "histories"],
)
def test_what_run_trial_returns(tmp_path: Path, result: Any, score: float):
    tuner = Function(lambda hp: (hp.Float("x", 0, 1), result)[1], tmp_path, 1)
    tuner.search(verbose=0)
    assert tuner.oracle.study.trials[0].value == pytest.approx(score)
    assert tuner.oracle.get_best_trials()[0].score == pytest.approx(score)


def test_run_trial_may_tell_the_oracle_itself(tmp_path: Path):
    class Telling(Function):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
            self.oracle.update_trial(trial.trial_id, {"val_accuracy": 0.125})

    tuner = Telling(lambda hp: None, tmp_path, 1)
    tuner.search(verbose=0)
    assert tuner.oracle.study.trials[0].value == 0.125


@pytest.mark.parametrize(
    ("result", "objective", "told"),
    [
        (None, OBJECTIVE, "Did you forget to return the metrics"),
        ("much", OBJECTIVE, "to be one of float, dict"),
        ({"loss": 1.0}, OBJECTIVE, "the specified objective, val_accuracy"),
        ({"loss": 1.0}, None, "to be a single float when `objective` is left unspecified"),
    ],
)
def test_what_run_trial_must_not_return_ends_the_search(tmp_path: Path, result: Any, objective: Any, told: str):
    tuner = Function(lambda hp: result, tmp_path, objective=objective)
    with pytest.raises(keras_tuner.errors.FatalError, match=told):
        tuner.search(verbose=0)
    assert outcomes(tuner.oracle.study) == {("FAIL", "interrupted"): 1, ("WAITING", None): 1}


# Objectives


def test_without_an_objective_a_number_is_minimised(tmp_path: Path):
    tuner = Function(lambda hp: hp.Int("x", 0, 3), tmp_path, 4, objective=None)
    tuner.search(verbose=0)
    assert [trial.score for trial in tuner.oracle.get_best_trials(9)] == [0, 1, 2, 3]
    assert tuner.get_best_hyperparameters()[0].values == {"x": 0}


@pytest.mark.parametrize("objective", ["val_accuracy", ["val_loss", keras_tuner.Objective("val_accuracy", "max")]])
def test_objectives_of_every_kind(tmp_path: Path, data: Dataset, objective: Any, capsys: pytest.CaptureFixture[str]):
    tuner = OptunaTuner(perceptron, objective, 1, seed=0, directory=tmp_path)
    study = search(tuner, data)
    last = study.trials[0].user_attrs["history"][-1]
    expected = last["val_loss"] - last["val_accuracy"] if isinstance(objective, list) else last["val_accuracy"]
    assert study.trials[0].value == pytest.approx(expected)
    tuner.search_space_summary()
    tuner.results_summary()
    told = capsys.readouterr().out
    assert "units (Int)" in told
    assert f"Score: {study.trials[0].value}" in told


def test_a_metric_of_ones_own_needs_a_direction(tmp_path: Path):
    with pytest.raises(ValueError, match="Could not infer optimization direction"):
        OptunaTuner(perceptron, "likeness", directory=tmp_path)


# The space


def test_a_hypermodel_has_to_be_given(tmp_path: Path):
    with pytest.raises(ValueError, match="Received `hypermodel=None`"):
        OptunaTuner(objective="val_loss", directory=tmp_path)
    with pytest.raises(ValueError, match="`hypermodel` argument should be either"):
        OptunaTuner("perceptron", "val_loss", directory=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Unrecognized arguments"):
        OptunaTuner(perceptron, "val_loss", directory=tmp_path, unheard_of=1)  # type: ignore[call-arg]


def test_a_space_that_shows_up_in_run_trial_is_exhausted_without_a_duplicate(tmp_path: Path):
    def function(hp: Any) -> float:
        met.append((hp.Boolean("a"), hp.Boolean("b")))
        return float(sum(met[-1]))

    met: list[tuple[bool, bool]] = []
    Function(function, tmp_path, 15).search(verbose=0)
    assert sorted(met) == [(False, False), (False, True), (True, False), (True, True)]


def test_hyperparameters_of_every_condition_are_found_at_the_start(tmp_path: Path):
    def build(hp: Any) -> keras.Model:
        kind = hp.Choice("kind", ["flat", "deep"])
        with hp.conditional_scope("kind", ["deep"]):
            if kind == "deep":
                for layer in range(hp.Int("layers", 1, 3)):  # later layers show up with deeper networks
                    hp.Int(f"units{layer}", 2, 8)
                with hp.conditional_scope("layers", [3]):
                    hp.Boolean("skip")
        hp.Int("wide", 1, 2, parent_name="kind", parent_values=["flat"])
        with hp.name_scope("head"):
            hp.Fixed("kind", "dense")
        return perceptron(hp)

    spaces = [
        [hp.name for hp in OptunaTuner(build, "val_loss", directory=tmp_path / n).oracle.get_space().space]
        for n in "abc"
    ]
    assert set(spaces[0]) >= {"kind", "layers", "units0", "skip", "wide", "head/kind", "units"}
    assert spaces[0] == spaces[1] == spaces[2]


def test_a_space_may_be_declared_apart_from_building(tmp_path: Path):
    class Declared(keras_tuner.HyperModel):
        def declare_hyperparameters(self, hp: Any) -> None:
            hp.Boolean("declared")

        def build(self, hp: Any) -> keras.Model:
            return perceptron(hp)

    tuner = OptunaTuner(Declared(), OBJECTIVE, directory=tmp_path)
    assert {hp.name for hp in tuner.oracle.get_space().space} == {"declared", "units"}


@pytest.mark.parametrize("tuned", [True, False])
def test_given_hyperparameters_stand_and_others_are_tuned_or_not(tmp_path: Path, data: Dataset, tuned: bool):
    def build(hp: Any) -> keras.Model:
        hp.Choice("rate", [0.1, 0.2])
        seen.append((hp.Int("width", 1, 9, default=7), hp.get("rate")))
        return perceptron(hp)

    seen: list[tuple[int, float]] = []
    hp = keras_tuner.HyperParameters()
    hp.Choice("rate", [0.3, 0.4])
    hp.Fixed("units", 2)
    given: dict[str, Any] = {"hyperparameters": hp, "tune_new_entries": tuned, "seed": 0, "directory": tmp_path}
    tuner = Untrained(build, OBJECTIVE, 4, **given)
    seen.clear()
    search(tuner, data)
    assert {rate for _, rate in seen} == {0.3, 0.4}
    assert tuner.oracle.hyperparameters.values["units"] == 2
    names = {hp.name for hp in tuner.oracle.hyperparameters.space}
    assert names == ({"rate", "units", "width"} if tuned else {"rate", "units"})
    assert len(seen) == (4 if tuned else 2)  # no more than there are
    assert {width for width, _ in seen} == {7} or tuned


def test_other_hyperparameters_than_those_given_may_be_forbidden(tmp_path: Path):
    hp = keras_tuner.HyperParameters()
    hp.Fixed("width", 2)
    given: dict[str, Any] = {"hyperparameters": hp, "allow_new_entries": False, "tune_new_entries": False}
    with pytest.raises(RuntimeError, match="`allow_new_entries` is `False`"):
        OptunaTuner(perceptron, OBJECTIVE, directory=tmp_path, **given)


# Building and training


class WithFit(keras_tuner.HyperModel):
    """Declares a hyperparameter in `fit`, and returns what `result` makes of the history."""

    def __init__(self, result: Callable[[Any], Any] = lambda history: history) -> None:
        super().__init__()
        self.result = result

    def build(self, hp: Any) -> keras.Model:
        return perceptron(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return self.result(model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs))


def test_a_hypermodel_with_a_fit_of_its_own(tmp_path: Path, data: Dataset):
    def result(history: Any) -> Any:
        results.append(history)
        last = history.history["val_accuracy"][-1]
        return (history, last, {"val_accuracy": 0.5})[len(results) - 1]

    results: list[Any] = []
    study = search(OptunaTuner(WithFit(result), OBJECTIVE, 3, seed=0, directory=tmp_path), data)
    values = [trial.user_attrs["hyperparameters"] for trial in study.trials]
    assert values[0]["batch_size"] == 16  # the default, before the space knew of it
    assert set(values[1]) == {"units", "batch_size"}
    last = [trial.user_attrs["history"][-1]["val_accuracy"] for trial in study.trials]
    assert [trial.value for trial in study.trials] == pytest.approx([*last[:2], 0.5])


def test_a_training_loop_of_its_own_leaves_weights_and_epochs(tmp_path: Path, data: Dataset):
    class Loop(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return perceptron(hp)

        def fit(self, hp: Any, model: Any, x: Any, y: Any, callbacks: Sequence[Any], **kwargs: Any) -> float:
            for callback in callbacks:
                callback.set_model(model)
            for epoch in range(2):
                loss = float(model.train_on_batch(x, y)[0])
                for callback in callbacks:
                    callback.on_epoch_end(epoch, logs={"loss": loss})
            return loss

    tuner = OptunaTuner(Loop(), "loss", 1, seed=0, directory=tmp_path)
    trial = search(tuner, data).trials[0]
    assert [metrics["loss"] for metrics in trial.user_attrs["history"]][-1] == trial.value
    assert tuner.get_best_models()[0].count_params() == trial.user_attrs["hyperparameters"]["units"] * 795 + 10


def test_the_arguments_of_compile_can_be_overridden(tmp_path: Path, data: Dataset):
    given: dict[str, Any] = {"optimizer": "sgd", "metrics": ["sparse_top_k_categorical_accuracy"]}
    objective = keras_tuner.Objective("val_sparse_top_k_categorical_accuracy", "max")
    tuner = OptunaTuner(perceptron, objective, 1, seed=0, directory=tmp_path, **given)
    study = search(tuner, data)
    assert set(study.trials[0].user_attrs["history"][0]) >= {objective.name, "val_loss"}
    assert isinstance(tuner.get_best_models()[0].optimizer, keras.optimizers.SGD)


@pytest.mark.parametrize("budget", [None, 8000])
def test_a_fatal_error_ends_the_search(tmp_path: Path, data: Dataset, budget: int | None):
    def build(hp: Any) -> keras.Model:
        if hp.Int("units", 1, 40) > 1:
            raise keras_tuner.errors.FatalError("give up")
        return perceptron(hp)

    tuner = OptunaTuner(build, OBJECTIVE, 2, budget=budget, seed=0, directory=tmp_path)
    with pytest.raises(keras_tuner.errors.FatalError, match="give up"):
        search(tuner, data)


def test_a_model_over_max_model_size_fails_its_trial(tmp_path: Path, data: Dataset):
    tuner = Untrained(perceptron, OBJECTIVE, 1, seed=0, directory=tmp_path, max_model_size=1000)
    for units in (2, 1):
        tuner.oracle.enqueue({"units": units})
    study = search(tuner, data)
    assert outcomes(study) == {("FAIL", "build_error"): 1, ("COMPLETE", None): 1}
    assert study.best_params == {"units": 1}


def test_a_trial_is_tried_again_with_its_seed(tmp_path: Path, data: Dataset):
    class Flaky(WithFit):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            weights.append(float(model.get_weights()[0].sum()))
            if len(weights) < 3:
                raise OSError("the disk is away")
            return super().fit(hp, model, *args, **kwargs)

    weights: list[float] = []
    tuner = OptunaTuner(Flaky(), OBJECTIVE, 1, seed=0, directory=tmp_path, max_retries_per_trial=2)
    assert outcomes(search(tuner, data)) == {("COMPLETE", None): 1}
    assert len(weights) == 3
    assert len(set(weights)) == 1


def test_a_trial_that_says_it_failed_is_not_tried_again(tmp_path: Path):
    def function(hp: Any) -> float:
        tried.append(hp.Int("x", 1, 5))
        if tried[-1] in (2, 3):
            raise keras_tuner.errors.FailedTrialError("not these")
        return tried[-1]

    tried: list[int] = []
    tuner = Function(function, tmp_path, 9, max_retries_per_trial=2)
    tuner.search(verbose=0)
    assert sorted(tried) == [1, 2, 3, 4, 5]


# Callbacks and hooks


def test_hooks_and_callbacks_are_called_in_every_execution(tmp_path: Path, data: Dataset):
    class Counting(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            instances.append(self)

        def __deepcopy__(self, memo: Any) -> "Counting":
            return Counting()

    class Hooked(OptunaTuner):
        def on_epoch_begin(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
            heard.append(("begin", trial.trial_id, epoch))

        def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
            heard.append(("end", trial.trial_id, epoch))
            assert isinstance(model, keras.Model)
            assert "val_accuracy" in logs

        def on_batch_end(self, trial: Any, model: Any, batch: int, logs: Any = None) -> None:
            batches.append(batch)

    instances: list[Any] = []
    heard: list[tuple[str, str, int]] = []
    batches: list[int] = []
    given = Counting()
    tuner = Hooked(perceptron, OBJECTIVE, 1, seed=0, directory=tmp_path, executions_per_trial=2, pruner="none")
    search(tuner, data, epochs=2, callbacks=[given], batch_size=16)
    assert heard == [(event, "0000", epoch) for _ in range(2) for epoch in range(2) for event in ("begin", "end")]
    assert len(instances) == len({id(instance) for instance in instances}) == 2
    assert given not in instances
    assert batches == [0, 1] * 2 * 2  # 32 images in batches of 16


def test_a_callback_that_cannot_be_copied_ends_the_search(tmp_path: Path, data: Dataset):
    with pytest.raises(keras_tuner.errors.FatalValueError, match="should be deep-copyable"):
        search(OptunaTuner(perceptron, OBJECTIVE, 1, directory=tmp_path), data, callbacks=[json])


def test_the_folder_of_tensorboard_is_the_trials_own_without_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    class TensorBoard(keras.callbacks.Callback):
        log_dir = "logs"

    callback = TensorBoard()
    tuner = OptunaTuner(perceptron, OBJECTIVE, 1, directory=tmp_path)
    tuner._configure_tensorboard_dir([callback], SimpleNamespace(trial_id="0007"), 1)
    assert callback.log_dir == os.path.join("logs", "0007", "execution1")


def test_keras_writes_for_tensorboard_to_a_folder_for_each_trial(eager: None, tmp_path: Path, data: Dataset):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    callback = keras.callbacks.TensorBoard(str(tmp_path / "logs"))
    search(OptunaTuner(perceptron, OBJECTIVE, 2, seed=0, directory=tmp_path), data, callbacks=[callback])
    folders = [tmp_path / "logs" / trial / "execution0" for trial in ("0000", "0001")]
    assert sorted((tmp_path / "logs").glob("*/*")) == folders
    for folder in folders:
        known = {path: accumulators.EventAccumulator(str(path)).Reload() for path in (folder, folder / "validation")}
        assert known[folder].PluginTagToContent("hparams")
        assert "epoch_accuracy" in known[folder / "validation"].Tags()["tensors"]


# Another tuner's project


class RandomFunction(keras_tuner.RandomSearch):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        return trial.hyperparameters.Float("x", 0.0, 1.0)


def test_the_project_of_another_tuner_is_not_taken_for_its_own(tmp_path: Path):
    RandomFunction(objective="val_accuracy", max_trials=1, directory=tmp_path).search(verbose=0)
    with pytest.warns(UserWarning, match="holds trials of another tuner or of a study that is gone"):
        tuner = Function(lambda hp: hp.Float("x", 0.0, 1.0), tmp_path, 1)
    assert tuner.oracle.study.trials == []
    tuner.search(verbose=0)
    Function(tuner.function, tmp_path, 2)  # its own by now: no warning


# What is printed


def test_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def function(hp: Any) -> float:
        if hp.Float("x", 0.0, 1.0) and len(calls) == 1:
            calls.append(1)
            raise ArithmeticError("once only")
        calls.append(1)
        return 0.5

    calls: list[int] = []
    tuner = Function(function, tmp_path, 2)
    tuner.search()
    told = capsys.readouterr()
    assert "Search: Running Trial #1" in told.out
    assert "Best val_accuracy So Far: 0.5" in told.out
    assert "ArithmeticError: once only" in told.err
    tuner.results_summary(num_trials=1)
    told = capsys.readouterr()
    assert f"Results in {tmp_path}" in told.out
    assert told.out.count("summary\nHyperparameters:\nx: ") == 1
    tuner.search_space_summary()
    assert "Default search space size: 1\nx (Float)\n{'default': 0.0" in capsys.readouterr().out
    again = Function(function, tmp_path, 3)
    again.search()
    assert "Search: Running Trial #3" in capsys.readouterr().out  # goes on counting


def test_a_search_without_words_prints_nothing_even_of_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def function(hp: Any) -> float:
        hp.Boolean("x")
        raise ArithmeticError("always")

    capsys.readouterr()
    tuner = Function(function, tmp_path, max_consecutive_failed_trials=1)
    with pytest.raises(RuntimeError, match="ArithmeticError: always"):
        tuner.search(verbose=0)
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")


# The oracle alone


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_a_plain_keras_tuner_takes_the_oracle(tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keras_tuner.Tuner, "_configure_tensorboard_dir", lambda *arguments: None)
    tuner = keras_tuner.Tuner(OptunaOracle(OBJECTIVE, 1, seed=0), perceptron, directory=tmp_path)
    study = search(tuner, data)
    assert outcomes(study) == {("COMPLETE", None): 1}
    assert accuracy(tuner.get_best_models()[0], data) == pytest.approx(study.best_value)
