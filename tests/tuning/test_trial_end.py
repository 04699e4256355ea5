"""How a trial of KerasTuner ends in the study."""

import math
from typing import Any

import keras_tuner
import optuna
import pytest
from keras_tuner.engine.trial import Trial
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from kerastuna.search.proposals.claims import Claim
from kerastuna.search.study.attributes import METRICS
from kerastuna.search.study.budget import Size
from kerastuna.search.study.events import Announcer
from kerastuna.search.study.goal import BestMetric, ParetoFront, Quantity, SmallestNetwork
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.tuning.trial_end import end_in_study, fail_where_unknown

METRIC = Quantity("score", "max")
FRONT = ParetoFront(METRIC, (METRIC, Quantity("loss", "min"), Quantity("params", "min")))


def stored_study(*directions: str) -> StoredStudy:
    storage = InMemoryStorage()
    return StoredStudy(optuna.create_study(storage=storage, directions=list(directions)), storage)  # type: ignore[arg-type]


def space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 1, 9)
    return hp


def trial(score: float | None, status: str = "COMPLETED", **metrics: float) -> Trial:
    hp = space()
    hp.values = {"width": 3, "not tuned": 1}
    found: Any = Trial(hp, "0000", status)
    found.score, found.message = score, "it broke"
    for name, value in metrics.items():
        found.metrics.register(name, direction="min")
        found.metrics.update(name, value, step=0)
    return found


def claim_in(stored: StoredStudy, params: int | None = None) -> Claim:
    return Claim.enter(stored, Announcer(), {"width": 3}, None if params is None else Size(params))


def test_a_complete_trial_has_a_value_for_each_direction_and_the_tuned_values_alone() -> None:
    stored = stored_study("maximize", "minimize", "minimize")
    end_in_study(claim_in(stored, params=300), trial(0.9, loss=0.2), FRONT, space().space)
    ended = stored.trial(0)
    assert (ended.state, ended.values) == (TrialState.COMPLETE, [0.9, 0.2, 300.0])
    assert ended.user_attrs["hyperparameters"] == {"width": 3}


def test_the_metrics_of_a_trained_trial_are_kept_as_json_can_hold_them() -> None:
    stored = stored_study("maximize")
    end_in_study(claim_in(stored), trial(0.9, auc=0.9, loss=math.inf), BestMetric(METRIC), space().space)
    end_in_study(claim_in(stored), trial(None, "FAILED", loss=0.1), BestMetric(METRIC), space().space)
    assert stored.trial(0).user_attrs[METRICS] == {
        "auc": {"direction": "min", "observations": [{"value": [0.9], "step": 0}]},
        "loss": {"direction": "min", "observations": [{"value": [None], "step": 0}]},
    }
    assert METRICS not in stored.trial(1).user_attrs


def test_a_trial_that_the_pruner_stopped_and_a_failed_one() -> None:
    stored = stored_study("minimize")
    goal = SmallestNetwork(METRIC, "params", 0.95)
    stopped = claim_in(stored, params=300)
    stopped.reason = "stopped_early"
    end_in_study(stopped, trial(0.9), goal, space().space)
    end_in_study(claim_in(stored), trial(None, "FAILED"), goal, space().space)
    end_in_study(claim_in(stored), trial(float("inf"), "INVALID"), goal, space().space)
    assert [(t.state.name, t.user_attrs["reason"]) for t in stored.trials()] == [
        ("PRUNED", "stopped_early"),
        ("FAIL", "error"),
        ("FAIL", "not_finite"),
    ]
    assert stored.trial(0).constraints == {"score": pytest.approx(0.05)}
    assert stored.trial(1).user_attrs["message"] == "it broke"


def test_a_trial_that_another_process_took_for_dead_is_left_as_it_is() -> None:
    stored = stored_study("maximize")
    claim = claim_in(stored)
    stored.set_state(0, TrialState.FAIL)
    with pytest.warns(UserWarning, match="trial 0 was taken for dead by another process"):
        end_in_study(claim, trial(0.9), BestMetric(METRIC), space().space)
    assert stored.trial(0).state == TrialState.FAIL


def test_a_trial_without_what_the_study_optimises_fails() -> None:
    stored = stored_study("maximize", "minimize", "minimize")
    whole, without_loss = trial(0.9, loss=0.2), trial(0.9)
    fail_where_unknown(whole, whole, FRONT, claim_in(stored, params=300))
    assert whole.status == "COMPLETED"
    fail_where_unknown(whole, without_loss, FRONT, claim_in(stored, params=300))
    assert (whole.status, whole.message) == ("FAILED", "loss, which the study optimises, is not known of this trial")
    uncounted = trial(0.9, loss=0.2)
    fail_where_unknown(uncounted, uncounted, FRONT, claim_in(stored))
    assert uncounted.message == "params, which the study optimises, is not known of this trial"
