"""A trial that this process trains, from its claim to its end."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner, NopPruner, ThresholdPruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search.proposals.claims import LONGEST_MESSAGE, Claim
from kerastuna.search.study.budget import Size
from kerastuna.search.study.events import Announcer, SearchObserver
from kerastuna.search.study.heartbeat import Heartbeat
from kerastuna.search.study.liveness import fail_abandoned_trials, this_worker
from kerastuna.search.study.stored_study import StoredStudy


class Listener(SearchObserver):
    """Notes what it hears, and what the study knows at that moment."""

    def __init__(self, stored: StoredStudy) -> None:
        self._stored = stored
        self.heard: list[Any] = []

    def trial_started(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        self.heard.append(("started", record["number"]))
        return {"mlflow_run_id": "run"}

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        self.heard.append(("epoch", epoch, dict(metrics), self._stored.trial(number).intermediate_values))

    def trial_ended(self, record: Mapping[str, Any]) -> None:
        self.heard.append(("ended", record["state"], record["reason"], record["value"]))


@pytest.fixture
def stored() -> StoredStudy:
    storage = InMemoryStorage()
    return StoredStudy(optuna.create_study(storage=storage, direction="maximize", pruner=NopPruner()), storage)


@pytest.fixture
def listener(stored: StoredStudy) -> Listener:
    return Listener(stored)


@pytest.fixture
def claim(stored: StoredStudy, listener: Listener) -> Claim:
    return Claim.enter(stored, Announcer([listener]), {"width": 3}, Size(300, summary="net"))


def test_a_trial_that_is_entered_runs_and_belongs_to_this_process(stored: StoredStudy, claim: Claim) -> None:
    trial = stored.trial(claim.number)
    assert trial.state == TrialState.RUNNING
    assert trial.user_attrs["worker"] == this_worker()
    assert trial.user_attrs["hyperparameters"] == claim.values == {"width": 3}
    assert (trial.user_attrs["params"], trial.user_attrs["summary"]) == (300, "net")
    assert not claim.is_finished


def test_what_observers_return_is_kept_with_the_trial(claim: Claim, listener: Listener) -> None:
    claim.start()
    assert listener.heard == [("started", 0)]
    assert claim.attributes["mlflow_run_id"] == "run"


def test_a_value_is_stored_before_observers_hear_of_its_epoch(claim: Claim, listener: Listener) -> None:
    assert not claim.report(1, {"val_accuracy": 0.5}, 0.5, None)
    assert listener.heard == [("epoch", 1, {"val_accuracy": 0.5}, {1: 0.5})]


def test_an_epoch_without_the_objective_shows_a_living_worker(claim: Claim, listener: Listener) -> None:
    claim.keep(last_seen=0.0)
    assert not claim.report(1, {"loss": 2.0}, None, ThresholdPruner(lower=1.0))
    assert claim.attributes["last_seen"] > 0
    assert listener.heard == [("epoch", 1, {"loss": 2.0}, {})]


def test_the_pruner_stops_a_trial(stored: StoredStudy, claim: Claim, listener: Listener) -> None:
    assert claim.report(1, {}, 0.5, ThresholdPruner(lower=0.6))
    assert claim.reason == "stopped_early"
    claim.stop({"val_accuracy": 0.1})
    trial = stored.trial(0)
    assert (trial.state, trial.user_attrs["reason"]) == (TrialState.PRUNED, "stopped_early")
    assert trial.constraints == {"val_accuracy": 0.1}
    assert listener.heard[-1] == ("ended", "PRUNED", "stopped_early", 0.5)


def test_a_trial_that_reports_again_was_not_stopped(claim: Claim) -> None:
    assert claim.report(1, {}, 0.5, ThresholdPruner(lower=0.6))
    assert not claim.report(2, {}, 0.5, None)
    assert claim.reason is None


def test_a_pruner_sees_nothing_of_the_time_before_a_trial_was_tried_again(stored: StoredStudy, claim: Claim) -> None:
    for epoch in (1, 2, 3):
        claim.report(epoch, {}, 0.1, None)
    claim.start()
    assert not claim.report(1, {}, 0.9, ThresholdPruner(lower=0.5))
    assert stored.trial(0).intermediate_values == {1: 0.9, 2: 0.1, 3: 0.1}
    assert claim.report(2, {}, 0.4, ThresholdPruner(lower=0.5))


def test_a_pruner_does_not_see_what_is_tried_again(stored: StoredStudy, claim: Claim) -> None:
    for value, reason in ((0.9, "interrupted"), (0.9, "timeout"), (0.2, "error"), (0.3, None)):
        state = TrialState.COMPLETE if reason is None else TrialState.FAIL
        given: dict[str, Any] = {"state": state, "user_attrs": {} if reason is None else {"reason": reason}}
        values = [value] * len(stored.study.directions) if reason is None else None
        stored.study.add_trial(optuna.create_trial(values=values, intermediate_values={1: value}, **given))
    seen: list[list[int]] = []

    class Looking(BasePruner):
        def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
            states = (TrialState.FAIL,)
            seen.extend([t.number for t in each] for each in (study.trials, study.get_trials(states=states)))
            return False

    claim.report(1, {}, 0.5, Looking())
    assert seen == [[0, 3, 4], [3]]


def test_a_trial_that_completes_has_its_score_and_values(stored: StoredStudy, claim: Claim, listener: Listener) -> None:
    claim.keep_history([{"loss": 1.0, "seconds": 1.5}, {"loss": float("nan"), "seconds": 2.0}])
    claim.complete(0.9, [300.0], {"val_accuracy": -0.1})
    trial = stored.trial(0)
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [300.0])
    assert (trial.user_attrs["score"], trial.user_attrs["seconds"]) == (0.9, 3.5)
    assert trial.user_attrs["history"] == [{"loss": 1.0, "seconds": 1.5}, {"loss": None, "seconds": 2.0}]
    assert trial.constraints == {"val_accuracy": -0.1}
    assert listener.heard == [("ended", "COMPLETE", None, 0.9)]
    assert claim.is_finished


@pytest.mark.parametrize(
    ("noted", "given", "score", "reason"),
    [
        (None, None, None, "error"),
        (None, None, float("nan"), "not_finite"),
        ("out_of_memory", None, None, "out_of_memory"),
        ("stopped_early", None, None, "error"),  # it was to stop, and then it failed
        ("out_of_memory", "interrupted", None, "interrupted"),
    ],
)
def test_a_failure_has_a_reason(
    stored: StoredStudy, claim: Claim, noted: str | None, given: str | None, score: float | None, reason: str
) -> None:
    claim.reason = noted
    claim.fail(score=score, message="x" * 9000 + " the end", reason=given)
    trial = stored.trial(0)
    assert (trial.state, trial.user_attrs["reason"]) == (TrialState.FAIL, reason)
    assert trial.user_attrs["message"].endswith("the end")
    assert len(trial.user_attrs["message"]) == LONGEST_MESSAGE


@pytest.mark.parametrize("reason", ["interrupted", "timeout"])
def test_an_interrupted_trial_is_enqueued_again_however_often(stored: StoredStudy, reason: str) -> None:
    stored.study.enqueue_trial({}, user_attrs={"name": "eip_3"})
    for _ in range(4):
        number = stored.take_waiting()
        assert number is not None
        Claim(stored, Announcer(), number, {}).fail(reason=reason)
    assert [trial.state.name for trial in stored.trials()] == 4 * ["FAIL"] + ["WAITING"]
    assert [trial.user_attrs.get("retry_of") for trial in stored.trials()] == [None, 0, 1, 2, 3]
    assert {trial.user_attrs["name"] for trial in stored.trials()} == {"eip_3"}


ENDS = {
    "complete": lambda claim: claim.complete(0.9, [0.9], {"val_accuracy": -0.1}),
    "stop": lambda claim: claim.stop({"val_accuracy": -0.1}),
    "fail": lambda claim: claim.fail(message="out of luck"),
    "interrupt": lambda claim: claim.fail(reason="interrupted"),
}


@pytest.mark.parametrize("end", list(ENDS))
@pytest.mark.parametrize("reports", [False, True])
def test_a_trial_that_was_taken_for_dead_is_recorded_once(
    stored: StoredStudy, claim: Claim, listener: Listener, end: str, reports: bool
) -> None:
    """Its worker was stopped for minutes, and goes on when another one has failed the trial and enqueued it again."""
    claim.start()
    assert not claim.report(1, {"val_accuracy": 0.5}, 0.5, None)
    stored.keep(claim.number, reason="interrupted", last_seen=0.0)
    worker = this_worker() | {"host": "elsewhere"}
    stored.keep(claim.number, worker=worker)
    assert fail_abandoned_trials(stored) == [claim.number]
    before = [(trial.state, trial.user_attrs, trial.intermediate_values) for trial in stored.trials()]

    def go_on() -> None:
        if reports:
            assert claim.report(2, {"val_accuracy": 0.6}, 0.6, None)
            claim.keep_history([{"loss": 1.0}])
        ENDS[end](claim)

    with pytest.warns(UserWarning, match="trial 0 was taken for dead by another process, and tried again") as warned:
        go_on()
    assert len(warned) == 1
    assert [(trial.state, trial.user_attrs, trial.intermediate_values) for trial in stored.trials()] == before
    assert [state.name for state, *_ in before] == ["FAIL", "WAITING"]
    assert listener.heard[1:] == [
        ("epoch", 1, {"val_accuracy": 0.5}, {1: 0.5}),
        ("ended", "FAIL", "interrupted", 0.5),
    ]


def test_a_trial_that_starts_too_late_is_lost_too(stored: StoredStudy, claim: Claim) -> None:
    stored.study.tell(claim.number, state=TrialState.FAIL)
    with pytest.warns(UserWarning, match="trial 0 was taken for dead"):
        claim.start()
    claim.keep(seed=1)
    claim.let_go()
    assert "seed" not in claim.attributes


def test_a_trial_reports_while_it_is_trained(
    stored: StoredStudy, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kerastuna.search.proposals.claims.Heartbeat", partial(Heartbeat, seconds=0.02))
    claim.start()
    claim.keep(last_seen=0.0)
    until = time.monotonic() + 20
    while claim.attributes["last_seen"] == 0.0 and time.monotonic() < until:
        time.sleep(0.01)
    assert claim.attributes["last_seen"] > 0
    claim.complete(0.9, [0.9], {})
