"""Optimising a metric in int8: the score is that of the converted model, the pruner sees the metric in float."""

import shutil
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from export_support import answers_of_int8_file
from tuner_support import outcomes

from kerastuna.search import OptunaTuner
from kerastuna.search.errors import InputError
from kerastuna.search.export import formats, int8_models
from kerastuna.search.export.process import run_jobs
from kerastuna.search.tuning.int8_objective import metrics_in, with_stand_ins

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
Y = X.sum(axis=1)
STOP_ALL = optuna.pruners.ThresholdPruner(upper=0.0)


def build(hp: Any) -> Any:
    model: Any = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 9)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse", metrics=["mae"], run_eagerly=True)
    return model


def searched(folder: Path, objective: Any = "val_mae_int8", **given: Any) -> Any:
    """A tuner after its search of one trial."""
    settings = {"seed": 0, "pruner": "none", "max_retries_per_trial": 0} | given
    tuner: Any = OptunaTuner(build, objective, 1, directory=folder, **settings)
    tuner.search(X[:40], Y[:40], epochs=2, validation_data=(X[40:], Y[40:]), verbose=0)
    return tuner


def test_the_score_is_that_of_the_converted_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(name: str, jobs: Any) -> Any:
        ((_, given),) = jobs.values()
        if "calibration" in given:
            np.testing.assert_array_equal(np.load(given["calibration"]), X[:40])
        else:
            shutil.copy(given["path"], tmp_path / "model.tflite")
        return run_jobs(name, jobs)

    monkeypatch.setattr(int8_models, "run_jobs", run)
    tuner = searched(tmp_path)
    (trial,) = tuner.oracle.study.trials
    mae = np.abs(answers_of_int8_file(tmp_path / "model.tflite", X[40:])[:, 0] - Y[40:]).mean()
    assert trial.value == pytest.approx(mae, rel=1e-5)
    first, last = trial.user_attrs["history"]
    assert last["val_mae_int8"] == trial.value != last["val_mae"]
    assert "val_mae_int8" not in first
    assert trial.intermediate_values == {1: first["val_mae"], 2: last["val_mae"]}  # what the pruner is told
    assert tuner.oracle.get_best_trials()[0].score == trial.value
    in_float = np.abs(tuner.load_trial(0).predict(X[40:], verbose=0)[:, 0] - Y[40:]).mean()
    assert last["val_mae"] == pytest.approx(in_float, rel=1e-4)


def no_process(name: str, jobs: Any) -> Any:
    raise AssertionError("nothing is converted")


def test_a_trial_that_is_stopped_early_is_not_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_models, "run_jobs", no_process)
    study = searched(tmp_path, pruner=STOP_ALL).oracle.study
    assert outcomes(study) == {("PRUNED", "stopped_early"): 1}
    assert "val_mae_int8" not in study.trials[0].user_attrs["history"][-1]


def test_a_model_that_cannot_be_converted_fails_its_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_models, "run_jobs", lambda name, jobs: {"0": {"problem": "no such operator"}})
    with pytest.raises(RuntimeError, match="val_mae_int8, which is optimised, cannot be measured: no such operator"):
        searched(tmp_path, storage=(storage := optuna.storages.InMemoryStorage()), study_name="one")
    study = optuna.load_study(study_name="one", storage=storage)
    assert outcomes(study)["FAIL", "error"] == 3  # so many in a row end the search
    assert "val_mae" in study.trials[0].user_attrs["history"][-1]


@pytest.mark.parametrize("objective", ["val_auc_int8", "val_loss_int8", "mae_int8"])
def test_what_is_not_known_in_int8_is_refused(tmp_path: Path, objective: str) -> None:
    with pytest.raises(InputError, match=rf"objective '{objective}': in int8, val_accuracy_int8, .* are known"):
        OptunaTuner(build, keras_tuner.Objective(objective, "max"), 1, directory=tmp_path)


def test_a_search_that_could_not_measure_it_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = OptunaTuner(build, "val_mae_int8", 1, directory=tmp_path, seed=0)
    unusable: list[dict[str, Any]] = [{}, {"validation_split": 0.5}, {"validation_data": iter([])}]
    for given in unusable:
        with pytest.raises(InputError, match=r"'val_mae_int8': give samples and validation_data=\(x, y\) as arrays"):
            tuner.search(X, Y, **given)
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"'val_mae_int8' needs .*: pip install 'PATH/TO/kerastuna\[export\]'"):
        tuner.search(X, Y, validation_data=(X, Y))
    assert tuner.oracle.study.trials == []


def test_the_metric_in_float_stands_in_until_then() -> None:
    told = {"val_mae": 0.5, "val_loss": 2.0}
    assert with_stand_ins(["val_mae_int8", "val_loss"], told) == {**told, "val_mae_int8": 0.5}
    assert with_stand_ins(["val_mae_int8"], {"loss": 1.0}) == {"loss": 1.0}
    own = {"val_mae": 0.5, "val_mae_int8": 0.7}  # the training reports a metric of this name
    assert with_stand_ins(["val_mae_int8"], own) == own


def test_the_metrics_of_an_objective() -> None:
    assert metrics_in(keras_tuner.Objective("val_mae_int8", "min")) == ("val_mae_int8",)
    both: Any = [keras_tuner.Objective("val_mae", "min"), keras_tuner.Objective("val_mae_int8", "min")]
    tuner = keras_tuner.RandomSearch(lambda hp: None, objective=both, max_trials=1)
    assert metrics_in(tuner.oracle.objective) == ("val_mae", "val_mae_int8")
