"""`OptunaTuner` on real models: the budget, how it is counted, pruning, failures, and going on with a project."""

import random
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from tuner_support import OBJECTIVE, Function, Untrained, accuracy, outcomes, perceptron, search

from kerastuna.search import OptunaTuner
from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.errors import SpaceError, StudyError
from kerastuna.search.proposals.proposer import Proposer
from kerastuna.search.study.budget import Budget, Size
from kerastuna.search.study.events import SearchObserver
from kerastuna.spaces import ConvNet
from kerastuna.spaces import space as space_module
from kerastuna.spaces.errors import InfeasibleArchitecture, InputError


@pytest.fixture(scope="module")
def data(mnist_slice: Path) -> Dataset:
    return load_dataset(str(mnist_slice), images=32)


def trained(study: optuna.Study) -> list[tuple[dict[str, Any], float | None]]:
    complete = (TrialState.COMPLETE,)
    return [(trial.user_attrs["hyperparameters"], trial.value) for trial in study.get_trials(states=complete)]


# The budget


def test_no_network_over_the_budget_is_ever_built(tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch):
    built: list[int] = []
    sequential = keras.Sequential

    def spy(*arguments: Any, **given: Any) -> keras.Sequential:
        model = sequential(*arguments, **given)
        built.append(model.count_params())
        return model

    monkeypatch.setattr(space_module.keras, "Sequential", spy)
    tuner = Untrained(ConvNet(), OBJECTIVE, 2, budget=1500, seed=1, sampler="random", directory=tmp_path)
    assert built == []  # not even to find the hyperparameters
    search(tuner, data)
    assert len(built) == 2
    resumed = Untrained(ConvNet(), OBJECTIVE, 3, budget=1500, seed=1, sampler="random", directory=tmp_path)
    assert len(built) == 2
    study = search(resumed, data)
    assert len(built) == 3
    assert max(built) <= 1500
    refused = [trial for trial in study.trials if trial.user_attrs.get("reason") == "over_budget"]
    assert refused
    assert all(trial.state == TrialState.PRUNED and trial.user_attrs["params"] > 1500 for trial in refused)
    assert all(trial.constraints == {"params": trial.user_attrs["params"] - 1500} for trial in refused)
    assert [trial.user_attrs["params"] for trial in study.get_trials(states=(TrialState.COMPLETE,))] == built


def test_a_build_function_is_counted_by_building(tmp_path: Path, data: Dataset):
    study = search(Untrained(perceptron, OBJECTIVE, 3, budget=8000, seed=0, directory=tmp_path), data)
    sizes = {trial.user_attrs["params"] for trial in study.trials if trial.user_attrs.get("reason") == "over_budget"}
    assert sizes
    assert min(sizes) > 8000
    for values, _ in trained(study):
        assert 795 * values["units"] + 10 <= 8000


def test_a_starting_point_over_the_budget_is_refused_with_its_count(tmp_path: Path, data: Dataset):
    tuner = OptunaTuner(ConvNet(), OBJECTIVE, 1, budget=3000, seed=0, directory=tmp_path)
    points = ConvNet().starting_points()
    for name, values in points.items():
        tuner.oracle.enqueue(values, name)
    study = search(tuner, data)
    named = {trial.user_attrs["name"]: trial for trial in study.trials if "name" in trial.user_attrs}
    assert set(named) == set(points)
    for trial in named.values():
        params = trial.user_attrs["params"]
        assert (trial.user_attrs["reason"] == "over_budget") == (params > 3000)
    assert any(trial.user_attrs["reason"] == "over_budget" for trial in named.values())


