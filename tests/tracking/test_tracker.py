"""The record in MLflow, read back through MLflow's own client."""

import pytest
from tracking_support import EPOCHS, EXPERIMENT, fail_on_warning, free_port, history, record_trial, runs_of

from kerastuna.search.tracking.runs import StudyRun
from kerastuna.search.tracking.tracker import Tracker

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_a_study_is_a_parent_run_with_a_nested_run_per_trial(tracker, uri):
    record_trial(tracker, 7)
    record_trial(tracker, 8, "PRUNED", "stopped_early", None)
    record_trial(tracker, 9, "FAIL", "error", None)
    tracker.finish_study("FINISHED", {"best_value": 0.94}, {"best.trial": "trial-0007"})

    runs = runs_of(uri)
    assert sorted(runs) == ["first", "trial-0007", "trial-0008", "trial-0009"]
    parent, trial = runs["first"], runs["trial-0007"]
    assert parent.info.run_id == tracker.run_id == tracker.study_run.run_id
    assert (parent.info.status, parent.data.params) == ("FINISHED", {"budget": "15000", "trials": "20"})
    assert (parent.data.tags["profile"], parent.data.tags["best.trial"]) == ("quick", "trial-0007")
    assert parent.data.metrics == {"best_value": 0.94}
    assert {runs[name].data.tags["mlflow.parentRunId"] for name in runs if name != "first"} == {parent.info.run_id}
    assert trial.data.params == {"filters": "8"}
    assert trial.data.metrics == {
        "params": 14_000,
        "macs": 900_000,
        "value": 0.94,
        "seconds": 20.0,
        "loss": 0.25,
        "val_accuracy": EPOCHS[-1]["val_accuracy"],
    }
    assert history(uri, trial, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert trial.data.tags["worker"] == "w1"
    ends = {name: (run.info.status, run.data.tags["trial.state"]) for name, run in runs.items() if name != "first"}
    assert ends == {
        "trial-0007": ("FINISHED", "COMPLETE"),
        "trial-0008": ("FINISHED", "PRUNED"),
        "trial-0009": ("FAILED", "FAIL"),
    }
    assert runs["trial-0008"].data.tags["trial.reason"] == "stopped_early"
    assert "trial.reason" not in trial.data.tags


def test_a_training_is_a_run_with_curves_that_is_no_trial(tracker, uri):
    good, bad, _ = (tracker.start_training(f"confirm-0003-seed-{seed}", {"seed": seed}) for seed in (7, 8, 9))
    tracker.log_epochs(good, EPOCHS)
    tracker.end_training(good)
    tracker.end_training(bad, failed=True)
    tracker.end_training(None)  # as of one whose run could not be made
    tracker.end_lost_trainings()
    runs = runs_of(uri)
    assert {name: run.info.status for name, run in runs.items() if "seed" in name} == {
        "confirm-0003-seed-7": "FINISHED",
        "confirm-0003-seed-8": "FAILED",
        "confirm-0003-seed-9": "KILLED",
    }
    assert runs["first"].info.status == "RUNNING"
    run = runs["confirm-0003-seed-7"]
    assert history(uri, run, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert run.data.tags["mlflow.parentRunId"] == tracker.run_id
    assert (run.data.tags["seed"], run.data.tags["kerastuna.kind"]) == ("7", "training")


def test_a_resumed_study_goes_on_in_its_own_parent_run(tracker, uri):
    tracker.finish_study("KILLED", {}, {})
    other = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    other.start_study("it's another's", {"budget": 1}, {})
    again = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    again.start_study("first", {"budget": 15_000, "trials": 40, "workers": 2}, {"profile": "full"})
    record_trial(again, 0)

    last = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    last.start_study("first", {"budget": 15_000, "trials": 20, "workers": 2}, {})
    assert runs_of(uri)["first"].data.tags["trials"] == "20"
    again.start_study("first", {"budget": 15_000, "trials": 40, "workers": 2}, {"profile": "full"})
    assert again.run_id == tracker.run_id != other.run_id
    runs = runs_of(uri)
    parent = runs["first"]
    assert parent.info.status == "RUNNING"
    assert parent.data.params == {"budget": "15000", "trials": "20", "workers": "2"}
    assert (parent.data.tags["trials"], parent.data.tags["profile"]) == ("40", "full")
    assert runs["trial-0000"].data.tags["mlflow.parentRunId"] == tracker.run_id


def test_rejections_are_counted_and_listed_on_the_parent_run(tmp_path, uri):
    artifacts = tmp_path / "my artifacts"
    tracker = Tracker(uri, "rejecting", artifact_root=artifacts, warn=fail_on_warning)
    tracker.start_study("first", {}, {})
    rows = [
        {"number": 0, "reason": "over_budget", "params": 20_000, "hyperparameters": {"filters": 64}},
        {"number": 2, "reason": "duplicate", "params": None, "hyperparameters": {"filters": 8, "kernel": "3, 3"}},
    ]
    tracker.log_rejections(rows[:1])
    tracker.log_rejections(rows)

    parent = runs_of(uri, "rejecting")["first"]
    assert parent.data.metrics == {"rejected_over_budget": 1, "rejected_infeasible": 0, "rejected_duplicate": 1}
    (table,) = artifacts.rglob("rejections.csv")
    assert table.read_text().splitlines() == [
        "number,reason,params,filters,kernel",
        "0,over_budget,20000,64,",
        '2,duplicate,,8,"3, 3"',
    ]


def test_a_report_that_the_store_does_not_take_is_told_of_and_stops_nothing(tmp_path):
    told = []
    dead = Tracker(f"http://127.0.0.1:{free_port()}", EXPERIMENT, warn=told.append, joins=StudyRun("1", "0" * 32, "x"))
    (tmp_path / "leaderboard.csv").write_text("rank")
    dead.log_files(tmp_path, "report")
    assert len(told) == 1
    assert "fails" in told[0]
