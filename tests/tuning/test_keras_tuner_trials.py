"""Trials of a study as trials of KerasTuner, and the best of both."""

import math
from typing import Any

import keras_tuner
import optuna
import pytest
from keras_tuner.engine.trial import Trial
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from kerastuna.search.study.attributes import METRICS
from kerastuna.search.study.goal import BestMetric, ParetoFront, Quantity
from kerastuna.search.tuning.keras_tuner_trials import best_trials, keras_tuner_trial, trial_id_of

SCORE = keras_tuner.Objective("score", "max")
METRIC = Quantity("score", "max")


def space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 1, 9)
    return hp


def study_of(*scores: float | None) -> optuna.Study:
    """A complete trial for each score, one stopped early at 0.99 for None."""
    study = optuna.create_study(direction="maximize")
    for width, score in enumerate(scores, start=1):
        study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.PRUNED if score is None else TrialState.COMPLETE,
                value=score,
                params={"width": width},
                distributions={"width": IntDistribution(1, 9)},
                intermediate_values={1: 0.1, 2: 0.99 if score is None else score},
                user_attrs={"reason": "stopped_early"} if score is None else {},
            )
        )
    return study


def twins(study: optuna.Study) -> dict[str, Trial]:
    return {trial_id_of(trial.number): keras_tuner_trial(trial, space(), SCORE) for trial in study.trials}


def test_an_infinite_score_is_read_back() -> None:
    twin = twins(study_of(math.inf))["0000"]
    assert twin.score == math.inf


def test_ids_are_numbers_of_four_digits() -> None:
    assert [trial_id_of(7), trial_id_of(12345)] == ["0007", "12345"]


def test_a_twin_has_values_score_and_last_epoch() -> None:
    twin = twins(study_of(0.5))["0000"]
    assert (twin.trial_id, twin.status, twin.score, twin.best_step) == ("0000", "COMPLETED", 0.5, 1)
    assert twin.hyperparameters.get("width") == 1
    assert twin.metrics.get_best_value("score") == 0.5


def twin_of(**attributes: Any) -> Trial:
    """Of a complete trial with these attributes, tried again after a first try of nine epochs."""
    own = {epoch: told["score"] for epoch, told in enumerate(attributes.get("history", ()), start=1)}
    reported = dict.fromkeys(range(1, 10), 0.1) | own
    trial = optuna.trial.create_trial(value=0.7, intermediate_values=reported, user_attrs={"score": 0.7, **attributes})
    return keras_tuner_trial(trial, space(), SCORE)


def observed(twin: Trial) -> dict[str, list[tuple[int, float]]]:
    return {
        name: [(seen.step, seen.mean()) for seen in twin.metrics.get_history(name)] for name in twin.metrics.metrics
    }


def test_a_twin_has_the_metrics_that_the_trial_ended_with() -> None:
    ended = Trial(space(), "0000", "COMPLETED")
    ended.metrics.register("score", direction="max")
    for name, value in (("score", 0.7), ("val_loss", 0.3)):
        ended.metrics.update(name, value, step=2)
    twin = twin_of(**{METRICS: ended.metrics.get_config()["metrics"], "history": [{"score": 0.7}] * 4})
    assert (twin.score, twin.best_step) == (0.7, 2)
    assert twin.metrics.get_config() == ended.metrics.get_config()


def test_a_metric_that_was_not_finite_is_nan() -> None:
    stored = {
        name: {"direction": "min", "observations": [{"value": [value], "step": 1}]}
        for name, value in (("score", 0.7), ("loss", None))
    }
    twin = twin_of(**{METRICS: stored})
    assert math.isnan(twin.metrics.get_last_value("loss"))
    assert (twin.score, twin.best_step) == (0.7, 1)


def test_a_twin_of_a_study_that_keeps_the_history_alone_has_the_metrics_of_the_epoch_of_its_score() -> None:
    history = [
        {"score": score, "loss": 1 - score, "seconds": 9.0, "learning_rate": 0.1} for score in (0.2, 0.7, 0.7, 0.4)
    ]
    twin = twin_of(history=history)
    assert (twin.score, twin.best_step) == (0.7, 2)
    assert observed(twin) == {"loss": [(2, pytest.approx(0.3))], "score": [(2, 0.7)]}
    assert twin.metrics.get_direction("score") == "max"
    unlike_any = twin_of(history=history, score=0.5)  # the mean of several executions
    assert (unlike_any.best_step, observed(unlike_any)["score"]) == (3, [(3, 0.5)])


def test_the_best_come_first_and_those_stopped_early_never() -> None:
    study = study_of(0.5, None, 0.7)
    best = best_trials(BestMetric(METRIC), study.trials, twins(study), ())
    assert [trial.trial_id for trial in best] == ["0002", "0000"]


def test_trials_made_by_hand_and_ending_ones_have_a_place() -> None:
    study = study_of(0.5)
    running = study.ask()
    known: dict[str, Any] = twins(study_of(0.5))
    for trial_id, score in (("by hand", 0.6), (trial_id_of(running.number), 0.9)):
        known[trial_id] = Trial(space(), trial_id, "COMPLETED")
        known[trial_id].score = score
    goal = BestMetric(METRIC)
    assert [t.trial_id for t in best_trials(goal, study.trials, known, ())] == ["by hand", "0000"]
    assert [t.trial_id for t in best_trials(goal, study.trials, known, ["0001"])] == ["0001", "by hand", "0000"]


def test_a_front_is_the_studys_alone() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for score, params in ((0.9, 900.0), (0.5, 100.0), (0.4, 200.0)):
        study.add_trial(optuna.trial.create_trial(values=[score, params], user_attrs={"score": score}))
    known: dict[str, Any] = {}
    for trial in study.trials:
        known[trial_id_of(trial.number)] = Trial(space(), trial_id_of(trial.number), "COMPLETED")
    best = best_trials(ParetoFront(METRIC, (METRIC, Quantity("params", "min"))), study.trials, known, ())
    assert [trial.trial_id for trial in best] == ["0000", "0001"]
