"""A score is that of the weights that are kept."""

import logging
from typing import Any

import keras
import numpy as np
import pytest
from support import without_graphs

from kerastuna.search.training.epochs import EpochReporter
from kerastuna.search.training.kept_weights import ValidatedWeights, result_of_kept_weights, validated_again

X, Y = np.arange(20, dtype="float32").reshape(10, 2) / 20, np.arange(10, dtype="float32") / 10


def model_of(optimizer: Any = "sgd") -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse", metrics=["mae"])
    return model


def history_of(**metrics: list[float]) -> keras.callbacks.History:
    history = keras.callbacks.History()
    history.history, history.epoch = metrics, list(range(max(map(len, metrics.values()))))
    return history


def test_the_epoch_is_found_whose_weights_a_model_has():
    model, seen = model_of(), ValidatedWeights()
    assert seen.epochs_since(model) == 0
    kept = []
    for epoch in range(3):
        model.layers[-1].bias.assign([float(epoch)])
        seen.test_begins(model)
        kept.append(model.get_weights())
        if epoch == 1:
            model.layers[-1].bias.assign([7.0])  # after it was validated
        seen.epoch_ends(model)
    assert seen.epochs_since(model) == 0
    model.set_weights(kept[0])
    assert seen.epochs_since(model) == 2
    model.layers[-1].bias.assign([7.0])
    assert seen.epochs_since(model) is None


def test_without_validation_the_weights_at_the_end_of_an_epoch_count():
    model, seen = model_of(), ValidatedWeights()
    seen.epoch_ends(model)
    model.layers[0].moving_mean.assign([1.0, 1.0])  # not trainable, but the model is another one
    assert seen.epochs_since(model) is None
    seen.epoch_ends(model)
    assert seen.epochs_since(model) == 0


def test_nothing_is_concluded_where_callbacks_do_not_know_the_model():
    seen = ValidatedWeights()
    seen.epoch_ends(None)
    assert seen.epochs_since(model_of()) == 0


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_restores_an_epoch(restore: bool):
    model = model_of(keras.optimizers.SGD(-0.1))  # every epoch is worse
    reporter = EpochReporter(lambda epoch, metrics, epochs: False, ())
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=restore)
    with without_graphs():
        result = model.fit(X, Y, epochs=6, validation_data=(X, Y), verbose=0, callbacks=[stop, reporter])
    assert reporter.epochs_since_kept == (2 if restore else 0)
    kept = result_of_kept_weights(result, reporter.history, reporter.epochs_since_kept, pytest.fail)
    assert kept.history["val_loss"][-1] == pytest.approx(model.evaluate(X, Y, verbose=0)[0], rel=1e-5)
    assert len(kept.epoch) == (1 if restore else 3)
    assert len(result.epoch) == 3


@pytest.mark.filterwarnings("ignore:Early stopping conditioned on metric")
def test_early_stopping_restores_an_epoch_where_not_every_epoch_is_validated():
    model = model_of(keras.optimizers.SGD(-0.1))  # every epoch is worse
    reporter = EpochReporter(lambda epoch, metrics, epochs: False, ())
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    given = {"validation_data": (X, Y), "validation_freq": 2}
    with without_graphs():
        result = model.fit(X, Y, epochs=9, verbose=0, callbacks=[stop, reporter], **given)
        expected = model.evaluate(X, Y, verbose=0)[0]
    assert len(result.history["val_loss"]) == 3
    kept = result_of_kept_weights(result, reporter.history, reporter.epochs_since_kept, pytest.fail)
    assert kept.history["val_loss"] == [pytest.approx(expected, rel=1e-5)]
    assert kept.epoch == [0, 1]


def test_an_epoch_that_is_not_validated_is_not_taken_for_one_that_is():
    model = model_of()
    reporter = EpochReporter(lambda epoch, metrics, epochs: False, ())
    given = {"validation_data": (X, Y), "validation_freq": 2}
    with without_graphs():
        result = model.fit(X, Y, epochs=3, verbose=0, callbacks=[reporter], **given)
        assert reporter.epochs_since_kept is None
        kept = result_of_kept_weights(result, reporter.history, None, lambda: validated_again(model, given))
        expected = model.evaluate(X, Y, verbose=0)[0]
    assert kept.history["val_loss"] == [pytest.approx(expected, rel=1e-5)]


def test_weights_that_were_never_validated_are_validated():
    model = model_of(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    reporter = EpochReporter(lambda epoch, metrics, epochs: False, ())
    given = {"validation_data": (X, Y), "validation_batch_size": 4}
    with without_graphs():
        result = model.fit(X, Y, epochs=2, verbose=0, callbacks=[reporter], **given)
        before = result.history["val_mae"][-1]
        assert reporter.epochs_since_kept is None
        kept = result_of_kept_weights(result, reporter.history, None, lambda: validated_again(model, given))
        expected = model.evaluate(X, Y, batch_size=4, verbose=0, return_dict=True)
    assert {"loss", "mae"} == expected.keys()
    for name, value in expected.items():
        assert kept.history[f"val_{name}"][-1] == pytest.approx(value)
    assert kept.history["val_mae"][-1] != pytest.approx(before)
    assert len(kept.history["val_mae"]) == 2


@pytest.mark.parametrize("form", ["array", "weighted", "dataset"])
def test_validation_data_of_every_form_that_can_be_read_twice(form: str):
    import tensorflow as tf

    model, weights = model_of(), np.linspace(0, 1, 10).astype("float32")
    data: Any = {"array": (X, Y), "weighted": (X, Y, weights)}.get(form)
    if data is None:
        data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    with without_graphs():
        expected = model.evaluate(X, Y, sample_weight=weights if form == "weighted" else None, verbose=0)[0]
        assert validated_again(model, {"validation_data": data})["val_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("given", "samples"),
    [
        ({"x": X, "y": Y, "validation_split": 0.3}, slice(7, None)),
        ({"validation_data": (X, Y), "validation_batch_size": 4, "validation_steps": 1}, slice(4)),
        ({"validation_data": (X, Y), "batch_size": 3, "validation_steps": 2}, slice(6)),
    ],
)
def test_the_samples_are_those_that_fit_validates(given: dict[str, Any], samples: slice):
    model = model_of()
    with without_graphs():
        expected = model.evaluate(X[samples], Y[samples], verbose=0)[0]
        assert validated_again(model, given)["val_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("given", [{}, {"validation_data": None}, {"validation_data": iter([(X, Y)])}])
def test_nothing_is_said_without_data_that_can_be_read_again(given: dict[str, Any]):
    assert validated_again(model_of(), given) == {}
    assert validated_again(None, {"validation_data": (X, Y)}) == {}


def test_a_score_of_other_weights_is_told(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        result = result_of_kept_weights(history_of(val_loss=[2.0, 1.0]), [], None, dict)
    assert result.history == {"val_loss": [2.0, 1.0]}
    assert "could not be validated: its score is of earlier ones" in caplog.text


@pytest.mark.parametrize("result", [0.7, {"val_loss": 0.7}])
def test_what_the_own_code_of_a_user_returns_stands(result: Any):
    assert result_of_kept_weights(result, [], 1, pytest.fail) is result


def test_a_history_that_is_shorter_stands():
    history = history_of(loss=[3.0, 2.0], val_loss=[1.0])  # of the last of several trainings
    assert result_of_kept_weights(history, [], 2, pytest.fail) is history
    assert result_of_kept_weights(history, [], 1, pytest.fail).history == {"loss": [3.0], "val_loss": [1.0]}
