"""The runs of trials below the run of their study, read back through MLflow's own client."""

import pytest
from tracking_support import EPOCHS, EXPERIMENT, fail_on_warning, record_trial, runs_of

from kerastuna.search.tracking.tracker import Tracker

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_a_worker_records_its_trials_under_the_parent_run(tracker, uri):
    worker = Tracker(uri, EXPERIMENT, warn=fail_on_warning, joins=tracker.study_run)
    record_trial(worker, 3)
    assert runs_of(uri)["trial-0003"].data.tags["mlflow.parentRunId"] == tracker.run_id


def test_a_trial_in_training_is_shown_as_running_with_its_epochs(tracker, uri):
    run_id = tracker.start_trial(0, params={}, metrics={}, tags={})
    tracker.log_epochs(run_id, EPOCHS[:2], 1)
    trial = runs_of(uri)["trial-0000"]
    assert (trial.info.status, trial.data.tags["trial.state"]) == ("RUNNING", "RUNNING")
    assert trial.data.metrics["loss"] == 0.5
