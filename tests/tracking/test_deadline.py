"""Servers that hang or trickle, on loopback: what a request, a trial and the ends of a command cost then."""

import contextlib
import time
from typing import Any

import pytest
from tracking_support import EPOCHS, EXPERIMENT, TRIAL, free_port, gateway, history, record_trial, runs_of, serving

from kerastuna.search.errors import InputError
from kerastuna.search.tracking.connection import Connection
from kerastuna.search.tracking.deadline import seconds_of_a_request
from kerastuna.search.tracking.store import default_tracking_uri
from kerastuna.search.tracking.tracker import Tracker

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

BADLY = ("hang", "headers", "body")


@pytest.fixture
def seconds(monkeypatch) -> float:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    return 2.0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The database of an MLflow server that runs, and its port. Starting one takes ten seconds and more."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    uri = default_tracking_uri(folder)
    Tracker(uri, EXPERIMENT, warn=pytest.fail)  # makes it
    with serving(uri, port, folder / "server.log"):
        yield uri, port


@pytest.fixture
def server(store):
    """A gateway before the MLflow server."""
    with gateway(store[1]) as server:
        yield server


def test_the_usual_time_is_a_few_seconds_and_the_user_may_change_it(monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    assert seconds_of_a_request() == 5
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    assert seconds_of_a_request() == 60


@pytest.mark.parametrize("mode", BADLY)
def test_a_server_that_does_not_answer_at_the_start_is_told_within_the_time(mode, seconds):
    Connection("http://127.0.0.1:9", lambda line: None).open()  # imports MLflow
    with gateway(None, mode) as server:
        began = time.monotonic()
        with pytest.raises(InputError, match="cannot be used: no answer within 2 seconds; give a") as told:
            Tracker(server.address, EXPERIMENT, warn=lambda line: None)
        assert time.monotonic() - began < seconds + 1
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("mode", [*BADLY, "500"])
def test_one_that_turns_bad_costs_one_request_and_the_gap_is_filled_when_it_is_back(mode, server, store, seconds):
    told, experiment, uri = [], f"turns bad: {mode}", store[0]
    tracker = Tracker(server.address, experiment, warn=told.append)
    tracker.start_study("first", {}, {})
    record_trial(tracker, 0)
    run_id = tracker.start_trial(1, params={"filters": 8}, metrics={"params": 14_000, "macs": 900_000}, tags={})
    server.mode = mode
    began = time.monotonic()
    for step, epoch in enumerate(EPOCHS, start=1):
        tracker.log_epochs(run_id, [epoch], step)
    tracker.end_trial(run_id, state="COMPLETE", metrics={"value": 0.94})
    for number in (2, 3, 4):
        if mode != "500":
            assert record_trial(tracker, number) is None
    # The end of a command tries each of these.
    trials = [TRIAL | {"number": number} for number in range(5)]
    tracker.log_rejections([{"reason": "duplicate"}])
    assert tracker.reconcile(trials) == (0, False)
    tracker.finish_study("FINISHED", {}, {})
    cost = time.monotonic() - began
    assert cost < seconds + 1, cost
    assert len(told) == (1 if mode != "500" else 2)
    server.mode = "forward"
    assert reconciled_later(tracker, trials) == (4, True)
    tracker.finish_study("FINISHED", {}, {})
    runs = runs_of(uri, experiment)
    assert {name: run.info.status for name, run in runs.items()} == {
        "first": "FINISHED",
        **{f"trial-000{number}": "FINISHED" for number in range(5)},
    }
    assert [step for step, _ in history(uri, runs["trial-0001"], "loss")] == [1, 2, 3, 4]


def reconciled_later(tracker: Tracker, trials: list[dict[str, Any]]) -> tuple[int, bool]:
    """What is reconciled half a minute later, or a minute: on a loaded machine the server may answer too late again."""
    written = 0
    for _ in range(5):
        tracker._connection._not_before = 0.0
        now, agrees = tracker.reconcile(trials)
        written += now
        if agrees:
            return written, True
    return written, False


def test_after_the_time_is_over_nothing_more_is_asked(server, seconds):
    connection, done = Connection(server.address, lambda line: None), []

    def two_requests(client):
        with contextlib.suppress(Exception):
            client.search_experiments()
        client.search_experiments()
        done.append("both")

    connection.open()
    server.mode = "body"
    assert connection.attempt(two_requests) is None
    asked, server.mode = server.requests, "forward"
    time.sleep(0.5)
    assert connection.attempt(lambda client: "again") is None, "it waits"
    assert (server.requests, done) == (asked, [])


def test_a_call_of_many_requests_may_take_longer_than_one(server, seconds):
    def slow(client):
        for _ in range(5):
            client.search_experiments()
            time.sleep(0.6)
        return "done"

    assert Connection(server.address, pytest.fail).attempt(slow) == "done"


def test_an_error_of_the_call_itself_is_raised(server):
    def wrong(client):
        raise TimeoutError("of the call")

    with pytest.raises(TimeoutError, match="of the call"):
        Connection(server.address, pytest.fail).call(wrong)
