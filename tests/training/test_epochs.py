"""Epochs as they are reported, reasons to end before the time, and what a training scores."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import kerastuna.search.training.epochs as epochs_module
from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.training.epochs import (
    EpochReporter,
    NotFinite,
    OutOfTime,
    Report,
    failure_reason,
    final_metrics,
    last_metrics,
)
from kerastuna.search.training.failures import TrialLimit, TrialTimeout, building

ACCURACY = keras_tuner.Objective("val_accuracy", "max")
WATCHED = ("val_accuracy",)


@pytest.fixture(scope="module")
def data(mnist_slice: Path) -> Dataset:
    return load_dataset(str(mnist_slice), images=100)


def linear(rate: float = 0.01) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    )
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(
    data: Dataset, reporter: EpochReporter, epochs: int = 3, rate: float = 0.01, before: Any = None
) -> keras.callbacks.History:
    validation = (data.x_validation, data.y_validation)
    return linear(rate).fit(
        data.x_train,
        data.y_train,
        epochs=epochs,
        validation_data=validation,
        callbacks=[reporter] if before is None else [before, reporter],
        verbose=0,  # type: ignore[arg-type]
    )


def recording(stop_at: int | None = None) -> tuple[list[tuple[int, Any]], Report]:
    """What is reported, and a report that stops at that epoch if it may."""
    heard: list[tuple[int, Any]] = []

    def report(epoch: int, metrics: Any, epochs: int | None) -> bool:
        heard.append((epoch, metrics))
        return epochs is not None and epoch == stop_at

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


def test_a_long_epoch_tells_of_its_batches(data: Dataset, monkeypatch: pytest.MonkeyPatch):
    told: list[tuple[int, int, int | None]] = []

    def reporter() -> EpochReporter:
        return EpochReporter(lambda *given: False, (), report_batches=lambda *given: told.append(given))

    fit(data, reporter(), epochs=2)
    assert told == []  # the epochs take no ten seconds
    monkeypatch.setattr(epochs_module, "LONG_EPOCH", 0.0)
    monkeypatch.setattr(epochs_module, "BETWEEN_REPORTS", 0.0)
    fit(data, reporter(), epochs=2)
    batches = len(data.x_train) // 32 + 1
    assert told == [(epoch, batch, batches) for epoch in (1, 2) for batch in range(batches)]
    monkeypatch.setattr(epochs_module, "BETWEEN_REPORTS", 60.0)
    told.clear()
    fit(data, reporter(), epochs=2)
    assert told == []


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
    reporter = EpochReporter(recording()[1], WATCHED, deadline=math.inf)
    passes: Any = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(reporter, "_deadline", 0.0))
    fit(data, reporter, epochs=2, before=passes)
    assert len(reporter.history) == 1
    assert isinstance(reporter.failure, OutOfTime)
    assert str(reporter.failure) == "the time for the search ran out after epoch 1"
    last = EpochReporter(recording()[1], WATCHED, deadline=math.inf)
    passes = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(last, "_deadline", 0.0))
    fit(data, last, epochs=1, before=passes)
    assert last.failure is None


def test_past_the_deadline_no_training_begins(data: Dataset):
    heard, report = recording()
    reporter = EpochReporter(report, WATCHED, deadline=time.monotonic())
    with pytest.raises(OutOfTime, match=r"^the time for the search ran out before the first epoch$"):
        fit(data, reporter)
    assert not heard
    assert isinstance(reporter.failure, OutOfTime)


def test_what_the_pruner_stops_as_the_time_runs_out_was_stopped():
    reporter = EpochReporter(recording(stop_at=1)[1], (), deadline=0.0, epochs=4)
    reporter.on_epoch_end(0, {"loss": 1.0})
    assert reporter.stopped
    assert reporter.failure is None


def test_a_training_loop_of_its_own_may_call_the_end_of_an_epoch_alone():
    heard, report = recording()
    reporter = EpochReporter(report, WATCHED, deadline=time.monotonic() + 60)
    for epoch in range(2):
        reporter.on_epoch_end(epoch, {"loss": 1.0 / (epoch + 1)})
    assert [(epoch, metrics["loss"]) for epoch, metrics in heard] == [(1, 1.0), (2, 0.5)]
    assert all(0 <= metrics["seconds"] < 60 for _, metrics in heard)


# When a training may be stopped


def lengths(reporter_of: Any, *trainings: range, told: bool = True) -> list[tuple[int, int | None]]:
    """The epochs that are reported of one training after the other, each with the length in which it may be stopped."""
    heard: list[tuple[int, int | None]] = []
    reporter = reporter_of(lambda epoch, metrics, epochs: bool(heard.append((epoch, epochs))))
    for training in trainings:
        reporter.set_params({"epochs": training.stop} if told else {})
        for epoch in training:
            reporter.on_epoch_end(epoch, {"loss": 1.0})
    return heard


def test_a_training_may_be_stopped_before_its_last_epoch_where_that_is_known():
    assert lengths(lambda report: EpochReporter(report, ()), range(3)) == [(1, 3), (2, 3), (3, None)]
    of_search = lambda report: EpochReporter(report, (), epochs=3)  # noqa: E731
    assert lengths(of_search, range(3), told=False) == [(1, 3), (2, 3), (3, None)]
    assert lengths(of_search, range(2)) == [(1, 2), (2, None)]  # the callbacks know better
    assert lengths(lambda report: EpochReporter(report, ()), range(2), told=False) == [(1, None), (2, None)]


def test_the_epochs_of_several_trainings_follow_each_other():
    reporter = lambda report: EpochReporter(report, ())  # noqa: E731
    assert lengths(reporter, range(2), range(3)) == [(1, 2), (2, None), (3, 5), (4, 5), (5, None)]
    assert lengths(reporter, range(2), range(2, 4)) == [(1, 2), (2, None), (3, 4), (4, None)]  # initial_epoch=2
    assert lengths(reporter, range(3), range(1), range(4, 6))[3:] == [(4, None), (5, 6), (6, None)]
    assert lengths(reporter, range(3, 5)) == [(4, 5), (5, None)]


def test_a_training_that_another_callback_ends_is_not_stopped_nor_out_of_time(data: Dataset):
    class Ending(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            model: Any = self.model
            model.stop_training = epoch == 1

    may: list[int | None] = []
    reporter = EpochReporter(lambda epoch, metrics, epochs: bool(may.append(epochs)), WATCHED, time.monotonic() + 60)
    fit(data, reporter, 5, before=Ending())
    assert may == [5, None]
    late = EpochReporter(recording()[1], WATCHED)
    late.set_params({"epochs": 9})
    late.set_model(SimpleNamespace(stop_training=True))
    late._deadline = 0.0
    late.on_epoch_end(0, {"loss": 1.0})
    assert late.failure is None


def test_a_loop_that_goes_on_regardless_was_not_stopped():
    heard, report = recording(stop_at=2)
    reporter = EpochReporter(report, WATCHED, epochs=5)
    model = SimpleNamespace(stop_training=False)
    reporter.set_model(model)
    stopped = []
    for epoch in range(5):
        reporter.on_epoch_end(epoch, {"loss": 1.0})
        stopped.append((reporter.stopped, model.stop_training))
    assert stopped == [(False, False), (True, True), (False, False), (False, False), (False, False)]
    assert [epoch for epoch, _ in heard] == [1, 2, 3, 4, 5]
    assert len(reporter.history) == 5


def test_a_loop_that_goes_on_regardless_is_not_asked_to_stop_again():
    may: list[int | None] = []
    reporter = EpochReporter(lambda epoch, metrics, epochs: may.append(epochs) or epoch == 1, (), epochs=4)
    for epoch in range(4):
        reporter.on_epoch_end(epoch, {"loss": 1.0})
    assert may == [4, None, None, None]


def test_a_loop_that_goes_on_past_the_deadline_to_its_end_is_complete():
    reporter = EpochReporter(recording()[1], (), deadline=0.0, epochs=2)
    reporter.on_epoch_end(0, {"loss": 1.0})
    assert isinstance(reporter.failure, OutOfTime)
    reporter.on_epoch_end(1, {"loss": 1.0})
    assert reporter.failure is None


def test_a_training_after_one_that_was_stopped_is_stopped_too(data: Dataset):
    begun: list[int] = []
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    heard, report = recording(stop_at=1)
    reporter = EpochReporter(report, WATCHED)
    model = linear()
    for _ in range(2):
        model.fit(data.x_train, data.y_train, epochs=3, callbacks=[count, reporter], verbose=0)  # type: ignore[arg-type]
    assert begun == [0, 0]
    assert [epoch for epoch, _ in heard] == [1]
    assert reporter.stopped


# What is reported


def test_only_numbers_are_reported():
    heard, report = recording()
    reporter = EpochReporter(report, WATCHED)
    reporter.on_epoch_end(0, {"loss": np.float32(0.5), "f1": np.ones(3), "kept": keras.ops.ones(()), "text": "good"})
    assert {name: value for name, value in heard[0][1].items() if name != "seconds"} == {"loss": 0.5, "kept": 1.0}


def test_the_first_epoch_is_checked_as_it_was_reported():
    checked: list[Mapping[str, Any]] = []
    reporter = EpochReporter(recording()[1], WATCHED, check=checked.append)
    for epoch in range(2):
        reporter.on_epoch_end(epoch, {"loss": 1.0, "f1": [1, 2]})
    assert checked == [{"loss": 1.0, "f1": [1, 2]}]


@pytest.mark.parametrize("optimizer", [None, "adam", {"d": keras.optimizers.SGD()}])
def test_a_model_may_have_no_optimizer_with_a_learning_rate(optimizer: Any):
    reporter = EpochReporter(recording()[1], WATCHED)
    reporter.set_model(SimpleNamespace(optimizer=optimizer, stop_training=False))
    reporter.on_epoch_end(0, {"loss": 1.0})
    assert set(reporter.history[0]) == {"loss", "seconds"}


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


def test_what_is_no_number_is_left_out_of_the_end_but_can_be_seen():
    given = {"val_accuracy": 0.5, "by_class": np.ones(3)}
    assert final_metrics(given, ACCURACY) == ({"val_accuracy": 0.5}, 0)
    kept: Any = history(val_accuracy=[0.5], by_class=[np.ones(3)])  # type: ignore[list-item]
    assert final_metrics([kept, given], ACCURACY)[0] == {"val_accuracy": 0.5}
    assert set(last_metrics(kept, ACCURACY)) == {"val_accuracy", "by_class"}


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


def test_a_trial_over_its_time_fails_at_the_next_batch_or_epoch(data: Dataset):
    over = TrialLimit(1.0, time.monotonic() - 1)
    heard, report = recording()
    reporter = EpochReporter(report, WATCHED, limit=over)
    with pytest.raises(TrialTimeout, match="longer than 1 s"):
        fit(data, reporter)
    assert heard == []  # not even an epoch
    assert failure_reason(reporter.failure or KeyError()) == "trial_timeout"

    reporter = EpochReporter(report, WATCHED, limit=over)  # where there are no batches, as on JAX
    reporter.set_model(model := linear())
    reporter.set_params({"epochs": 3})
    reporter.on_epoch_end(0, {"loss": 1.0})
    assert isinstance(reporter.failure, TrialTimeout)
    assert model.stop_training
    reporter.on_epoch_end(1, {"loss": 1.0})  # one that takes no notice has failed all the same
    assert isinstance(reporter.failure, TrialTimeout)


def test_a_trial_that_has_ended_or_was_stopped_is_not_over_its_time():
    over = TrialLimit(1.0, time.monotonic() - 1)
    for stops, epochs in ((False, 1), (True, 3)):
        reporter = EpochReporter(lambda epoch, metrics, epochs, stops=stops: stops, WATCHED, limit=over)
        reporter.set_model(linear())
        reporter.set_params({"epochs": epochs})
        reporter.on_epoch_end(0, {"loss": 1.0})
        assert reporter.failure is None


def test_the_reason_of_a_failed_build_is_its_own():
    with pytest.raises(ValueError, match="no width") as caught, building({"units": 0}):
        raise ValueError("no width")
    assert failure_reason(caught.value) == "build_error"
    with pytest.raises(MemoryError) as caught, building({"units": 10**9}):
        raise MemoryError
    assert failure_reason(caught.value) == "out_of_memory"
