"""Searches with several limits, several objectives or a target; nothing is trained where nothing need be."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search import Budget, InputError, OptunaTuner, StudyError
from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.study.attributes import is_rejection
from kerastuna.search.study.goal import score_of
from kerastuna.search.study.records import trial_record
from kerastuna.spaces import ConvNet


class Formula(OptunaTuner):
    """Scores the networks of `ConvNet` by a formula of their size, epoch by epoch."""

    def __init__(self, folder: Path, curve: Callable[[Mapping[str, Any], int], float], **given: Any) -> None:
        self.curve = curve
        defaults: dict[str, Any] = {"hypermodel": ConvNet(), "max_trials": 12, "seed": 3, "directory": folder}
        super().__init__(**defaults | given)

    def run_trial(self, trial: Any, *args: Any, epochs: int = 1, **kwargs: Any) -> Any:
        known = self.oracle.study.trials[int(trial.trial_id)].user_attrs
        value = 0.0
        for epoch in range(1, epochs + 1):
            value = self.curve(known, epoch)
            if self.oracle.report(trial.trial_id, epoch, {"val_accuracy": value}):
                break
        return {"val_accuracy": value, "val_loss": 1 - value}


def grows(known: Mapping[str, Any], epoch: int) -> float:
    """The larger the better, and better by every epoch."""
    return 1 - 1 / math.log(known["params"] + 2) ** 2 - 0.2 / epoch


def lumpy(known: Mapping[str, Any], epoch: int) -> float:
    """Not every larger network is a better one."""
    return grows(known, epoch) - known["params"] % 7 / 100


def trained(study: optuna.Study) -> list[FrozenTrial]:
    return [trial for trial in study.trials if not is_rejection(trial)]


# Limits


def test_each_refusal_names_every_limit_it_broke(tmp_path: Path):
    budget = Budget(15_000, macs=2_000_000, ram=30_000)
    tuner = Formula(tmp_path, grows, objective="val_accuracy", budget=budget, max_trials=8, sampler="random")
    tuner.search(verbose=0)
    records = [trial_record(trial) for trial in tuner.oracle.study.trials]
    for record, trial in zip(records, tuner.oracle.study.trials, strict=True):
        counted = {name: record[name] for name in ("params", "macs", "ram")}
        if record["state"] == "COMPLETE":
            assert counted["params"] <= 15_000
            assert counted["macs"] <= 2_000_000
            assert counted["ram"] <= 30_000
            assert record["limits"] is None
        elif record["reason"] == "over_budget":
            assert record["limits"] == [name for name, limit in budget.limits.items() if counted[name] > limit]
            assert trial.user_attrs["message"].count("allowed") == len(record["limits"])
    broken = {tuple(record["limits"]) for record in records if record["limits"]}
    assert {("params",), ("params", "macs", "ram")} < broken
    assert any("params" not in limits for limits in broken)


def test_another_limit_is_another_study(tmp_path: Path):
    for budget in (Budget(15_000, macs=10**6), Budget(macs=10**6, params=15_000)):
        assert Formula(tmp_path, grows, objective="val_accuracy", budget=budget).oracle.study.trials == []
    with pytest.raises(StudyError, match=r"budget: .*1000000.*, now 15000"):
        _ = Formula(tmp_path, grows, objective="val_accuracy", budget=15_000).oracle.study


# A front


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_pareto_study_has_a_value_for_each_part_and_its_front_is_the_best(tmp_path: Path, sampler: str):
    parts = ["val_accuracy", "params", "peak_activation_bytes"]
    given: dict[str, Any] = {"pareto": parts, "budget": 15_000, "sampler": sampler}
    tuner = Formula(tmp_path / "whole", lumpy, **given)
    tuner.search(epochs=2, verbose=0)
    study = tuner.oracle.study
    assert study.directions == [optuna.study.StudyDirection(value) for value in (2, 1, 1)]
    assert study.metric_names == ["val_accuracy", "params", "activations"]
    complete = trained(study)
    assert len(complete) == 12
    for trial in complete:
        known = trial.user_attrs
        assert trial.values == [pytest.approx(lumpy(known, 2)), known["params"], known["activations"]]
    front = [int(trial.trial_id) for trial in tuner.oracle.get_best_trials(99)]
    assert set(front) == {trial.number for trial in study.best_trials}
    assert [score_of(study.trials[n]) for n in front] == sorted(
        (score_of(study.trials[n]) for n in front), reverse=True
    )
    assert len(front) < len(complete)

    Formula(tmp_path / "parts", lumpy, max_trials=7, **given).search(epochs=2, verbose=0)
    resumed = Formula(tmp_path / "parts", lumpy, **given)
    resumed.search(epochs=2, verbose=0)
    assert [trial.params for trial in resumed.oracle.study.trials] == [trial.params for trial in study.trials]


def test_a_part_that_is_not_reported_is_told_after_the_first_trial(tmp_path: Path):
    parts = ["val_accuracy", keras_tuner.Objective("f1", "max")]
    tuner = Formula(tmp_path, grows, pareto=parts)
    with pytest.raises(InputError, match="no metric is called 'f1', which is optimised; there are val_accuracy"):
        tuner.search(verbose=0)
    assert [trial.state.name for trial in trained(tuner.oracle.study)] == ["FAIL", "WAITING"]


def test_another_goal_is_another_study(tmp_path: Path):
    assert Formula(tmp_path, grows, pareto=["val_accuracy", "params"]).oracle.study.trials == []
    for other in ({"objective": "val_accuracy"}, {"pareto": ["val_accuracy", "macs"]}):
        with pytest.raises(StudyError, match="goal: "):
            _ = Formula(tmp_path, grows, **other).oracle.study


@pytest.mark.parametrize(
    "goal", [{"pareto": ["val_accuracy", "params"]}, {"minimize": "params", "reach": {"val_accuracy": 0.9}}]
)
@pytest.mark.parametrize("given", [{"pruner": "halving"}, {"pruner": optuna.pruners.MedianPruner()}])
def test_a_pruner_that_compares_by_one_metric_is_refused(tmp_path: Path, goal: Any, given: Any):
    with pytest.raises(InputError, match="compares trials by one metric"):
        Formula(tmp_path, grows, **goal, **given)
    Formula(tmp_path, grows, **goal, pruner="none")


@pytest.mark.parametrize(
    "goal", [{"pareto": ["val_accuracy", "params"]}, {"minimize": "params", "reach": {"val_accuracy": 0.9}}]
)
def test_costs_need_something_that_counts_them(tmp_path: Path, goal: Any):
    with pytest.raises(InputError, match="params are limited or optimised, but there is nothing to count them"):
        _ = Formula(tmp_path, grows, hypermodel=None, **goal).oracle.study


# A target


def test_the_smallest_network_that_reaches_the_target(tmp_path: Path):
    tuner = Formula(tmp_path, grows, minimize="params", reach={"val_accuracy": 0.885}, max_trials=25, pruner="none")
    tuner.search(epochs=2, verbose=0)
    study = tuner.oracle.study
    reached = [trial for trial in trained(study) if grows(trial.user_attrs, 2) >= 0.885]
    assert 0 < len(reached) < 25
    smallest = min(reached, key=lambda trial: trial.user_attrs["params"])
    assert study.best_trial.number == smallest.number  # Optuna knows the target as a constraint
    assert study.best_value == smallest.user_attrs["params"]
    assert int(tuner.oracle.get_best_trials(1)[0].trial_id) == smallest.number
    for trial in trained(study):
        assert trial.constraints["val_accuracy"] == pytest.approx(0.885 - grows(trial.user_attrs, 2))


def test_trials_are_stopped_by_their_distance_to_the_target_never_by_their_size(tmp_path: Path):
    def hopeless(known: Mapping[str, Any], epoch: int) -> float:
        """Every other network learns, whatever its size."""
        return 0.5 + 0.09 * epoch if known["params"] % 4 < 2 else 0.1 + 0.02 * epoch

    tuner = Formula(tmp_path, hopeless, minimize="params", reach={"val_accuracy": 0.94}, max_trials=30)
    tuner.search(epochs=5, verbose=0)
    stopped = [trial for trial in trained(tuner.oracle.study) if trial.state == TrialState.PRUNED]
    complete = [trial for trial in trained(tuner.oracle.study) if trial.state == TrialState.COMPLETE]
    assert stopped
    assert all(trial.user_attrs["params"] % 4 >= 2 for trial in stopped)
    assert all(trial.constraints["val_accuracy"] > 0 for trial in stopped)  # for the sampler: not a good one
    sizes = [trial.user_attrs["params"] for trial in complete]
    assert min(sizes) < max(trial.user_attrs["params"] for trial in stopped)
    assert len([trial for trial in complete if trial.user_attrs["params"] % 4 < 2]) > 4


# Any KerasTuner model


@pytest.fixture(scope="module")
def data(mnist_slice: Path) -> Dataset:
    return load_dataset(str(mnist_slice), images=60)


def perceptron(hp: keras_tuner.HyperParameters) -> keras.Model:
    layers = [keras.layers.Flatten(), keras.layers.Dense(hp.Int("units", 1, 40)), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


def test_a_build_functions_networks_are_counted_too_and_recorded_in_mlflow(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tuner = OptunaTuner(
        perceptron,
        pareto=["val_accuracy", "val_loss", "macs"],
        budget=Budget(macs=30 * 784),
        max_trials=2,
        seed=0,
        directory=tmp_path,
        project_name="perceptron",
        tracking_uri=uri,
    )
    validation = (data.x_validation, data.y_validation)
    tuner.search(data.x_train, data.y_train, validation_data=validation, epochs=1, verbose=0)
    for trial in trained(tuner.oracle.study):
        units = trial.params["units"]
        assert trial.values[2] == trial.user_attrs["macs"] == 784 * units + 10 * units <= 30 * 784
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("perceptron")
    assert experiment is not None
    runs = {run.data.tags["kerastuna.kind"]: run for run in client.search_runs([experiment.experiment_id])}
    assert runs["study"].data.params["max_macs"] == "23520"
    assert runs["study"].info.status == runs["trial"].info.status == "FINISHED"
    assert runs["trial"].data.metrics["macs"] == 794 * int(runs["trial"].data.params["units"])
    assert "val_accuracy" in runs["trial"].data.metrics


def test_the_environment_turns_recording_on_and_an_empty_uri_turns_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    on, off = tmp_path / "on.db", tmp_path / "off.db"
    for path, given in ((on, {}), (off, {"tracking_uri": ""})):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
        Formula(tmp_path / path.stem, grows, objective="val_accuracy", max_trials=1, budget=15_000, **given).search(
            verbose=0
        )
    assert not off.exists()
    client = MlflowClient(f"sqlite:///{on}")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["kerastuna.kind"] for run in runs) == ["study", "trial"]
