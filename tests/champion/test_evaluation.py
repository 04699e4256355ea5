"""Accuracy of trained models on labelled images."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
import pytest

from kerastuna.search.champion.evaluation import evaluate, spread
from kerastuna.search.champion.ledger import open_test_set
from kerastuna.search.datasets.data import load_dataset, load_test


@pytest.fixture(scope="module")
def models() -> list[Any]:
    found: list[Any] = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
        found.append(keras.Sequential(layers))
        found[-1].compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return found


def test_it_counts_what_keras_counts(models: list[Any], mnist_slice: Path) -> None:
    loaded = load_test(str(mnist_slice), load_dataset(str(mnist_slice)))
    assert loaded is not None
    x, y = loaded
    result = evaluate(models, x, y)
    for model, value in zip(models, result.values, strict=True):
        assert value == pytest.approx(model.evaluate(x, y, verbose=0)[1])
    np.testing.assert_allclose(result.predictions, models[0].predict(x, verbose=0), atol=1e-6)

    told = result.record(open_test_set(optuna.create_study(study_name="digits"), 1, "for this test"))
    assert (told["n"], told["images"], told["opening"]) == (2, 200, 1)
    assert told["mean"] == pytest.approx(np.mean(result.values))
    assert told["std"] == pytest.approx(np.std(result.values, ddof=1))
    assert told["standard_error"] == pytest.approx((told["mean"] * (1 - told["mean"]) / 200) ** 0.5)
    right = sum(entry["accuracy"] * entry["images"] for entry in told["per_class"])
    assert right == pytest.approx(result.values[0] * 200)


def test_one_value_has_no_spread() -> None:
    assert spread([0.5]) == 0.0
    assert spread([0.25, 0.75]) == pytest.approx(np.std([0.25, 0.75], ddof=1))
