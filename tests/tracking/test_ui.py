"""The page of a study in MLflow's user interface, and the command that starts it."""

import json
import time

import pytest
from tracking_support import client_of, record_trial

from kerastuna.search.tracking.ui import studies_in, ui_command, ui_path

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_the_view_of_a_study_lists_its_trials_best_first(tracker, uri):
    view_key = ui_path(tracker.study_run).rpartition("viewStateShareKey=")[2]
    experiment = client_of(uri).get_experiment(tracker.experiment_id)
    view = json.loads(experiment.tags[f"mlflow.sharedViewState.{view_key}"])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`value`", False)
    record_trial(tracker, 0)
    found = client_of(uri).search_runs([tracker.experiment_id], view["searchFilter"])
    assert {run.info.run_name for run in found} == {"first", "trial-0000"}
    tracker.start_training("confirm-0000-seed-7", {})
    found = client_of(uri).search_runs([tracker.experiment_id], view["searchFilter"])
    assert {run.info.run_name for run in found} == {"first", "trial-0000"}
    assert view["selectedColumns"] == [
        *(f"metrics.`{name}`" for name in ("value", "params", "macs")),
        *("tags.`architecture`", "tags.`trial.ended`"),
    ]


def test_the_studies_of_a_store_the_latest_first(tracker, uri):
    first = tracker.study_run
    time.sleep(0.002)  # MLflow counts in milliseconds
    tracker.start_study("second", {}, {})
    assert studies_in(uri) == [tracker.study_run, first]


def test_the_command_of_the_ui_does_not_show_the_password_of_the_database():
    command, environment = ui_command("postgresql://me:hunter2@db/mlflow", 5000)
    assert "hunter2" not in " ".join(command)
    assert command[-6:] == ["--port", "5000", "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://me:hunter2@db/mlflow"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
