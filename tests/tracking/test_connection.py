"""The connection to a store that fails: one warning, a pause, and no trial lost; the stores are real ones."""

import math
import time

import pytest
from tracking_support import EPOCHS, EXPERIMENT, TRIAL, free_port, history, record_trial, runs_of, serving

from kerastuna.search.tracking.connection import Connection
from kerastuna.search.tracking.runs import StudyRun
from kerastuna.search.tracking.tracker import Tracker

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_a_database_that_breaks_in_the_middle_is_reported_once_and_stops_nothing(tracker, uri, tmp_path, capfd):
    told = []
    worker = Tracker(uri, EXPERIMENT, warn=told.append, joins=tracker.study_run)
    run_id = worker.start_trial(0, params={}, metrics={}, tags={})
    for path in tmp_path.glob("mlflow.db*"):
        path.write_bytes(b"broken" * 50_000)
    worker.log_epochs(run_id, EPOCHS)
    worker.end_trial(run_id, state="COMPLETE", metrics={"value": 0.9})
    assert worker.start_trial(1, params={}, metrics={}, tags={}) is None
    worker.log_rejections([{"reason": "duplicate"}])
    worker.finish_study("FINISHED", {}, {})
    assert len(told) == 1
    assert "\n" not in told[0]
    assert "Traceback" not in capfd.readouterr().err


def test_a_worker_without_a_server_goes_on_without_it():
    told = []
    dead = f"http://me:hunter2@127.0.0.1:{free_port()}"
    worker = Tracker(dead, EXPERIMENT, warn=told.append, joins=StudyRun("1", "0" * 32, "first"))
    assert record_trial(worker, 0) is None
    assert worker.reconcile([TRIAL | {"number": 0}]) == (0, False)
    assert len(told) == 2, "once for the trials, once for the reconciliation that did not happen"
    for line in told:
        assert f"{dead.replace('hunter2', '***')} fails ([Errno 111] Connection refused)" in line
        assert "hunter2" not in line


def test_a_server_that_stops_and_comes_back_costs_no_trial(uri, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    port, log, told = free_port(), tmp_path / "server.log", []
    with serving(uri, port, log):
        tracker = Tracker(f"http://me:hunter2@127.0.0.1:{port}", EXPERIMENT, warn=told.append)
        tracker.start_study("first", {"budget": 15_000}, {})
        record_trial(tracker, 0)
        cut = tracker.start_trial(1, params={"filters": 8}, metrics={"params": 14_000, "macs": 900_000}, tags={})
        tracker.log_epochs(cut, [EPOCHS[0] | {"loss": math.nan}])
        assert told == []
        worker = Tracker(f"http://me:hunter2@127.0.0.1:{port}", EXPERIMENT, warn=told.append, joins=tracker.study_run)
    tracker.log_epochs(cut, EPOCHS[1:3], 2)
    tracker.log_epochs(cut, EPOCHS[3:], 4)
    assert record_trial(worker, 2) is None
    assert len(told) == 2, "once for each process"
    assert "hunter2" not in "".join(told)
    with serving(uri, port, log):
        tracker.end_trial(cut, state="COMPLETE", metrics={"value": 0.94, "seconds": 20.0})
        assert runs_of(uri)["trial-0001"].info.status == "RUNNING", "not closed while its epochs are missing"
        for _ in range(300):  # until the pause after a refused connection is over
            if record_trial(tracker, 3):
                break
            time.sleep(0.1)
        trials = [TRIAL | {"number": number} for number in (0, 1, 2, 3)]
        assert tracker.reconcile(trials) == (2, True)
        tracker.finish_study("FINISHED", {"best_value": 0.94}, {})
    assert len(told) == 2
    assert "Traceback" not in capfd.readouterr().err

    runs = runs_of(uri)
    assert sorted(runs) == ["first", "trial-0000", "trial-0001", "trial-0002", "trial-0003"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for number in (0, 1, 2, 3):
        trial = runs[f"trial-000{number}"]
        assert [step for step, _ in history(uri, trial, "loss")] == [1, 2, 3, 4]
        assert trial.data.metrics == runs["trial-0000"].data.metrics
    assert math.isnan(history(uri, runs["trial-0001"], "loss")[0][1])


class Failing:
    """A call that fails, and counts how often it was made."""

    def __init__(self):
        self.calls = 0

    def __call__(self, client):
        self.calls += 1
        raise OSError("the disk is full")


def test_after_a_failure_calls_are_skipped_until_they_are_resumed(uri):
    told, failing = [], Failing()
    connection = Connection(uri, told.append)
    assert connection.attempt(lambda client: "done") == "done"
    assert [connection.attempt(failing) for _ in range(3)] == [None] * 3
    assert failing.calls == 1
    connection.resume()
    assert connection.attempt(lambda client: "done") == "done"
    assert connection.attempt(failing) is None
    assert len(told) == 1, "the second failure says nothing new"
    connection.restart()
    connection.attempt(failing)
    assert failing.calls == 3
    assert [("the disk is full" in line, "\n" in line) for line in told] == [(True, False)] * 2


def test_the_pause_lasts_as_long_as_a_slow_failure_asks_for(uri):
    def fail_slowly(client):
        time.sleep(0.02)
        raise OSError("timed out")

    connection = Connection(uri, lambda line: None)
    connection.open()  # which takes a while itself
    connection.attempt(fail_slowly)
    connection.resume_when_due()
    assert connection.attempt(lambda client: "done") is None, "the pause of 0.2 s is not over"
    for _ in range(100):
        time.sleep(0.05)
        connection.resume_when_due()
        if connection.attempt(lambda client: "done"):
            return
    pytest.fail("the pause does not end")
