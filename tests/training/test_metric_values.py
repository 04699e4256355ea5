"""Which metrics are numbers, and what is told of an objective that is missing or is none."""

from typing import Any

import keras
import numpy as np
import pytest

from kerastuna.search.training.metric_values import number_of, numbers_in, objective_problem


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *[(0.5, 0.5), (1, 1.0), (True, 1.0), (np.float32(0.5), 0.5), (np.ones((1, 1)), 1.0), ([0.5], 0.5)],
        *[(np.ones(2), None), ([1, [2, 3]], None), ({"a": 1}, None), ("0.5", None), (b"1", None), (None, None)],
        *[(1j, None), (object(), None), (np.array([]), None)],
    ],
)
def test_a_number_is_one_number(value: Any, number: float | None) -> None:
    assert number_of(value) == number


def test_tensors_and_variables_of_the_backend_are_numbers() -> None:
    assert number_of(keras.ops.ones(())) == 1.0
    assert number_of(keras.Variable(0.5)) == 0.5
    assert number_of(keras.ops.ones((2,))) is None
    assert np.isnan(number_of(float("nan")) or 0)


def test_other_metrics_are_left_out() -> None:
    assert numbers_in({"loss": 1, "f1_score": np.ones(3), "note": "good"}) == {"loss": 1.0}


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"val_f1": 0.5}, None),
        (
            {"val_f1": np.ones(3)},
            "'val_f1', which is optimised, is not a number but an array of shape (3,): give a metric that is one "
            'number, such as F1Score(average="macro")',
        ),
        (
            {"val_f1": "good"},
            "'val_f1', which is optimised, is not a number but str: give a metric that is one number, such as "
            'F1Score(average="macro")',
        ),
        (
            {"loss": 1, "f1": 1},
            "no metric is called 'val_f1', which is optimised; there are f1, loss: give validation_data= or "
            "validation_split=",
        ),
        (
            {"loss": 1, "val_loss": 1},
            "no metric is called 'val_f1', which is optimised; there are loss, val_loss: optimise one of these, or "
            "add the metric to compile(metrics=...)",
        ),
    ],
)
def test_what_is_told_of_the_objective(metrics: dict[str, Any], told: str | None) -> None:
    assert objective_problem(["val_f1"], metrics) == told


def test_every_name_has_to_be_there() -> None:
    told = objective_problem(["loss", "auc"], {"loss": 1.0})
    assert told is not None
    assert told.startswith("no metric is called 'auc'")
    told = objective_problem(["loss"], {})
    assert told == (
        "no metric is called 'loss', which is optimised; there are none: add the metric to compile(metrics=...)"
    )
