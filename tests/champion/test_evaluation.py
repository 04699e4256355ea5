"""What trained models score on a test set."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
import pytest

from kerastuna.search.champion.evaluation import TestResult, evaluate, spread
from kerastuna.search.champion.ledger import open_test_set
from kerastuna.search.datasets.data import load_dataset, load_test
from kerastuna.search.datasets.task import Classification, Regression, Task
from kerastuna.search.training.answers import answers_of

RNG = np.random.default_rng(1)
X = RNG.normal(size=(200, 4)).astype(np.float32)
TWO = (X[:, 0] > 0.7).astype(np.int32)  # more of one class than of the other
NUMBERS = (X[:, :2] * [1, 100]).astype(np.float32)


def models_of(*layers: Any, y: np.ndarray | None = None, compiled: bool = True, **given: Any) -> list[Any]:
    found: list[Any] = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        found.append(keras.Sequential([type(layer).from_config(layer.get_config()) for layer in layers]))
        if compiled:
            found[-1].compile(run_eagerly=True, **given)
        if y is not None:
            found[-1].fit(X, y, epochs=2, verbose=0)
    return found


def result_of(models: list[Any], task: Task, y: np.ndarray, metric: str) -> TestResult:
    return evaluate(models, X, y, task, answers_of(models[0], task, X, y, metric), metric)


def told(result: TestResult) -> dict[str, Any]:
    return result.record(open_test_set(optuna.create_study(study_name="digits"), 1, "for this test"))


def test_it_counts_what_keras_counts(mnist_slice: Path) -> None:
    task = Classification(10)
    loaded = load_test(str(mnist_slice), load_dataset(str(mnist_slice)))
    assert loaded is not None
    x, y = loaded
    layers = [keras.layers.InputLayer((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    models = models_of(*layers, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    result = evaluate(models, x, y, task, answers_of(models[0], task, x, y, "accuracy"), "accuracy")
    for model, value in zip(models, result.values, strict=True):
        assert value == pytest.approx(model.evaluate(x, y, verbose=0)[1])
    np.testing.assert_allclose(result.answers, models[0].predict(x, verbose=0), atol=1e-6)

    record = told(result)
    assert (record["metric"], record["n"], record["images"], record["opening"]) == ("accuracy", 2, 200, 1)
    assert record["mean"] == pytest.approx(np.mean(result.values))
    assert record["std"] == pytest.approx(np.std(result.values, ddof=1))
    values = np.array(result.values)
    assert record["standard_error"] == pytest.approx(np.sqrt(values * (1 - values) / 200).mean())
    right = sum(entry["accuracy"] * entry["images"] for entry in record["per_class"])
    assert right == pytest.approx(result.values[0] * 200)


def test_one_sigmoid_is_no_argmax() -> None:
    given = {"loss": "binary_crossentropy", "metrics": ["accuracy"]}
    models = models_of(keras.layers.InputLayer((4,)), keras.layers.Dense(1, "sigmoid"), y=TWO, **given)
    record = told(result_of(models, Classification(2), TWO, "accuracy"))
    assert record["values"] == pytest.approx([model.evaluate(X, TWO, verbose=0)[1] for model in models])
    said = (models[0].predict(X, verbose=0)[:, 0] > 0.5).astype(int)
    assert [entry["images"] for entry in record["per_class"]] == np.bincount(TWO).tolist()
    accuracies = [float((said[label == TWO] == label).mean()) for label in (0, 1)]
    assert [entry["accuracy"] for entry in record["per_class"]] == pytest.approx(accuracies)


@pytest.mark.parametrize("metric", ["mae", "loss"])
def test_numbers_have_errors_and_the_metric_that_was_optimised(metric: str) -> None:
    models = models_of(keras.layers.InputLayer((4,)), keras.layers.Dense(2), loss="mse", metrics=["mae"])
    record = told(result_of(models, Regression(2, ("a", "b")), NUMBERS, metric))
    reported = [model.evaluate(X, NUMBERS, verbose=0, return_dict=True)[metric] for model in models]
    assert record["metric"] == metric
    assert record["values"] == pytest.approx(reported, rel=1e-4)
    assert "per_class" not in record
    assert [one["name"] for one in record["per_number"]] == ["a", "b"]
    if metric == "mae":
        assert np.mean([one["mae"] for one in record["per_number"]]) == pytest.approx(record["values"][0])
        assert record["standard_error"] > 0
    else:
        assert record["standard_error"] is None


@pytest.mark.parametrize(
    ("task", "y", "metric"), [(Regression(2), NUMBERS, "mae"), (Classification(2), TWO, "accuracy")]
)
def test_of_a_model_that_does_not_report_its_objective_the_main_metric_is_told(
    task: Task, y: np.ndarray, metric: str
) -> None:
    models = models_of(keras.layers.InputLayer((4,)), keras.layers.Dense(2), compiled=False)
    record = told(result_of(models, task, y, "my_own"))
    assert record["metric"] == metric
    assert len(record["values"]) == 2


def test_one_value_has_no_spread() -> None:
    assert spread([0.5]) is None
    assert spread([0.25, 0.75]) == pytest.approx(np.std([0.25, 0.75], ddof=1))