class Unbuilt(keras.Model):
    """Knows its layers only at the first call, although it has a `build`."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.flatten = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(self.units)
        self.out = keras.layers.Dense(10, activation="softmax")

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(self.flatten(x)))


def build_unbuilt(hp: Any) -> keras.Model:
    model = Unbuilt(hp.Int("units", 1, 40))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


def build_without_input(hp: Any) -> keras.Model:
    units = hp.Int("units", 1, 40)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(units), keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


@pytest.mark.parametrize("build", [build_unbuilt, build_without_input])
def test_a_model_without_an_input_shape_is_counted_by_the_data(tmp_path: Path, data: Dataset, build: Any):
    given: dict[str, Any] = {"budget": 8000, "seed": 0, "directory": tmp_path}
    study = search(OptunaTuner(build, "val_accuracy", 1, **given), data)
    assert outcomes(study)["COMPLETE", None] == 1
    counted = {t.user_attrs["hyperparameters"]["units"]: t.user_attrs["params"] for t in study.trials}
    assert counted == {units: 795 * units + 10 for units in counted}
    model = OptunaTuner(build, "val_accuracy", 1, **given).get_best_models()[0]
    assert accuracy(model, data) == pytest.approx(study.best_value)


def test_a_limit_that_no_model_tells_is_refused_before_the_study_is_made(tmp_path: Path):
    budget: Any = Budget(flash=65_536)
    with pytest.raises(SpaceError, match=r"^the flash of a network on a chip cannot be told before its training: "):
        OptunaTuner(perceptron, OBJECTIVE, 1, budget=budget, directory=tmp_path)
    assert not list(tmp_path.iterdir())

    class Counting(OptunaTuner):
        def measure(self, hp: keras_tuner.HyperParameters) -> Size:
            return Size(1, flash=1)

    Counting(perceptron, OBJECTIVE, 1, budget=budget, directory=tmp_path)


def test_a_model_that_cannot_be_counted_ends_the_search(tmp_path: Path, data: Dataset):
    tuner = OptunaTuner(build_without_input, "loss", 2, budget=8000, seed=0, directory=tmp_path)
    with pytest.raises(SpaceError, match=r"has no input shape, .*: begin it with keras.Input"):
        tuner.search([data.x_train], data.y_train, verbose=0)


def test_a_tf_dataset_says_how_large_its_images_are(tmp_path: Path, data: Dataset):
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices((data.x_train, data.y_train)).batch(32)
    tuner = Untrained(build_without_input, OBJECTIVE, 1, budget=8000, seed=0, directory=tmp_path)
    tuner.search(batches, verbose=0)
    done = tuner.oracle.study.get_trials(states=(TrialState.COMPLETE,))
    assert [trial.user_attrs["params"] for trial in done] == [795 * trial.params["units"] + 10 for trial in done]


def test_a_build_that_differs_from_call_to_call_cannot_slip_past_the_budget(tmp_path: Path, data: Dataset):
    def lying(hp: Any) -> keras.Model:
        hp.Float("x", 0, 1)
        calls.append(1)
        values = keras_tuner.HyperParameters()
        values.Fixed("units", 1 if len(calls) % 2 == 0 else 40)  # small when it is counted
        return perceptron(values)

    calls: list[int] = []
    fitted: list[int] = []
    tuner = OptunaTuner(lying, "val_accuracy", 2, budget=8000, seed=0, directory=tmp_path)
    counted = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: fitted.append(1))
    with pytest.raises(RuntimeError, match="31,810 parameters, 8,000 allowed: let build"):
        search(tuner, data, callbacks=[counted])
    assert outcomes(tuner.oracle.study) == {("FAIL", "error"): 3}
    assert fitted == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InfeasibleArchitecture("two is too many"), ("PRUNED", "infeasible")),
        (ArithmeticError("none"), ("FAIL", "build_error")),
    ],
    ids=["infeasible", "broken"],
)
def test_a_network_that_cannot_be_built_is_no_end_under_a_budget(
    tmp_path: Path, data: Dataset, error: Exception, outcome: tuple[str, str]
):
    def build(hp: Any) -> keras.Model:
        if hp.Int("units", 1, 3) == 2:
            raise error
        return perceptron(hp)

    study = search(Untrained(build, OBJECTIVE, 3, budget=8000, seed=0, directory=tmp_path), data)
    found = outcomes(study)
    del found["PRUNED", "duplicate"]
    assert found == {("COMPLETE", None): 2, outcome: 1}
    failed = next(trial for trial in study.trials if trial.user_attrs.get("reason") == outcome[1])
    assert failed.user_attrs["hyperparameters"] == {"units": 2}
    assert outcome[0] == "PRUNED" or "ArithmeticError: none" in failed.user_attrs["message"]


# Training


def test_one_seed_gives_one_result_and_resuming_is_the_same_as_going_on(tmp_path: Path, data: Dataset):
    def build(hp: Any) -> keras.Model:
        model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dropout(hp.Float("dropout", 0.1, 0.5)))
        model.add(keras.layers.Dense(10, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
        return model

    given: dict[str, Any] = {"budget": 8000, "seed": 3, "objective": "loss", "pruner": "none"}
    whole = search(OptunaTuner(build, max_trials=2, directory=tmp_path / "whole", **given), data, epochs=2)
    first = search(OptunaTuner(build, max_trials=1, directory=tmp_path / "parts", **given), data, epochs=2)
    assert trained(first) == trained(whole)[:1]
    resumed = OptunaTuner(build, max_trials=2, directory=tmp_path / "parts", **given)
    assert resumed.remaining_trials == 1
    assert trained(search(resumed, data, epochs=2)) == trained(whole)
    assert [trial.params for trial in resumed.oracle.study.trials] == [trial.params for trial in whole.trials]
    reseeded: dict[str, Any] = given | {"seed": 4}
    other = OptunaTuner(build, max_trials=1, directory=tmp_path / "other", **reseeded)
    assert trained(search(other, data, epochs=2))[0] != trained(whole)[0]


def test_the_score_and_the_weights_are_those_of_the_last_epoch(tmp_path: Path, data: Dataset):
    # The loss falls, so that the last epoch is never the best by this.
    objective = keras_tuner.Objective("val_loss", "max")
    given: dict[str, Any] = {"objective": objective, "seed": 0, "directory": tmp_path, "pruner": "none"}
    tuner = OptunaTuner(perceptron, max_trials=2, **given)
    study = search(tuner, data, epochs=3)
    for trial in study.trials:
        losses = [epoch["val_loss"] for epoch in trial.user_attrs["history"]]
        assert trial.value == losses[-1] == trial.intermediate_values[3] < max(losses)
        assert {"loss", "accuracy", "val_loss", "learning_rate", "seconds"} <= set(trial.user_attrs["history"][0])
    again = OptunaTuner(perceptron, max_trials=2, **given)  # reloads the project
    assert again.remaining_trials == 0
    for one in (tuner, again):
        best = one.oracle.get_best_trials(2)
        assert [trial.score for trial in best] == sorted((trial.values[0] for trial in study.trials), reverse=True)
        assert [hp.values for hp in one.get_best_hyperparameters(2)] == [trial.hyperparameters.values for trial in best]
        models: Any = one.get_best_models(2)
        losses = [model.evaluate(data.x_validation, data.y_validation, verbose=0)[0] for model in models]
        assert losses == pytest.approx([trial.score for trial in best])


def test_executions_have_seeds_of_their_own_their_mean_counts_and_the_best_ones_weights_are_kept(
    tmp_path: Path, data: Dataset
):
    class Final(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            model: Any = self.model
            finals.append((logs["val_accuracy"], float(model.get_weights()[0].sum())))
            time.sleep(0.2)

        def __deepcopy__(self, memo: Any) -> "Final":
            return Final()

    finals: list[tuple[float, float]] = []
    tuner = OptunaTuner(perceptron, OBJECTIVE, 1, seed=0, directory=tmp_path, executions_per_trial=3, pruner="none")
    study = search(tuner, data, callbacks=[Final()])
    assert len({weights for _, weights in finals}) == 3
    assert study.trials[0].value == pytest.approx(np.mean([score for score, _ in finals]))
    assert study.trials[0].user_attrs["seconds"] > 3 * 0.2  # of all executions
    best = max(score for score, _ in finals)
    model: Any = tuner.get_best_models()[0]
    assert float(model.get_weights()[0].sum()) == next(weights for score, weights in finals if score == best)


# Stopping early


def test_trials_stopped_early_are_never_the_best(tmp_path: Path, data: Dataset):
    class Watcher(SearchObserver):
        def __init__(self) -> None:
            self.ended: list[tuple[str, str]] = []

        def trial_ended(self, record: Any) -> None:
            self.ended.append((record["state"], record["reason"]))

    watcher = Watcher()
    stop_all = optuna.pruners.ThresholdPruner(lower=2.0)
    tuner = OptunaTuner(perceptron, "val_accuracy", 2, seed=0, directory=tmp_path, pruner=stop_all, observers=[watcher])
    study = search(tuner, data, epochs=4)
    assert outcomes(study) == {("PRUNED", "stopped_early"): 2}
    assert [len(trial.user_attrs["history"]) for trial in study.trials] == [1, 1]
    assert watcher.ended == [("PRUNED", "stopped_early")] * 2
    assert tuner.oracle.get_best_trials(2) == []
    assert tuner.get_best_models(2) == []
    assert tuner.remaining_trials == 0


def test_a_trial_that_is_stopped_has_no_further_executions(tmp_path: Path, data: Dataset):
    begun: list[int] = []
    stop_all = optuna.pruners.ThresholdPruner(lower=2.0)
    tuner = OptunaTuner(perceptron, OBJECTIVE, 1, seed=0, directory=tmp_path, executions_per_trial=3, pruner=stop_all)
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    assert outcomes(search(tuner, data, epochs=4, callbacks=[count])) == {("PRUNED", "stopped_early"): 1}
    assert begun == [0]


# Failures


def test_a_loss_that_is_not_finite_fails_the_trial_and_the_search_goes_on(tmp_path: Path, data: Dataset):
    def sometimes_broken(hp: Any) -> keras.Model:
        model = perceptron(hp)
        rate = keras.optimizers.SGD(hp.Choice("learning_rate", [1e-3, 1e38]))
        model.compile(rate, "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
        return model

    failures: dict[str, Any] = {"max_consecutive_failed_trials": 20}
    tuner = OptunaTuner(sometimes_broken, "val_accuracy", 2, seed=0, directory=tmp_path, **failures)
    for rate in (1e38, 1e-3):
        tuner.oracle.enqueue({"units": 3, "learning_rate": rate})
    study = search(tuner, data, epochs=2)
    assert outcomes(study)["COMPLETE", None] == 2
    failed = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert failed
    assert {trial.user_attrs["reason"] for trial in failed} == {"not_finite"}
    assert {trial.user_attrs["hyperparameters"]["learning_rate"] for trial in failed} == {1e38}


def test_an_error_fails_the_trial_with_its_message(tmp_path: Path, data: Dataset):
    def broken(hp: Any) -> keras.Model:
        if hp.Int("units", 1, 40) > 1:  # the default, by which the space is found, works
            raise ArithmeticError("no such network")
        return perceptron(hp)

    tuner = OptunaTuner(broken, "val_accuracy", 2, seed=0, directory=tmp_path)
    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 3"):
        search(tuner, data)
    study = tuner.oracle.study
    assert outcomes(study) == {("FAIL", "build_error"): 3}
    assert "no such network" in study.trials[0].user_attrs["message"]


def test_memory_that_runs_out_is_told_apart(tmp_path: Path):
    class Training(Function):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return OptunaTuner.run_trial(self, trial, *args, **kwargs)

        def _build_and_fit_model(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return self.function(trial.hyperparameters)

    def function(hp: Any) -> float:
        if hp.Boolean("large"):
            raise MemoryError
        return 0.5

    tuner = Training(function, tmp_path)
    tuner.search(verbose=0)
    assert outcomes(tuner.oracle.study) == {("COMPLETE", None): 1, ("FAIL", "out_of_memory"): 1}


def test_wrong_input_ends_the_search_in_its_own_words(tmp_path: Path, data: Dataset):
    tuner = OptunaTuner(ConvNet(), OBJECTIVE, 2, budget=3000, seed=0, directory=tmp_path)
    with pytest.raises(InputError, match="batch_size=8: the batch size is part of this space's recipe"):
        search(tuner, data, batch_size=8)
    assert len(tuner.oracle.study.get_trials(states=(TrialState.FAIL,))) == 1


# Going on


def test_an_interruption_keeps_the_trial_for_the_next_time(tmp_path: Path, data: Dataset):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    given: dict[str, Any] = {"seed": 0, "directory": tmp_path, "pruner": "none"}
    with pytest.raises(KeyboardInterrupt):
        search(OptunaTuner(perceptron, "val_accuracy", 1, **given), data, callbacks=[Interrupt()])
    again = OptunaTuner(perceptron, "val_accuracy", 1, **given)
    assert outcomes(again.oracle.study) == {("FAIL", "interrupted"): 1, ("WAITING", None): 1}
    study = search(again, data)
    assert outcomes(study) == {("FAIL", "interrupted"): 1, ("COMPLETE", None): 1}
    assert study.trials[0].user_attrs["hyperparameters"] == study.trials[1].user_attrs["hyperparameters"]
    assert study.trials[0].user_attrs["seed"] == study.trials[1].user_attrs["seed"]


def test_an_interruption_right_after_a_claim_loses_no_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    keep = Proposer._keep

    def interrupted(*args: Any) -> None:
        keep(*args)
        raise KeyboardInterrupt

    tuner = Function(lambda hp: hp.Int("units", 1, 9) / 10, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Proposer, "_keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tuner.search(verbose=0)
    assert outcomes(tuner.oracle.study) == {("FAIL", "interrupted"): 1, ("WAITING", None): 1}


def test_after_an_interruption_the_same_tuner_goes_on(tmp_path: Path):
    def function(hp: Any) -> float:
        values.append(hp.Float("x", 0, 1))
        if len(values) == 3:
            raise KeyboardInterrupt
        return values[-1]

    values: list[float] = []
    tuner = Function(function, tmp_path, 3)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    tuner.search(verbose=0)
    assert len(values) == 4
    assert values[3] == values[2]
    assert [trial.score for trial in tuner.oracle.trials.values()] == [values[0], values[1], values[3]]


def test_a_trial_that_the_deadline_cuts_off_comes_first_the_next_time(tmp_path: Path, data: Dataset):
    given: dict[str, Any] = {"seed": 0, "directory": tmp_path, "pruner": "none"}
    tuner = OptunaTuner(perceptron, OBJECTIVE, 2, **given)
    reporter = tuner._reporter

    def expired(*given: Any, **named: Any) -> Any:
        made = reporter(*given, **named)
        made._deadline = tuner.oracle.deadline = 0.0
        return made

    tuner._reporter = expired
    study = search(tuner, data, epochs=2, deadline=time.monotonic() + 60)
    assert outcomes(study) == {("FAIL", "timeout"): 1, ("WAITING", None): 1}
    again = search(OptunaTuner(perceptron, OBJECTIVE, 1, **given), data, epochs=2)
    assert again.trials[1].user_attrs["hyperparameters"] == study.trials[0].user_attrs["hyperparameters"]
    assert again.trials[1].state == TrialState.COMPLETE


def test_a_project_whose_space_has_changed_is_refused(tmp_path: Path, data: Dataset):
    def wider(hp: Any) -> keras.Model:
        hp.Int("units", 1, 80)
        return perceptron(hp)

    search(Untrained(perceptron, OBJECTIVE, 1, seed=0, directory=tmp_path), data)
    with pytest.raises(StudyError, match="hyperparameters: other units"):
        OptunaTuner(wider, OBJECTIVE, 1, seed=0, directory=tmp_path)
    OptunaTuner(wider, OBJECTIVE, 1, seed=0, directory=tmp_path, overwrite=True)


def test_a_project_whose_networks_have_changed_is_refused(tmp_path: Path, data: Dataset):
    def deeper(hp: Any) -> keras.Model:
        values = keras_tuner.HyperParameters()
        values.Fixed("units", hp.Int("units", 1, 40) + is_changed)
        return perceptron(values)

    is_changed, given = False, {"budget": 40_000, "seed": 0, "directory": tmp_path}
    first = search(OptunaTuner(deeper, OBJECTIVE, 1, **given), data).trials[0]
    search(OptunaTuner(deeper, OBJECTIVE, 2, **given), data)
    is_changed = True
    with pytest.raises(StudyError, match=r"trial 1 of .* was trained with .* parameters, and its layers have .* now"):
        search(OptunaTuner(deeper, OBJECTIVE, 3, **given), data)
    with pytest.raises(
        SpaceError, match=r"^the weights of trial 1 do not fit the network that its hyperparameters give"
    ):
        OptunaTuner(deeper, OBJECTIVE, 3, **given).load_trial(1)
    is_changed = False
    study = search(OptunaTuner(deeper, OBJECTIVE, 3, **given), data)
    assert outcomes(study) == {("COMPLETE", None): 3}
    assert study.trials[0].value == first.value


def test_weights_are_not_loaded_in_a_network_that_has_lost_a_layer(tmp_path: Path, data: Dataset):
    """Keras takes what it finds in the file, and passes over what is left."""

    def deep(hp: Any) -> keras.Model:
        layers = [keras.Input(data.input_shape), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
        more = [keras.layers.Dense(10, activation=hp.Choice("last", ["softmax", "sigmoid"]))]
        model = keras.Sequential([*layers, *(more if is_deep else [])])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    is_deep, given = True, {"budget": 40_000, "seed": 0, "directory": tmp_path}
    search(OptunaTuner(deep, OBJECTIVE, 1, **given), data)
    is_deep = False
    with pytest.raises(SpaceError, match=r"^trial 0 had 7,960 parameters in the search, and its .* give 7,850 now: "):
        OptunaTuner(deep, OBJECTIVE, 1, **given).load_trial(0)


def test_the_hyperparameters_that_were_given_are_not_changed(tmp_path: Path, data: Dataset):
    class Late(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return perceptron(hp)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            return model.fit(*args, batch_size=hp.Choice("batch", [16, 32]), **kwargs)

    given = keras_tuner.HyperParameters()
    given.Int("units", 1, 40)
    for trials in (1, 2):  # the second tuner goes on with what the first one was given
        tuner = OptunaTuner(Late(), OBJECTIVE, trials, seed=0, directory=tmp_path, hyperparameters=given)
        assert len(search(tuner, data).trials) == trials
        assert "batch" in {hp.name for hp in tuner.oracle.hyperparameters.space}
        assert [hp.name for hp in given.space] == ["units"]


def test_overwriting_deletes_the_projects_study_but_none_in_a_storage_of_its_own(tmp_path: Path):
    own = f"sqlite:///{tmp_path / 'own.db'}"
    for storage, left in ((None, 2), (own, 4)):
        for _ in range(2):
            given: dict[str, Any] = {"storage": storage, "overwrite": True}
            tuner = Function(lambda hp: float(hp.Int("units", 1, 40)), tmp_path / str(left), **given)
            tuner.oracle.max_trials = len(tuner.oracle.study.trials) + 2
            tuner.search(verbose=0)
        assert len(tuner.oracle.study.trials) == left
        assert {trial.state for trial in tuner.oracle.study.trials} == {TrialState.COMPLETE}


def test_weights_that_are_kept_elsewhere_are_told_of(tmp_path: Path, data: Dataset):
    given: dict[str, Any] = {"seed": 0, "storage": tmp_path / "study.journal", "study_name": "shared"}
    search(Untrained(perceptron, OBJECTIVE, 1, directory=tmp_path / "here", **given), data)
    there = OptunaTuner(perceptron, OBJECTIVE, 1, directory=tmp_path / "there", **given)
    assert len(there.get_best_hyperparameters()) == 1
    with pytest.raises(StudyError, match=r"trial 0000 has no weights in '.*there.*': give the directory"):
        there.get_best_models()


# The program's own state


@pytest.fixture
def policy() -> Iterator[str]:
    """The program has a dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield "mixed_bfloat16"
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("budget", [None, 40_000])
def test_every_network_has_the_dtype_policy_of_the_program(
    tmp_path: Path, data: Dataset, policy: str, budget: int | None
):
    seen: list[str] = []

    def build(hp: Any) -> keras.Model:
        model = perceptron(hp)
        seen.append(model.layers[1].dtype_policy.name)
        return model

    tuner = OptunaTuner(build, OBJECTIVE, 2, budget=budget, seed=1, sampler="random", directory=tmp_path)
    search(tuner, data)
    assert len(seen) > 2
    assert set(seen) == {policy}
    assert keras.config.dtype_policy().name == policy
    assert [model.layers[1].dtype_policy.name for model in tuner.get_best_models(2)] == [policy] * 2
    assert keras.config.dtype_policy().name == policy


