"""The confirmation: which candidate wins, what is not trained twice, and the ledger of the test set."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution

from kerastuna.search.champion import retraining as module
from kerastuna.search.champion.confirmation import (
    CONFIRMATIONS,
    Candidate,
    chosen,
    confirm_candidates,
    confirmed_seeds,
    diverged,
    fresh_seeds,
)
from kerastuna.search.champion.retraining import ConfirmationObserver, Retraining
from kerastuna.search.champion.trainings import Training
from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.errors import SearchFailed, SpaceError
from kerastuna.search.study.goal import Quantity, SmallestNetwork
from kerastuna.search.training import resuming


class Perceptron(keras_tuner.HyperModel):
    def build(self, hp):
        units = hp.Int("units", 2, 32)
        model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(units, activation="relu"))
        model.add(keras.layers.Dense(10, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


class Listener(ConfirmationObserver):
    def __init__(self):
        self.trainings: list[tuple[int, int, str]] = []
        self.epochs = 0
        self.values: list[float | None] = []

    def training_started(self, trial, seed, summary, purpose):
        self.trainings.append((trial, seed, purpose))

    def epoch_ended(self, trial, seed, epoch, metrics):
        self.epochs += 1

    def training_ended(self, trial, seed, value):
        self.values.append(value)


@pytest.fixture
def study() -> optuna.Study:
    """Three complete trials, the best of which is number 1, and one that was stopped early at a better value."""
    study = optuna.create_study(direction="maximize", study_name="digits")
    for units, value in ((8, 0.7), (16, 0.9), (4, 0.8)):
        study.add_trial(_trial(units, value))
    study.add_trial(_trial(30, None, optuna.trial.TrialState.PRUNED, {1: 0.99}))
    return study


def _trial(units, value, state=optuna.trial.TrialState.COMPLETE, intermediate_values=None):
    return optuna.trial.create_trial(
        state=state,
        value=value,
        params={"units": units},
        distributions={"units": IntDistribution(2, 32)},
        intermediate_values=intermediate_values or {},
        user_attrs={
            "hyperparameters": {"units": units},
            "params": 785 * units + 10 * units + 10,
            "summary": str(units),
        },
    )


@pytest.fixture(scope="module")
def dataset(mnist_slice: Path):
    return load_dataset(str(mnist_slice), images=200)


@pytest.fixture
def space() -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    space.Int("units", 2, 32)
    return space


def retraining(
    dataset: Dataset, space: keras_tuner.HyperParameters, listener: Listener | None = None, hypermodel: Any = None
) -> Retraining:
    return Retraining(hypermodel or Perceptron(), space, dataset, "val_accuracy", 1, listener or Listener())


def _confirm(study, dataset, space, seeds, top=2, listener=None) -> list[Candidate]:
    return confirm_candidates(study, retraining(dataset, space, listener), top, seeds)


def test_a_trial_of_another_program_is_not_confirmed_where_there_is_a_budget(study):
    study.add_trial(optuna.trial.create_trial(value=0.99))
    study.add_trial(_trial(9, 0.98))
    assert [trial.number for trial in chosen(study, 3)] == [4, 5, 1]
    study.set_user_attr("identity", {"objective": ["val_accuracy", "max"], "budget": 785 * 9 + 10 * 9 + 9})
    assert [trial.number for trial in chosen(study, 3)] == [2, 0]


def test_the_best_complete_trials_are_trained_on_the_same_fresh_seeds(study, dataset, space):
    listener, seeds = Listener(), fresh_seeds(0, 2)
    candidates = _confirm(study, dataset, space, seeds, listener=listener)
    assert listener.trainings == [(trial, seed, "confirm") for trial in (1, 2) for seed in seeds]
    assert listener.epochs == 4
    assert {candidate.trial for candidate in candidates} == {1, 2}
    assert candidates[0].mean >= candidates[1].mean
    for candidate in candidates:
        assert len(set(candidate.values)) == 2  # other seeds, other networks
        assert candidate.histories[0][0]["val_accuracy"] == candidate.values[0]
        assert candidate.mean == pytest.approx(np.mean(candidate.values))
        assert candidate.std == pytest.approx(np.std(candidate.values, ddof=1))


def test_what_was_trained_is_not_trained_again(study, dataset, space):
    seeds = fresh_seeds(0, 2)
    before = _confirm(study, dataset, space, seeds[:1])
    listener = Listener()
    after = _confirm(study, dataset, space, seeds, listener=listener)
    assert [seed for _, seed, _ in listener.trainings] == [seeds[1], seeds[1]]
    assert {c.trial: c.values[0] for c in after} == {c.trial: c.values[0] for c in before}
    assert [trial.number for trial in chosen(study, 2)] == [1, 2]
    assert [confirmed_seeds(study, trial) for trial in chosen(study, 9)] == [set(seeds), set(seeds), set()]


def test_a_network_that_is_another_one_by_now_is_not_confirmed(study, dataset, space):
    class Wider(Perceptron):
        def build(self, hp: Any) -> Any:
            wider = hp.copy()
            wider.values["units"] += 1
            return super().build(wider)

    listener = Listener()
    changed = retraining(dataset, space, listener, Wider())
    told = r"trial 1 had [\d,]+ parameters in the search, and its hyperparameters give [\d,]+ now: "
    with pytest.raises(SpaceError, match=told):
        confirm_candidates(study, changed, 1, fresh_seeds(0, 1))
    with pytest.raises(SpaceError, match=told):
        changed.on_all_images(study.trials[1], 3)
    assert listener.epochs == 0


class Interrupting(Listener):
    """Interrupts the confirmation after `last` epochs."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def epoch_ended(self, trial, seed, epoch, metrics):
        super().epoch_ended(trial, seed, epoch, metrics)
        if self.epochs == self.last:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_and_its_checkpoint_is_removed(study, dataset, space, tmp_path, monkeypatch):
    def confirm(listener: Listener, folder: Path | None) -> list[Any]:
        how = replace(retraining(dataset, space, listener), epochs=4, checkpoints=folder)
        candidates = confirm_candidates(study, how, 1, [5])
        return [[value for name, value in epoch.items() if name != "seconds"] for epoch in candidates[0].histories[0]]

    monkeypatch.setattr(resuming, "SECONDS_BETWEEN", 0.0)
    undisturbed = confirm(Listener(), None)
    study.set_user_attr(CONFIRMATIONS, {})
    with pytest.raises(KeyboardInterrupt):
        confirm(Interrupting(3), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["confirm_1_5.npz"]
    with np.load(tmp_path / "confirm_1_5.npz") as kept:
        known = json.loads(kept["about"].tobytes())["history"]
    assert len(known) == 2  # the third was told, and not yet kept
    listener = Listener()
    assert confirm(listener, tmp_path) == undisturbed
    seconds = [epoch["seconds"] for epoch in study.user_attrs[CONFIRMATIONS]["1"]["5"]["history"]]
    assert seconds[:2] == [epoch["seconds"] for epoch in known]  # these were not trained again
    assert listener.epochs == 4
    assert list(tmp_path.iterdir()) == []


def test_a_trained_final_model_is_kept_and_a_training_that_fails_is_not(study, dataset, space, tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, "SECONDS_BETWEEN", 0.0)
    winner = chosen(study, 1)[0]
    how = replace(retraining(dataset, space), epochs=2, checkpoints=tmp_path)
    first, again = (Training(winner, 5, is_final=True).run(how)[0] for _ in range(2))
    assert [path.name for path in tmp_path.iterdir()] == ["final_1_5.npz"]
    for weights, known in zip(again.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, known)
    listener = Interrupting(1)
    listener.epoch_ended = lambda trial, seed, epoch, metrics: 1 / (2 - epoch)
    with pytest.raises(SearchFailed, match="division by zero"):
        Training(winner, 6, is_final=True).run(replace(how, observer=listener))
    assert [path.name for path in tmp_path.iterdir()] == ["final_1_5.npz"]


def _known(study, values: dict[int, list[float]], seeds) -> None:
    study.set_user_attr(
        CONFIRMATIONS,
        {
            str(trial): {str(seed): {"value": value, "history": []} for seed, value in zip(seeds, known, strict=True)}
            for trial, known in values.items()
        },
    )


def test_the_mean_wins_not_the_search_nor_the_luckiest_seed(study, dataset, space):
    _known(study, {1: [0.99, 0.5], 2: [0.8, 0.8]}, [11, 12])
    listener = Listener()
    winner = _confirm(study, dataset, space, [11, 12], listener=listener)[0]
    assert (winner.trial, winner.search_value, listener.trainings) == (2, 0.8, [])


def test_of_equal_means_the_smaller_network_wins(study, dataset, space):
    _known(study, {0: [0.9], 1: [0.9], 2: [0.9]}, [11])
    assert [candidate.trial for candidate in _confirm(study, dataset, space, [11], top=3)] == [2, 0, 1]


def test_with_a_target_the_smallest_network_that_is_confirmed_to_reach_it_wins(dataset, space):
    goal = SmallestNetwork(Quantity("val_accuracy", "max"), "params", 0.8)
    study = optuna.create_study(direction="minimize", study_name="smallest")
    study.set_user_attr("identity", {"objective": ["val_accuracy", "max"], "goal": goal.description()})
    for units, score in ((4, 0.81), (8, 0.82), (16, 0.99), (2, 0.7)):
        trial = _trial(units, 795.0 * units + 10)
        trial.user_attrs["score"] = score
        study.add_trial(trial)
    _known(study, {0: [0.79, 0.8], 1: [0.79, 0.82], 2: [0.99, 0.99], 3: [0.9, 0.9]}, [11, 12])
    candidates = _confirm(study, dataset, space, [11, 12], top=4)
    assert [candidate.trial for candidate in candidates] == [1, 2, 0]  # number 3 fell short in the search
    assert [candidate.search_value for candidate in candidates] == [0.82, 0.99, 0.81]


def test_without_a_complete_trial_there_is_nothing_to_confirm(dataset, space):
    empty = optuna.create_study(study_name="empty")
    with pytest.raises(SearchFailed, match="'empty' has no trial to confirm: none is complete"):
        _confirm(empty, dataset, space, [1])


def test_fresh_seeds_are_fixed_by_the_study_and_differ():
    assert fresh_seeds(3, 5) == fresh_seeds(3, 5)
    assert len({*fresh_seeds(3, 5), *fresh_seeds(4, 5)}) == 10
    assert fresh_seeds(3, 2) == fresh_seeds(3, 5)[:2]


def test_the_final_models_see_training_and_validation_images(study, dataset, space):
    listener = Listener()
    model: Any = retraining(dataset, space, listener).on_all_images(study.trials[1], 7)[0]
    assert listener.trainings == [(1, 7, "final")]
    steps = -(-(len(dataset.x_train) + len(dataset.x_validation)) // 32)
    assert int(model.optimizer.iterations) == steps


def test_an_objective_in_int8_is_confirmed_in_int8(study, dataset, space, monkeypatch):
    def figure(model: Any, data: Dataset, metric: str) -> dict[str, Any]:
        assert (int(model.optimizer.iterations), data, metric) == (7, dataset, "accuracy")
        return figures.pop()

    figures: list[dict[str, Any]] = [{"missing": "no converter"}, {"metric": "accuracy", "value": 0.25, "float": 0.5}]
    monkeypatch.setattr(module, "validation_figure", figure)
    in_int8 = replace(retraining(dataset, space), objective="val_accuracy_int8")
    (candidate,) = confirm_candidates(study, in_int8, 1, [7])
    assert candidate.values == (0.25,)
    assert candidate.histories[0][-1]["val_accuracy_int8"] == 0.25 != candidate.histories[0][-1]["val_accuracy"]
    assert candidate.int8 == ({"metric": "accuracy", "value": 0.25, "float": 0.5},)
    with pytest.raises(SearchFailed, match="trial 1 cannot be confirmed: val_accuracy_int8 is not known, no converter"):
        confirm_candidates(study, in_int8, 1, [8])


class Fitting(Perceptron):
    """Trains as `how` does."""

    def __init__(self, how: Any) -> None:
        super().__init__()
        self.how = how

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return self.how(model, *args, **kwargs)


def test_a_fit_that_calls_no_callbacks_is_confirmed_by_what_it_returns(study, dataset, space):
    training = retraining(dataset, space, hypermodel=Fitting(lambda model, *args, **kwargs: 0.25))
    candidates = confirm_candidates(study, training, 1, [7])
    assert (candidates[0].values, candidates[0].histories) == ((0.25,), (({"val_accuracy": 0.25},),))


def test_a_fit_of_its_own_has_validation_images_at_the_end_too(study, dataset, space):
    def fit(model: Any, x: Any, y: Any, validation_data: Any, **kwargs: Any) -> float:
        given.append((len(x), len(validation_data[0])))
        return 0.25

    given: list[tuple[int, int]] = []
    _, measured = retraining(dataset, space, hypermodel=Fitting(fit)).on_all_images(study.trials[1], 7)
    assert measured == 0.25
    train, validation = len(dataset.x_train), len(dataset.x_validation)
    assert given == [(train + validation, validation)]


def test_a_function_that_builds_models_is_confirmed(study, dataset, space):
    training = retraining(dataset, space, hypermodel=Perceptron().build)
    assert len(confirm_candidates(study, training, 1, [7])) == 1
    model, measured = training.on_all_images(study.trials[1], 7)
    assert (model.built, measured) == (True, None)


def test_an_error_in_a_users_code_is_one_line(study, dataset, space):
    def broken(model: Any, *args: Any, **kwargs: Any) -> Any:
        raise ArithmeticError("no such\nnumber")

    training = retraining(dataset, space, hypermodel=Fitting(broken))
    told = "trial 1 cannot be trained again with seed 7: ArithmeticError: no such number$"
    for work in (training.on_training_images, training.on_all_images):
        with pytest.raises(SearchFailed, match=told) as caught:
            work(study.trials[1], 7)
        assert isinstance(caught.value.__cause__, ArithmeticError)


def test_an_interruption_is_no_error_of_the_users_code(study, dataset, space):
    def interrupted(model: Any, *args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retraining(dataset, space, hypermodel=Fitting(interrupted)).on_all_images(study.trials[1], 7)


def test_a_history_without_the_objective_is_told(study, dataset, space):
    def without(model: Any, x: Any, y: Any, validation_data: Any, **kwargs: Any) -> Any:
        return model.fit(x, y, **kwargs)

    with pytest.raises(SearchFailed, match="trial 1 cannot be confirmed: no metric is called 'val_accuracy'"):
        retraining(dataset, space, hypermodel=Fitting(without)).on_training_images(study.trials[1], 7)


def test_a_loss_that_is_not_finite_names_the_trial(study, dataset, space):
    def diverging(model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> float:
        callbacks[0].on_epoch_end(0, {"loss": float("nan")})
        return 0.5

    with pytest.raises(SearchFailed, match="trial 1 with seed 7: the network could not be trained: loss is nan"):
        retraining(dataset, space, hypermodel=Fitting(diverging)).on_all_images(study.trials[1], 7)


def test_a_candidate_that_diverges_is_left_out_and_is_not_trained_again(study, dataset, space):
    def fit(model: Any, x: Any, y: Any, callbacks: Any, **kwargs: Any) -> Any:
        if model.layers[1].units == 16:
            callbacks[0].on_epoch_end(0, {"loss": float("nan")})
            return 0.5
        return model.fit(x, y, callbacks=callbacks, **kwargs)

    listener = Listener()
    training = retraining(dataset, space, listener, Fitting(fit))
    for _ in range(2):
        assert [candidate.trial for candidate in confirm_candidates(study, training, 2, [7, 8])] == [2]
    assert len(listener.trainings) == 4
    assert [value is not None and math.isnan(value) for value in listener.values] == [True, True, False, False]
    told = "trial 1 with seed 8: the network could not be trained: loss is nan after epoch 1"
    assert diverged(study, study.trials, [7, 8]) == {1: told}
    assert diverged(study, study.trials, [9]) == {}
    with pytest.raises(SearchFailed, match=rf"'digits' has no trial that can be confirmed \({told}\): confirm more"):
        confirm_candidates(study, training, 1, [7, 8])


def test_a_score_that_is_not_finite_is_a_problem_too(study, dataset, space):
    def without_score(model: Any, *args: Any, **kwargs: Any) -> float:
        model.fit(*args, **kwargs)
        return float("nan")

    confirmed = retraining(dataset, space, hypermodel=Fitting(without_score)).on_training_images(study.trials[1], 7)
    assert confirmed.problem == "trial 1 with seed 7: val_accuracy is nan"
