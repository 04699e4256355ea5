"""`OptunaTuner` on real models: the budget, pruning, failures, resuming, and KerasTuner's own interface."""

from collections import Counter
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from kerastuna.search import OptunaTuner
from kerastuna.search.data import Dataset, load_dataset
from kerastuna.search.observer import SearchObserver
from kerastuna.spaces import ConvNet
from kerastuna.spaces import space as space_module

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


@pytest.fixture(scope="module")
def data(mnist_slice: Path) -> Dataset:
    return load_dataset(str(mnist_slice), images=100)


def search(tuner: OptunaTuner, data: Dataset, epochs: int = 1, **given: Any) -> optuna.Study:
    validation = (data.x_validation, data.y_validation)
    tuner.search(data.x_train, data.y_train, epochs=epochs, validation_data=validation, verbose=0, **given)
    return tuner.oracle.study


def perceptron(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(hp.Int("units", 1, 40), activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def outcomes(study: optuna.Study) -> Counter:
    return Counter((trial.state.name, trial.user_attrs.get("reason")) for trial in study.trials)


def trained(study: optuna.Study) -> list[tuple[dict[str, Any], float | None]]:
    complete = (TrialState.COMPLETE,)
    return [(trial.user_attrs["hyperparameters"], trial.value) for trial in study.get_trials(states=complete)]


def test_no_network_over_the_budget_is_ever_built(tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch):
    built: list[int] = []
    sequential = keras.Sequential

    def spy(*arguments: Any, **given: Any) -> keras.Sequential:
        model = sequential(*arguments, **given)
        built.append(model.count_params())
        return model

    monkeypatch.setattr(space_module.keras, "Sequential", spy)
    tuner = OptunaTuner(ConvNet(), OBJECTIVE, 2, budget=1500, seed=1, directory=tmp_path, pruner="none")
    assert built == []  # not even to find the hyperparameters
    study = search(tuner, data)
    assert len(built) == 2
    assert max(built) <= 1500
    refused = [trial for trial in study.trials if trial.user_attrs.get("reason") == "over_budget"]
    assert refused
    assert all(trial.state == TrialState.PRUNED and trial.user_attrs["params"] > 1500 for trial in refused)
    assert all(trial.constraints == {"params": trial.user_attrs["params"] - 1500} for trial in refused)
    assert [trial.user_attrs["params"] for trial in study.get_trials(states=(TrialState.COMPLETE,))] == built


def test_one_seed_gives_one_result_and_resuming_is_the_same_as_going_on(tmp_path: Path, data: Dataset):
    given: dict[str, Any] = {"budget": 4000, "seed": 3, "pruner": "none"}
    whole = search(OptunaTuner(ConvNet(), OBJECTIVE, 4, directory=tmp_path / "whole", **given), data)
    first = search(OptunaTuner(ConvNet(), OBJECTIVE, 2, directory=tmp_path / "parts", **given), data)
    assert trained(first) == trained(whole)[:2]
    resumed = OptunaTuner(ConvNet(), OBJECTIVE, 4, directory=tmp_path / "parts", **given)
    assert resumed.remaining_trials == 2
    assert trained(search(resumed, data)) == trained(whole)
    assert [trial.params for trial in resumed.oracle.study.trials] == [trial.params for trial in whole.trials]
    other = OptunaTuner(ConvNet(), OBJECTIVE, 1, directory=tmp_path / "other", **given | {"seed": 4})
    assert trained(search(other, data))[0] != trained(whole)[0]


def test_a_build_function_is_counted_by_building(tmp_path: Path, data: Dataset):
    tuner = OptunaTuner(perceptron, "val_accuracy", 3, budget=8000, seed=0, directory=tmp_path, pruner="none")
    study = search(tuner, data)
    sizes = {trial.user_attrs["params"] for trial in study.trials if trial.user_attrs.get("reason") == "over_budget"}
    assert sizes
    assert min(sizes) > 8000
    for values, _ in trained(study):
        assert 795 * values["units"] + 10 <= 8000


def test_the_score_and_the_weights_are_those_of_the_last_epoch(tmp_path: Path, data: Dataset):
    given: dict[str, Any] = {"seed": 0, "directory": tmp_path, "pruner": "none"}
    tuner = OptunaTuner(perceptron, "val_accuracy", 2, **given)
    study = search(tuner, data, epochs=3)
    for trial in study.trials:
        assert trial.value == trial.user_attrs["history"][-1]["val_accuracy"] == trial.intermediate_values[3]
        assert {"loss", "accuracy", "val_loss", "learning_rate", "seconds"} <= set(trial.user_attrs["history"][0])
    again = OptunaTuner(perceptron, "val_accuracy", 2, **given)  # reloads the project
    assert again.remaining_trials == 0
    best = again.oracle.get_best_trials(2)
    assert [trial.score for trial in best] == sorted((trial.value for trial in study.trials), reverse=True)
    model = again.get_best_models()[0]
    accuracy = float((model.predict(data.x_validation, verbose=0).argmax(1) == data.y_validation).mean())
    assert accuracy == pytest.approx(best[0].score)
    assert again.get_best_hyperparameters()[0].values == best[0].hyperparameters.values


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
    assert tuner.remaining_trials == 0


def test_past_its_half_a_trial_is_left_to_finish(tmp_path: Path, data: Dataset):
    late = optuna.pruners.ThresholdPruner(lower=2.0, n_warmup_steps=2)
    tuner = OptunaTuner(perceptron, "val_accuracy", 1, seed=0, directory=tmp_path, pruner=late)
    assert outcomes(search(tuner, data, epochs=3)) == {("COMPLETE", None): 1}


def test_a_loss_that_is_not_finite_fails_the_trial_and_the_search_goes_on(tmp_path: Path, data: Dataset):
    def sometimes_broken(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = perceptron(hp)
        rate = hp.Choice("learning_rate", [1e-3, 1e38])
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    tuner = OptunaTuner(
        sometimes_broken, "val_accuracy", 3, seed=0, directory=tmp_path, max_consecutive_failed_trials=20
    )
    study = search(tuner, data)
    assert outcomes(study)["COMPLETE", None] == 3
    failed = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert failed
    assert {trial.user_attrs["reason"] for trial in failed} == {"not_finite"}
    assert {trial.user_attrs["hyperparameters"]["learning_rate"] for trial in failed} == {1e38}


def test_an_error_fails_the_trial_with_its_message(tmp_path: Path, data: Dataset):
    def broken(hp: keras_tuner.HyperParameters) -> keras.Model:
        if hp.Int("units", 1, 40) > 1:  # the default, by which the space is found, works
            raise ArithmeticError("no such network")
        return perceptron(hp)

    tuner = OptunaTuner(broken, "val_accuracy", 2, seed=0, directory=tmp_path)
    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 3"):
        search(tuner, data)
    study = tuner.oracle.study
    assert outcomes(study) == {("FAIL", "error"): 3}
    assert "no such network" in study.trials[0].user_attrs["message"]


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


def test_several_executions_give_their_mean(tmp_path: Path, data: Dataset):
    tuner = OptunaTuner(perceptron, "val_accuracy", 1, seed=0, directory=tmp_path, executions_per_trial=2)
    scores: list[float] = []
    run_trial = tuner.run_trial

    def spy(*arguments: Any, **given: Any) -> Any:
        results = run_trial(*arguments, **given)
        scores.extend(result.history["val_accuracy"][-1] for result in results)
        return results

    tuner.run_trial = spy  # type: ignore[method-assign]
    study = search(tuner, data)
    assert len(scores) == 2
    assert study.trials[0].value == pytest.approx(np.mean(scores))


def test_overwriting_deletes_the_projects_study_but_none_in_a_storage_of_its_own(tmp_path: Path, data: Dataset):
    class Random(OptunaTuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            return float(trial.hyperparameters.Int("units", 1, 40))

    own = f"sqlite:///{tmp_path / 'own.db'}"
    for storage, left in ((None, 2), (own, 4)):
        for _ in range(2):
            given: dict[str, Any] = {"storage": storage, "directory": tmp_path / str(left), "overwrite": True}
            tuner = Random(perceptron, max_trials=None, seed=0, **given)
            tuner.oracle.max_trials = len(tuner.oracle.study.trials) + 2
            tuner.search()
        assert len(tuner.oracle.study.trials) == left
        assert {trial.state for trial in tuner.oracle.study.trials} == {TrialState.COMPLETE}


@pytest.mark.parametrize("objective", ["val_accuracy", OBJECTIVE, ["val_loss", "loss"]])
def test_objectives_of_every_kind(tmp_path: Path, data: Dataset, objective: Any, capsys: pytest.CaptureFixture[str]):
    tuner = OptunaTuner(perceptron, objective, 1, seed=0, directory=tmp_path)
    study = search(tuner, data)
    last = study.trials[0].user_attrs["history"][-1]
    expected = last["val_loss"] + last["loss"] if isinstance(objective, list) else last["val_accuracy"]
    assert study.trials[0].value == pytest.approx(expected)
    tuner.search_space_summary()
    tuner.results_summary()
    told = capsys.readouterr().out
    assert "units (Int)" in told
    assert f"Score: {study.trials[0].value}" in told
