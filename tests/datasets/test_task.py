"""What a network is trained for: its record, how its answers are read, and its figures."""

import json
import math
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.search.datasets.answers import ClassAnswers, NumberAnswers
from kerastuna.search.datasets.task import Classification, Regression, Task, task_of, unit_of
from kerastuna.search.errors import SpaceError

NAMES = st.lists(st.text(max_size=5), min_size=2, max_size=4).map(tuple)
TASKS: st.SearchStrategy[Task] = st.one_of(
    st.builds(Classification, st.integers(2, 1000), st.booleans()),
    NAMES.map(lambda names: Classification(len(names), names=names)),
    st.builds(Regression, st.integers(1, 50)),
    NAMES.map(lambda names: Regression(len(names), names)),
)


@given(TASKS)
def test_a_record_is_read_back(task: Task) -> None:
    assert task_of({"name": "data", "images": 7, **json.loads(json.dumps(task.record()))}) == task


def test_a_study_of_class_numbers_is_recorded_as_it_always_was() -> None:
    assert Classification(10).record() == {"classes": 10}
    assert task_of({"classes": 10}) == Classification(10)
    assert Regression().record() == {"numbers": 1}


def test_what_it_offers_and_optimises() -> None:
    assert (Classification(3).offered, Regression(2).offered) == ({"classes": 3}, {"outputs": 2})
    assert (Classification(3).objective, Regression(2).objective) == (("val_accuracy", "max"), ("val_loss", "min"))
    assert (Classification(3).main_metric, Regression(2).main_metric) == ("accuracy", "mae")


def test_what_samples_are_called() -> None:
    assert [unit_of(shape) for shape in ((28, 28, 1), (13,), (24, 3), ())] == ["images", "rows", "rows", "rows"]


@pytest.mark.parametrize(
    ("task", "shape", "answers"),
    [
        (Classification(2), (1,), ClassAnswers(1, logits=True)),
        (Classification(2), (), ClassAnswers(1, logits=True)),
        (Classification(2), (2,), ClassAnswers(2, logits=True)),
        (Classification(10), (12,), ClassAnswers(12, logits=True)),  # more columns than classes are of no harm
        (Classification(2, one_hot=True), (2,), ClassAnswers(2, logits=True)),
        (Regression(), (1,), NumberAnswers(1)),
        (Regression(), (), NumberAnswers(1)),
        (Regression(3), (3,), NumberAnswers(3)),
    ],
)
def test_how_answers_are_read(task: Task, shape: tuple[int, ...], answers: Any) -> None:
    assert task.answers(shape, True) == answers


@pytest.mark.parametrize(
    ("task", "shape", "told"),
    [
        (Classification(3), (2,), r"of shape \(n, 2\), but a classifier of 3 classes answers \(n, 3\): correct"),
        (Classification(3), (1,), r"of shape \(n, 1\), .* answers \(n, 3\): correct"),
        (Classification(3), (), r"of shape \(n,\), .* answers \(n, 3\)"),
        (Classification(2), (2, 2), r"of shape \(n, 2, 2\), .* answers \(n, 2\) or \(n, 1\): correct"),
        (Classification(2, one_hot=True), (1,), r"of shape \(n, 1\), .* answers \(n, 2\): correct"),
        (Classification(2, one_hot=True), (3,), r"of shape \(n, 3\)"),
        (Regression(2), (1,), r"of shape \(n, 1\), but the targets are 2 for one sample: let .* answer \(n, 2\)"),
        (Regression(2), (), r"of shape \(n,\)"),
        (Regression(1), (2,), r"of shape \(n, 2\), but the targets are 1"),
    ],
)
def test_answers_that_cannot_be_read(task: Task, shape: tuple[int, ...], told: str) -> None:
    with pytest.raises(SpaceError, match=told) as caught:
        task.answers(shape, False)
    assert "\n" not in str(caught.value)


