"""A trial that is interrupted goes on from its last epoch, and its checkpoint is removed when it has come to an end."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from keras import layers

from kerastuna.search import OptunaTuner
from kerastuna.search.study.attributes import CONTINUED_AFTER, HISTORY, REASON
from kerastuna.search.study.events import SearchObserver
from kerastuna.search.study.names import CHECKPOINT_FOLDER
from kerastuna.search.training import resuming
from kerastuna.search.training.epochs import EpochReporter

EPOCHS = 5
X, Y = np.random.default_rng(0).random((40, 4), "float32"), np.arange(40) % 2


def build(hp: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(hp.Int("units", 2, 9)), layers.Dropout(0.3)])
    model.add(layers.Dense(2, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


class Watching(SearchObserver):
    """Notes the epochs that it is told of, and interrupts the search after one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.last, self.told = last, list[tuple[int, int]]()

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        self.told.append((number, epoch))
        if epoch == self.last:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "SECONDS_BETWEEN", 0.0)


def searched(
    folder: Path, *observers: SearchObserver, kind: Any = OptunaTuner, space: Any = build, **given: Any
) -> Any:
    """A tuner after a search of one trial, which may have been interrupted."""
    made: dict[str, Any] = {"seed": 0, "pruner": "none", "directory": folder, "project_name": "p", "max_trials": 1}
    made |= {name: given.pop(name) for name in ("executions_per_trial", "pruner", "max_trials") if name in given}
    tuner = kind(space, keras_tuner.Objective("val_accuracy", "max"), observers=observers, **made)
    with suppress(KeyboardInterrupt):
        tuner.search(X, Y, **{"validation_data": (X, Y), "verbose": 0, "epochs": EPOCHS} | given)
    return tuner


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "p" / CHECKPOINT_FOLDER).glob("*"))


def course(trial: optuna.trial.FrozenTrial) -> list[Any]:
    times = ("seconds", "compile_seconds")
    epochs = [
        {name: value for name, value in epoch.items() if name not in times} for epoch in trial.user_attrs[HISTORY]
    ]
    return [epochs, trial.intermediate_values, trial.value]


def test_a_trial_goes_on_and_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = searched(tmp_path / "a")
    searched(tmp_path / "b", Watching(3))
    assert checkpoints(tmp_path / "b") == ["0000.npz"]
    again = Watching()
    tuner = searched(tmp_path / "b", again)
    first, second = tuner.oracle.study.trials
    assert (first.state.name, first.user_attrs[REASON]) == ("FAIL", "interrupted")
    assert second.user_attrs[CONTINUED_AFTER] == 2  # the third was reported, and not yet kept
    assert again.told == [(1, epoch) for epoch in range(1, EPOCHS + 1)]
    assert course(second) == course(undisturbed.oracle.study.trials[0])
    assert CONTINUED_AFTER not in undisturbed.oracle.study.trials[0].user_attrs
    for weights, known in zip(tuner.load_trial(1).get_weights(), undisturbed.load_trial(0).get_weights(), strict=True):
        np.testing.assert_array_equal(weights, known)
    assert tuner.oracle.trials["0001"].best_step == undisturbed.oracle.trials["0000"].best_step == EPOCHS - 1
    assert checkpoints(tmp_path / "a") == checkpoints(tmp_path / "b") == []


def test_a_trial_that_is_interrupted_again_shares_the_checkpoint(tmp_path: Path) -> None:
    searched(tmp_path, Watching(3))
    searched(tmp_path, Watching(4))
    assert checkpoints(tmp_path) == ["0000.npz"]
    last = searched(tmp_path).oracle.study.trials[2]
    assert last.user_attrs[CONTINUED_AFTER] == 3
    assert checkpoints(tmp_path) == []


def test_a_trial_that_ran_out_of_time_loses_no_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(OptunaTuner):
        def _reporter(self, *given: Any) -> EpochReporter:
            reporter = super()._reporter(*given)
            begin = reporter.on_epoch_begin

            def on_epoch_begin(epoch: int, logs: Any = None) -> None:
                begin(epoch, logs)
                reporter._deadline = self.oracle.deadline = 0.0  # it passes within the first epoch

            reporter.on_epoch_begin = on_epoch_begin
            return reporter

    monkeypatch.setattr(resuming, "SECONDS_BETWEEN", 1000.0)
    assert searched(tmp_path, kind=Late).oracle.study.trials[0].user_attrs[REASON] == "timeout"
    trial = searched(tmp_path).oracle.study.trials[1]
    assert trial.user_attrs[CONTINUED_AFTER] == 1
    assert checkpoints(tmp_path) == []


def test_a_quick_trial_has_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "SECONDS_BETWEEN", 1000.0)
    searched(tmp_path, Watching(3))
    assert not (tmp_path / "p" / CHECKPOINT_FOLDER).exists()
    assert CONTINUED_AFTER not in searched(tmp_path).oracle.study.trials[1].user_attrs


def test_the_pruner_knows_all_epochs(tmp_path: Path) -> None:
    searched(tmp_path, Watching(3))
    stop = optuna.pruners.ThresholdPruner(lower=2.0, n_warmup_steps=4)
    trial = searched(tmp_path, pruner=stop).oracle.study.trials[1]
    assert (trial.state.name, list(trial.intermediate_values)) == ("PRUNED", [1, 2, 3, 4])
    assert checkpoints(tmp_path) == []


class OwnFit(keras_tuner.HyperModel):
    def build(self, hp: Any) -> keras.Model:
        return build(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, **kwargs)


class Listening(OptunaTuner):
    def on_epoch_end(self, *given: Any, **others: Any) -> None:
        pass


@pytest.mark.parametrize(
    "given",
    [
        {"callbacks": [keras.callbacks.EarlyStopping("loss", patience=9)]},
        {"executions_per_trial": 2},
        {"space": OwnFit()},
        {"kind": Listening},
        {"class_weight": {0: 1.0, 1: 2.0}},
    ],
)
def test_what_may_have_a_state_of_its_own_begins_anew(tmp_path: Path, given: dict[str, Any]) -> None:
    searched(tmp_path, Watching(3), **given)
    assert checkpoints(tmp_path) == []
    trial = searched(tmp_path, **given).oracle.study.trials[1]
    assert trial.state.name == "COMPLETE"
    assert CONTINUED_AFTER not in trial.user_attrs


def test_what_is_left_of_trials_that_ended_is_removed_at_the_next_start(tmp_path: Path) -> None:
    searched(tmp_path, Watching(3))
    kept = tmp_path / "p" / CHECKPOINT_FOLDER
    left: Sequence[str] = ("0000.npz.1.partial", "0007.npz", "0007.npz.1.partial")
    for name in left:
        (kept / name).touch()
    searched(tmp_path, Watching(1))
    assert checkpoints(tmp_path) == ["0000.npz", "0000.npz.1.partial"]
    searched(tmp_path)
    assert checkpoints(tmp_path) == []


def test_a_checkpoint_of_another_network_is_told_of_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def deeper(hp: Any) -> keras.Model:
        model = keras.Sequential([build(hp), layers.Dense(2, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
        return model

    searched(tmp_path, Watching(3))
    trial = searched(tmp_path, space=deeper).oracle.study.trials[1]
    assert CONTINUED_AFTER not in trial.user_attrs
    assert len(trial.user_attrs[HISTORY]) == EPOCHS
    assert "0000.npz is not used (it is of another network): its training begins anew" in caplog.text
