"""Epochs as they are reported, reasons to end before the time, and what a training scores."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.training.epochs import EpochReporter, NotFinite, OutOfTime, failure_reason, final_metrics

ACCURACY = keras_tuner.Objective("val_accuracy", "max")
WATCHED = ("val_accuracy",)


@pytest.fixture(scope="module")
def data(mnist_slice: Path) -> Dataset:
    return load_dataset(str(mnist_slice), images=100)


def fit(data: Dataset, reporter: EpochReporter, epochs: int = 3, rate: float = 0.01) -> keras.callbacks.History:
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    )
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    validation = (data.x_validation, data.y_validation)
    return model.fit(
        data.x_train,
        data.y_train,
        epochs=epochs,
        validation_data=validation,
        callbacks=[reporter],
        verbose=0,  # type: ignore[arg-type]
    )


def recording(stop_at: int | None = None) -> tuple[list[tuple[int, Any]], Callable[[int, Any], bool]]:
    heard: list[tuple[int, Any]] = []

    def report(epoch: int, metrics: Any) -> bool:
        heard.append((epoch, metrics))
        return epoch == stop_at

    return heard, report


def test_every_epoch_is_reported_from_one_with_its_seconds_and_learning_rate(data: Dataset):
    heard, report = recording()
    reporter = EpochReporter(report, WATCHED)
    began = time.monotonic()
    history = fit(data, reporter, rate=0.25).history
    elapsed = time.monotonic() - began
    assert [epoch for epoch, _ in heard] == [1, 2, 3]
    assert reporter.history == [metrics for _, metrics in heard]
    for (_, metrics), loss in zip(heard, history["val_loss"], strict=True):
        assert set(metrics) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"}
        assert metrics["val_loss"] == loss
        assert metrics["learning_rate"] == 0.25
    assert 0 < sum(metrics["seconds"] for metrics in reporter.history) <= elapsed
    assert not reporter.stopped
    assert reporter.failure is None


def test_the_training_stops_at_the_epoch_that_is_refused(data: Dataset):
    heard, report = recording(stop_at=2)
    reporter = EpochReporter(report, WATCHED)
    fit(data, reporter, epochs=5)
    assert [epoch for epoch, _ in heard] == [1, 2]
    assert reporter.stopped
    assert reporter.failure is None


def test_a_loss_without_a_finite_value_stops_the_training(data: Dataset):
    heard, report = recording()
    reporter = EpochReporter(report, WATCHED)
    fit(data, reporter, rate=1e38)
    assert len(heard) == 1
    assert isinstance(reporter.failure, NotFinite)
    assert str(reporter.failure).endswith("after epoch 1")


@pytest.mark.parametrize("name", ["loss", "val_loss", "val_accuracy"])
def test_what_has_to_be_finite(name: str):
    reporter = EpochReporter(recording()[1], WATCHED)
    reporter.on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5, "other": math.nan})
    assert reporter.failure is None
    reporter.on_epoch_end(1, {"loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5, name: math.inf})
    assert isinstance(reporter.failure, NotFinite)
    assert str(reporter.failure) == f"{name} is inf after epoch 2"


def test_past_the_deadline_a_training_stops_unless_that_was_its_last_epoch(data: Dataset):
    reporter = EpochReporter(recording()[1], WATCHED, deadline=time.monotonic())
    fit(data, reporter, epochs=2)
    assert len(reporter.history) == 1
    assert isinstance(reporter.failure, OutOfTime)
    assert str(reporter.failure) == "the time for the search ran out after epoch 1"
    last = EpochReporter(recording()[1], WATCHED, deadline=time.monotonic())
    fit(data, last, epochs=1)
    assert last.failure is None


def test_a_training_loop_of_its_own_may_call_the_end_of_an_epoch_alone():
    heard, report = recording(stop_at=2)
    reporter = EpochReporter(report, WATCHED, deadline=time.monotonic() + 60)
    for epoch in range(4):  # takes no notice that it is to stop
        reporter.on_epoch_end(epoch, {"loss": 1.0 / (epoch + 1)})
    assert [(epoch, metrics["loss"]) for epoch, metrics in heard] == [(1, 1.0), (2, 0.5)]
    assert all(0 <= metrics["seconds"] < 60 for _, metrics in heard)
    assert reporter.stopped


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotFinite("loss is nan"), "not_finite"),
        (OutOfTime("over"), "timeout"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(1), "interrupted"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), "out_of_memory"),
        (type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (ValueError("no"), "error"),
    ],
)
def test_why_a_trial_failed(error: BaseException, reason: str):
    assert failure_reason(error) == reason


def history(**metrics: list[float]) -> keras.callbacks.History:
    made = keras.callbacks.History()
    made.history = metrics
    return made


def test_a_history_counts_at_its_last_epoch():
    best_was_first = history(loss=[0.1, 0.2, 0.3], val_accuracy=[0.9, 0.5, 0.6])
    assert final_metrics(best_was_first, ACCURACY) == ({"loss": 0.3, "val_accuracy": 0.6}, 2)


def test_a_history_that_was_not_validated_at_every_epoch_counts_at_the_last_that_was():
    assert final_metrics(history(loss=[0.1, 0.2, 0.3], val_accuracy=[0.7]), ACCURACY)[0]["val_accuracy"] == 0.7


def test_numbers_and_dictionaries_are_taken_as_they_are():
    assert final_metrics(0.5, ACCURACY) == ({"val_accuracy": 0.5}, 0)
    assert final_metrics(np.float32(0.5), ACCURACY) == ({"val_accuracy": 0.5}, 0)
    assert final_metrics({"val_accuracy": 0.5, "cost": 2}, ACCURACY) == ({"val_accuracy": 0.5, "cost": 2}, 0)


def test_of_a_list_the_mean_is_taken():
    results = [history(val_accuracy=[0.1, 0.2]), history(val_accuracy=[0.3, 0.4, 0.5, 0.6]), 0.1]
    metrics, step = final_metrics(results, ACCURACY)
    assert metrics["val_accuracy"] == pytest.approx(0.3)
    assert step == round((1 + 3 + 0) / 3)


def test_several_objectives_are_summed_with_their_signs_at_the_last_epoch():
    objective = keras_tuner.Oracle(["val_accuracy", "loss"]).objective
    metrics, _ = final_metrics(history(loss=[9.0, 2.0], val_accuracy=[0.1, 0.75]), objective)
    assert metrics[objective.name] == pytest.approx(1.25)


def test_a_history_without_the_objective_has_no_score():
    assert not math.isfinite(final_metrics(history(loss=[1.0]), ACCURACY)[0].get("val_accuracy", math.nan))