def probabilities(classes: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers and probabilities that say them more often than others."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count).astype(np.int32)
    scores = rng.random((count, classes)) + np.eye(classes)[labels] * 0.5
    return labels, scores / scores.sum(axis=1, keepdims=True)


@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 10), st.booleans())
def test_accuracies_are_those_of_keras(classes: int, count: int, seed: int, one_hot: bool) -> None:
    labels, read = probabilities(classes, count, seed)
    task = Classification(classes, one_hot)
    y = np.eye(classes, dtype=np.float32)[labels] if one_hot else labels
    kind = keras.metrics.CategoricalAccuracy if one_hot else keras.metrics.SparseCategoricalAccuracy
    metric = kind()
    metric.update_state(y, read)
    share = float(np.asarray(metric.result()))
    assert task.metric("accuracy", y, read) == task.metric("acc", y, read) == pytest.approx(share)
    assert task.metric(metric.name, y, read) == pytest.approx(share)
    assert task.standard_error("accuracy", y, read) == pytest.approx(math.sqrt(share * (1 - share) / count), abs=1e-6)
    entries = task.figures(y, read)["per_class"]
    assert sum(entry["accuracy"] * entry["images"] for entry in entries) == pytest.approx(share * count)
    assert sum(entry["images"] for entry in entries) == count
    np.testing.assert_array_equal(task.labels(y), labels)


def test_figures_of_classes_are_plain_values_and_have_names() -> None:
    y = np.array([0, 2, 2, 2], np.int32)
    read = np.eye(3)[[0, 2, 2, 1]]
    task = Classification(3, names=("cat", "dog", "eel"))
    assert json.loads(json.dumps(task.figures(y, read))) == {
        "per_class": [
            {"label": "cat", "images": 1, "accuracy": 1.0},
            {"label": "eel", "images": 3, "accuracy": pytest.approx(2 / 3)},
        ]
    }
    assert [entry["label"] for entry in Classification(3).figures(y, read)["per_class"]] == [0, 2]


@pytest.mark.parametrize("task", [Classification(2), Regression()])
def test_of_other_metrics_nothing_is_known(task: Task) -> None:
    y, read = np.zeros(3, np.int32), np.zeros((3, 2 if isinstance(task, Classification) else 1))
    for name in ("loss", "auc", "val_accuracy", "val_mae", "top_k_categorical_accuracy"):
        assert task.metric(name, y, read) is None
        assert task.standard_error(name, y, read) is None
    assert task.standard_error("r2", y, read) is None


KERAS = {
    "mae": keras.metrics.MeanAbsoluteError,
    "mse": keras.metrics.MeanSquaredError,
    "rmse": keras.metrics.RootMeanSquaredError,
    "r2": keras.metrics.R2Score,
}


@given(st.integers(1, 4), st.integers(2, 40), st.integers(0, 10), st.sampled_from(sorted(KERAS)))
def test_errors_are_those_of_keras(numbers: int, count: int, seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    y = (rng.normal(size=(count, numbers)) * 10.0 ** np.arange(numbers)).astype(np.float32)
    read = (y + rng.normal(size=y.shape)).astype(np.float32)
    metric = KERAS[name]()
    metric.update_state(y, read)
    task, read = Regression(numbers), read.astype(np.float64)
    expected = pytest.approx(float(np.asarray(metric.result())), rel=1e-3, abs=1e-3)
    assert task.metric(name, y, read) == expected
    assert task.metric(metric.name, y, read) == expected
    if numbers == 1:
        assert task.metric(name, y[:, 0], read) == expected  # not the errors of each with each


def test_standard_errors_of_errors_count_samples_not_numbers() -> None:
    y, read = np.zeros((4, 2), np.float32), np.array([[1.0, 3], [2, 2], [0, 8], [6, 6]])
    means = np.array([2, 2, 4, 6])
    assert Regression(2).standard_error("mae", y, read) == pytest.approx(means.std(ddof=1) / 2)
    squares = np.array([5, 4, 32, 36])
    assert Regression(2).standard_error("mse", y, read) == pytest.approx(squares.std(ddof=1) / 2)
    assert Regression(2).standard_error("mae", y[:1], read[:1]) == 0


def test_figures_of_numbers() -> None:
    y, read = np.array([[1.0, 10], [3, 10]], np.float32), np.array([[2.0, 10], [4, 12]])
    first, second = Regression(2, ("a", "b")).figures(y, read)["per_number"]
    assert first == {"name": "a", "mae": 1.0, "rmse": 1.0, "r2": 0.0, "bias": 1.0, "spread": 1.0}
    assert (second["mae"], second["rmse"], second["bias"], second["spread"]) == (1.0, math.sqrt(2), 1.0, 0.0)
    assert math.isnan(second["r2"])  # there is nothing to explain
    assert [one["name"] for one in Regression(2).figures(y, read)["per_number"]] == ["0", "1"]
