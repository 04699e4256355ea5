"""The runs of trials below the run of their study, read back through MLflow's own client."""

import pytest
from tracking_support import EPOCHS, EXPERIMENT, client_of, fail_on_warning, record_trial, runs_of

from kerastuna.search.tracking.runs import FEW_TRIALS, trial_runs
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


def test_runs_are_asked_for_by_trial_or_all_at_once(tracker, uri):
    ids = [record_trial(tracker, number) for number in (1, 2, 2)]
    client, many = client_of(uri), range(FEW_TRIALS + 1)
    for numbers, found in (([2, 7], ids[1:]), ([], []), (many, ids), (None, ids)):
        runs = trial_runs(client, tracker.study_run, numbers)
        assert {run.info.run_id for each in runs.values() for run in each} == set(found)
    assert len(trial_runs(client, tracker.study_run)[2]) == 2
