"""Trials as plain values: the contract of `trials --json` and of the counts of `search --json`."""

import json
import math
from typing import Any

import optuna
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search.study.records import counts, finite, finite_metrics, full_record, trial_record, trial_records


def trials_of(*made: dict[str, Any]) -> list[FrozenTrial]:
    """Trials as they come back from a storage."""
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), direction="maximize")
    for arguments in made:
        study.add_trial(optuna.create_trial(**arguments))
    return study.trials


COMPLETE: dict[str, Any] = {
    "state": TrialState.COMPLETE,
    "value": 0.9,
    "params": {"n [a in [1]]": 3},
    "distributions": {"n [a in [1]]": IntDistribution(0, 9)},
    "intermediate_values": {1: 0.5, 2: 0.9},
    "user_attrs": {
        "hyperparameters": {"n": 16, "fixed": "f"},
        "params": 1234,
        "macs": 99,
        "ram": 77,
        "summary": "16 | gap",
        "history": [{"val_accuracy": 0.5}, {"val_accuracy": 0.9}],
        "seconds": 1.5,
        "seed": 7,
        "name": "eip_1",
    },
}
STOPPED: dict[str, Any] = {
    "state": TrialState.PRUNED,
    "value": 0.4,
    "intermediate_values": {1: 0.3, 2: 0.4},
    "user_attrs": {"reason": "stopped_early", "params": 50},
}
OVER_BUDGET: dict[str, Any] = {
    "state": TrialState.PRUNED,
    "user_attrs": {"reason": "over_budget", "params": 99999, "macs": None, "summary": "s", "hyperparameters": {"n": 1}},
    "constraints": {"params": 84999.0},
}
FAILED: dict[str, Any] = {
    "state": TrialState.FAIL,
    "intermediate_values": {1: math.nan},
    "user_attrs": {"reason": "not_finite", "message": "loss is nan"},
}


def test_a_complete_trial() -> None:
    (trial,) = trials_of(COMPLETE)
    assert trial_record(trial) == {
        "number": 0,
        "state": "COMPLETE",
        "reason": None,
        "value": 0.9,
        "params": 1234,
        "macs": 99,
        "ram": 77,
        "flash": None,
        "activations": None,
        "limits": None,
        "epochs": 2,
        "seconds": 1.5,
        "hyperparameters": {"n": 16, "fixed": "f"},
    }
    assert full_record(trial) == trial_record(trial) | {
        "summary": "16 | gap",
        "history": [{"val_accuracy": 0.5}, {"val_accuracy": 0.9}],
        "message": None,
        "seed": 7,
        "name": "eip_1",
        "continued_after": None,
    }


def test_a_trial_that_was_stopped_has_the_value_of_its_last_epoch() -> None:
    (trial,) = trials_of(STOPPED)
    record = trial_record(trial)
    assert (record["state"], record["reason"], record["value"], record["epochs"]) == ("PRUNED", "stopped_early", 0.4, 2)


def test_a_trial_that_was_tried_again_has_the_value_of_the_last_epoch_since() -> None:
    history = [{"val_accuracy": 0.6, "seconds": 1.0}]
    (trial,) = trials_of({**STOPPED, "intermediate_values": {1: 0.6, 2: 0.4}, "user_attrs": {"history": history}})
    assert (trial_record(trial)["value"], trial_record(trial)["epochs"]) == (0.6, 1)


def test_a_refused_proposal_has_no_value() -> None:
    (trial,) = trials_of(OVER_BUDGET)
    record = trial_record(trial)
    assert (record["reason"], record["params"], record["value"]) == ("over_budget", 99999, None)
    assert (record["epochs"], record["seconds"]) == (0, None)


def test_what_is_not_finite_is_null() -> None:
    records = trial_records(trials_of(FAILED, COMPLETE | {"value": math.inf, "intermediate_values": {}}))
    assert [record["value"] for record in records] == [None, None]
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert (finite(math.nan), finite(-math.inf), finite(None), finite(0.0)) == (None, None, None, 0.0)
    assert finite_metrics({"a": math.nan, "b": 0.5}) == {"a": None, "b": 0.5}


def test_trials_that_wait_and_run_are_records_too() -> None:
    waiting: dict[str, Any] = {"state": TrialState.WAITING, "system_attrs": {"fixed_params": {"n": 1}}}
    running: dict[str, Any] = {"state": TrialState.RUNNING, "intermediate_values": {1: 0.2}}
    records = trial_records(trials_of(waiting, running))
    assert [(record["number"], record["state"], record["value"]) for record in records] == [
        (0, "WAITING", None),
        (1, "RUNNING", 0.2),
    ]


def test_refusals_can_be_left_out() -> None:
    trials = trials_of(COMPLETE, OVER_BUDGET, STOPPED, FAILED)
    assert [record["number"] for record in trial_records(trials)] == [0, 1, 2, 3]
    assert [record["number"] for record in trial_records(trials, trained=True)] == [0, 2, 3]


def test_counts() -> None:
    reasons = ["infeasible", "duplicate", "duplicate"]
    refused = [OVER_BUDGET | {"user_attrs": {"reason": reason}} for reason in reasons]
    trials = trials_of(COMPLETE, COMPLETE, STOPPED, FAILED, OVER_BUDGET, *refused, {"state": TrialState.RUNNING})
    assert counts(trials) == {
        "complete": 2,
        "pruned": 1,
        "failed": 1,
        "over_budget": 1,
        "infeasible": 1,
        "duplicate": 2,
    }