def test_what_one_build_sets_is_not_set_for_the_next(tmp_path: Path, data: Dataset, policy: str):
    seen: dict[str, str] = {}

    def build(hp: Any) -> keras.Model:
        if (own := hp.Choice("policy", ["float64", "float32", "none"])) != "none":
            keras.config.set_dtype_policy(own)
        model = perceptron(hp)
        seen[own] = model.layers[1].dtype_policy.name
        return model

    tuner = Untrained(build, OBJECTIVE, 3, seed=1, sampler="grid", fixed={"units": 2}, directory=tmp_path)
    assert keras.config.dtype_policy().name == policy
    search(tuner, data)
    assert seen == {"float64": "float64", "float32": "float32", "none": policy}
    assert keras.config.dtype_policy().name == policy


def test_every_network_has_the_distribution_of_the_program(tmp_path: Path, data: Dataset):
    given = keras.distribution.DataParallel(devices=["cpu:0"])  # TensorFlow cannot train with it
    seen: list[Any] = []

    def build(hp: Any) -> keras.Model:
        seen.append(keras.distribution.distribution())
        return perceptron(hp)

    keras.distribution.set_distribution(given)
    try:
        search(Untrained(build, OBJECTIVE, 2, budget=40_000, seed=1, directory=tmp_path), data)
        assert keras.distribution.distribution() is given
    finally:
        keras.distribution.set_distribution(None)
    assert len(seen) > 2
    assert set(seen) == {given}


@pytest.mark.parametrize("fails", [False, True])
def test_a_search_leaves_the_random_state_of_the_program(tmp_path: Path, data: Dataset, fails: bool):
    drawn: list[tuple[float, float]] = []

    class Drawing(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            drawn.append((random.random(), float(np.random.random())))
            if fails:
                raise InputError("no")

    around: list[tuple[float, float]] = []
    for name in ("one", "two", "three"):
        around.append((random.random(), float(np.random.random())))
        tuner = OptunaTuner(perceptron, OBJECTIVE, 1, seed=1, directory=tmp_path / name)
        with pytest.raises(InputError, match="no") if fails else nullcontext():
            search(tuner, data, callbacks=[Drawing()])
    assert len(set(drawn)) == 1
    assert [len(set(values)) for values in zip(*around, strict=True)] == [3, 3]
