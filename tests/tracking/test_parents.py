"""One parent run for a study, also where several processes begin at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tracking_support import EXPERIMENT, TRIAL, client_of, fail_on_warning, record_trial, runs_of

from kerastuna.search.study.study_id import StudyId
from kerastuna.search.tracking.tracker import Tracker

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_processes_that_begin_at_once_share_a_parent_run(uri):
    begin = threading.Barrier(4)

    def start(number):
        tracker = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
        begin.wait()
        tracker.start_study("first", {"budget": 15_000}, {})
        record_trial(tracker, number)
        return tracker.run_id

    with ThreadPoolExecutor(4) as pool:
        [parent] = set(pool.map(start, range(4)))
    runs = runs_of(uri)
    assert runs.pop("first").info.run_id == parent
    assert sorted(runs) == [f"trial-000{number}" for number in range(4)]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent}


def second_parent(tracker, uri, start_time):
    """A process that was too slow to see the run of the other: it has made one of its own, and recorded a trial."""
    first = client_of(uri).get_run(tracker.run_id)
    tags = {name: first.data.tags[name] for name in ("kerastuna.study", "kerastuna.kind")}
    client = client_of(uri)
    made = client.create_run(tracker.experiment_id, start_time=start_time, run_name="first", tags=tags)
    other = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    other._study_run = type(tracker.study_run)(tracker.experiment_id, made.info.run_id, "first")
    return other


@pytest.mark.parametrize("older", [True, False])
def test_two_parent_runs_become_the_older_one(tracker, uri, older):
    began = client_of(uri).get_run(tracker.run_id).info.start_time
    other = second_parent(tracker, uri, began + (-5 if older else 5))
    kept = other.run_id if older else tracker.run_id
    record_trial(tracker, 0)
    record_trial(other, 1)
    trials = [TRIAL | {"number": number} for number in range(3)]
    other.reconcile(trials[:2])
    record_trial(tracker, 2)  # it has not noticed yet
    tracker.reconcile(trials)
    assert tracker.run_id == other.run_id == kept
    runs = runs_of(uri)
    assert sorted(runs) == ["first", "trial-0000", "trial-0001", "trial-0002"]
    assert runs.pop("first").info.run_id == kept
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {kept}


def test_two_processes_that_record_the_same_trial_leave_one_run(tracker, uri):
    begin = threading.Barrier(3)

    def reconcile(_):
        other = Tracker(uri, EXPERIMENT, warn=lambda line: None)  # one may write to a run that the other has deleted
        other.start_study("first", {}, {})
        begin.wait()
        other.reconcile([TRIAL | {"number": number} for number in range(4)])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(reconcile, range(3)))
    tracker.reconcile([TRIAL | {"number": number} for number in range(4)])
    runs = runs_of(uri)
    assert sorted(runs) == ["first", *(f"trial-000{number}" for number in range(4))]
    assert {run.info.status for name, run in runs.items() if name != "first"} == {"FINISHED"}


def test_studies_of_one_name_have_runs_of_their_own(tracker, uri):
    record_trial(tracker, 0)  # of an earlier version: without an id
    parents = {}
    for owner in (StudyId("a" * 32, True), StudyId("b" * 32, True), StudyId("c" * 32, False), StudyId("d" * 32, False)):
        for _ in range(2):
            other = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
            parents.setdefault(owner.id[0], []).append(other.start_study("first", {}, {}, owner=owner))
        other.reconcile([TRIAL | {"number": 0}])
        assert other.run_id == parents[owner.id[0]][0]
    first, second, old, late = ({*ids} for ids in parents.values())
    assert old == {tracker.run_id}  # the older study has taken over what has no id
    assert len(first | second | old | late) == 4
    found = client_of(uri).search_runs([tracker.experiment_id], f"tags.`kerastuna.study_id` = '{'c' * 32}'")
    assert sorted(str(run.info.run_name) for run in found) == ["first", "trial-0000"]
