"""The runs brought in line with the study, after a kill or an outage."""

import datetime as dt

import pytest
from tracking_support import EPOCHS, EXPERIMENT, TRIAL, client_of, fail_on_warning, history, record_trial, runs_of

from kerastuna.search.tracking.tracker import Tracker

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_reconcile_closes_what_a_kill_left_running_and_records_what_is_missing(tracker, uri):
    record_trial(tracker, 0)
    killed = tracker.start_trial(1, params={"filters": 8}, metrics={"params": 14_000}, tags={})
    tracker.log_epochs(killed, EPOCHS[:2])
    tracker.start_trial(2, params={}, metrics={}, tags={})  # its worker is alive
    started = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    trials = [
        TRIAL | {"number": 0},
        TRIAL | {"number": 1, "run_id": killed},
        TRIAL | {"number": 2, "state": "RUNNING"},
        TRIAL | {"number": 3, "state": "PRUNED", "reason": "over_budget", "epochs": []},
        TRIAL | {"number": 4, "state": "PRUNED", "reason": "stopped_early", "value": None, "started": started},
        TRIAL | {"number": 5, "state": "FAIL", "reason": "interrupted", "value": None, "epochs": EPOCHS[:1]},
        TRIAL | {"number": 6, "state": "WAITING"},
    ]
    resumed = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    resumed.start_study("first", {}, {})
    assert resumed.reconcile(trials) == (3, True)
    assert resumed.reconcile(trials) == (0, True)

    runs = runs_of(uri)
    assert sorted(runs) == ["first", *(f"trial-000{number}" for number in (0, 1, 2, 4, 5))]
    ends = {name: (run.info.status, run.data.tags.get("trial.reason")) for name, run in runs.items()}
    assert ends["trial-0001"] == ("FINISHED", None)
    assert ends["trial-0002"] == ("RUNNING", None)
    assert ends["trial-0004"] == ("FINISHED", "stopped_early")
    assert ends["trial-0005"] == ("FAILED", "interrupted")
    for name in ("trial-0000", "trial-0001", "trial-0004"):
        assert [step for step, _ in history(uri, runs[name], "loss")] == [1, 2, 3, 4], name
        assert history(uri, runs[name], "params") == [(0, 14_000)], name
        assert runs[name].data.metrics["seconds"] == 20.0
    mended, complete = runs["trial-0001"].data, runs["trial-0000"].data
    assert (mended.metrics, mended.params) == (complete.metrics, complete.params)
    info = runs["trial-0004"].info
    assert (info.start_time, info.end_time - info.start_time) == (started.timestamp() * 1000, 20_000)


def test_reconcile_keeps_the_run_a_trial_names_and_ends_its_leftover(tracker, uri):
    named = record_trial(tracker, 1)
    leftover = tracker.start_trial(1, params={}, metrics={}, tags={})
    assert tracker.reconcile([TRIAL | {"number": 1, "run_id": named}]) == (1, True)
    client = client_of(uri)
    assert client.get_run(named).info.status == "FINISHED"
    assert client.get_run(leftover).info.status == "FAILED"
    assert client.get_run(leftover).data.tags["trial.reason"] == "interrupted"


def test_a_parent_run_deleted_in_mlflow_is_recorded_anew(tracker, uri):
    record_trial(tracker, 0)
    client = client_of(uri)
    for run in runs_of(uri).values():
        client.delete_run(run.info.run_id)
    again = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    again.start_study("first", {}, {})
    assert again.reconcile([TRIAL | {"number": 0}]) == (1, True)
    assert runs_of(uri)["trial-0000"].data.tags["mlflow.parentRunId"] == again.run_id != tracker.run_id
