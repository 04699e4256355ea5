"""A search recorded in MLflow by an observer, read back through MLflow's own client."""

import json
import math
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest
from optuna.storages import InMemoryStorage
from tracking_support import EXPERIMENT, client_of, fail_on_warning, history, runs_of

from kerastuna.search.commands.session import log_report
from kerastuna.search.errors import StudyError
from kerastuna.search.study.budget import Budget, Size
from kerastuna.search.study.liveness import this_worker
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.studies import delete_study
from kerastuna.search.tracking.recorder import TrackingObserver
from kerastuna.search.tracking.runs import trial_runs
from kerastuna.search.tracking.tracker import Tracker
from kerastuna.search.tuning.oracle import OptunaOracle

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


SCORES = {10: 0.9, 20: 0.95, 30: 0.93, 9: 0.96, 40: 0.94}

"""What networks of so many units reach; each unit costs ten parameters."""


class Searched:
    """A study whose trials are told what they reach, recorded as a search records it."""

    def __init__(self, uri: str, folder: Path, **goal: Any) -> None:
        self.tracker = Tracker(uri, EXPERIMENT, artifact_root=folder / "artifacts", warn=fail_on_warning)
        self.observer = TrackingObserver(self.tracker, {"device": "none"})
        space = keras_tuner.HyperParameters()
        space.Int("units", 1, 60)
        self.oracle = OptunaOracle(
            max_trials=20,
            hyperparameters=space,
            budget=Budget(1000, ram=4000),
            storage=InMemoryStorage(),
            study_name="goals",
            seed=0,
            measure=lambda values, counted: Size(10 * values.get("units"), 100 * values.get("units"), 1000),
            observers=(self.observer,),
            **goal,
        )
        self.oracle._set_project_dir(str(folder), "goals")
        self.observer.search_started(self.oracle.study, {})
        self.uri = uri

    def try_out(self, *units: int) -> None:
        """A search: trials with so many units, and its end."""
        for count in units:
            self.oracle.enqueue({"units": count})
            trial = self.oracle.create_trial("tuner0")
            assert trial.hyperparameters.get("units") == count
            self.oracle.update_trial(trial.trial_id, {"val_accuracy": SCORES[count]})
            trial.status = "COMPLETED"
            self.oracle.end_trial(trial)
        self.observer.search_ended("FINISHED")

    def tags(self, name: str) -> dict[int, str | None]:
        """What the trials' runs have of a tag, by their units."""
        runs = runs_of(self.uri)
        return {int(run.data.params["units"]): run.data.tags.get(name) for key, run in runs.items() if key != "goals"}

    def in_view(self) -> tuple[list[str], list[int]]:
        """The columns of the study's view, and the units of its trials in its order."""
        client = client_of(self.uri)
        tags = client.get_experiment(self.tracker.experiment_id).tags
        view = json.loads(tags[f"mlflow.sharedViewState.{self.tracker.run_id}"])
        order = f"{view['orderByKey']} {'ASC' if view['orderByAsc'] else 'DESC'}"
        found = client.search_runs([self.tracker.experiment_id], view["searchFilter"], order_by=[order])
        return view["selectedColumns"], [int(run.data.params["units"]) for run in found if run.data.params]


def test_the_trials_of_the_front_are_marked_and_those_that_leave_it_lose_the_mark(uri, tmp_path):
    search = Searched(uri, tmp_path, pareto=["val_accuracy", "params"])
    search.try_out(10, 20, 30)
    assert search.tags("front") == {10: "yes", 20: "yes", 30: "no"}
    assert runs_of(uri)["goals"].data.tags["kerastuna.front"] == "1, 0"
    search.try_out(9)
    assert search.tags("front") == {10: "no", 20: "no", 30: "no", 9: "yes"}
    assert runs_of(uri)["goals"].data.tags["kerastuna.front"] == "3"
    columns, units = search.in_view()
    assert "tags.`front`" in columns
    assert {f"metrics.`{cost}`" for cost in ("params", "macs", "ram")} <= set(columns)  # ram is limited
    assert units == [9, 20, 30, 10]  # by the metric, the best first


def test_the_trials_that_reach_the_target_are_marked_and_the_smallest_of_them_comes_first(uri, tmp_path):
    search = Searched(uri, tmp_path, minimize="params", reach={"val_accuracy": 0.935})
    search.try_out(10, 40, 20, 30)
    assert search.tags("reached") == {10: "no", 40: "yes", 20: "yes", 30: "no"}
    columns, units = search.in_view()
    assert columns[0] == "metrics.`params_if_reached`"
    assert "tags.`reached`" in columns
    assert units[:2] == [20, 40]
    metrics = {int(run.data.params["units"]): run.data.metrics for run in runs_of(uri).values() if run.data.params}
    assert metrics[20]["params_if_reached"] == 200
    assert "params_if_reached" not in metrics[10]


def test_what_an_outage_left_out_of_a_target_is_mended(uri, tmp_path):
    search = Searched(uri, tmp_path, minimize="params", reach={"val_accuracy": 0.935})
    connection = search.tracker._connection
    connection._paused, connection._pause_ends = True, math.inf  # until the search ends
    search.try_out(10, 20)
    assert search.tags("reached") == {10: "no", 20: "yes"}
    metrics = {int(run.data.params["units"]): run.data.metrics for run in runs_of(uri).values() if run.data.params}
    assert metrics[20]["params_if_reached"] == 200
    assert {unit: own["ram"] for unit, own in metrics.items()} == {10: 1000, 20: 1000}


def test_runs_that_are_known_to_be_complete_are_not_read_again(uri, tmp_path, monkeypatch):
    asked: list[list[int]] = []

    def asking(client, study_run, numbers):
        asked.append(list(numbers))
        return trial_runs(client, study_run, numbers)

    monkeypatch.setattr("kerastuna.search.tracking.reconcile.trial_runs", asking)
    search = Searched(uri, tmp_path, objective="val_accuracy")
    search.try_out(10, 20)
    first, second = (trial for trial in search.oracle.study.trials if trial.state.is_finished())
    assert asked == [[], []]
    again = TrackingObserver(Tracker(uri, EXPERIMENT, warn=fail_on_warning), {})
    again.search_started(search.oracle.study, {})
    assert asked.pop() == []

    anew = optuna.create_study(study_name="goals")  # as if the first one had been deleted
    anew.set_user_attr("identity", search.oracle.study.user_attrs["identity"])
    assert second.datetime_complete is not None
    second.datetime_complete += timedelta(seconds=1)
    anew.add_trials([second, first])
    again = TrackingObserver(Tracker(uri, EXPERIMENT, warn=fail_on_warning), {})
    again.search_started(anew, {})
    assert asked.pop() == [0, 1]


def test_after_a_kill_only_the_last_trials_are_looked_at(uri, tmp_path, monkeypatch):
    monkeypatch.setattr("kerastuna.search.tracking.recorder.NOTED_EVERY", 2)
    search = Searched(uri, tmp_path, objective="val_accuracy")
    monkeypatch.setattr(search.observer, "search_ended", lambda status: None)
    search.try_out(10, 20, 30)
    (parent,) = (run for name, run in runs_of(uri).items() if name == "goals")
    number, _, study = parent.data.tags["kerastuna.agreed"].partition(" ")
    assert int(number) == 2
    tracker = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    TrackingObserver(tracker, {}).search_started(search.oracle.study, {})
    assert tracker.agreed(study) == 3
    assert tracker.agreed("another") == 0


def test_an_ordinary_study_has_neither_mark_nor_other_columns(uri, tmp_path):
    search = Searched(uri, tmp_path, objective="val_accuracy")
    search.try_out(10, 20)
    assert search.tags("front") == search.tags("reached") == {10: None, 20: None}
    columns, units = search.in_view()
    assert columns == [
        *(f"metrics.`{name}`" for name in ("value", "params", "macs", "ram")),
        *("tags.`architecture`", "tags.`trial.ended`"),
    ]
    assert units == [20, 10]


def test_the_report_of_a_study_is_with_its_run_and_kept_up_to_date(uri, tmp_path):
    # An experiment of its own: the artifacts of the other one have no folder here.
    search = Searched(uri, tmp_path, pareto=["val_accuracy", "params"])
    search.tracker = Tracker(uri, "reporting", artifact_root=tmp_path / "artifacts", warn=fail_on_warning)
    search.tracker.start_study("goals", {}, {})
    search.try_out(10, 20)
    log_report(search.oracle.study, search.tracker)
    (board,) = (tmp_path / "artifacts").rglob("report/leaderboard.csv")
    assert len(board.read_text().splitlines()) == 3
    search.try_out(9)
    log_report(search.oracle.study, search.tracker)
    assert [line.split(",")[:3] for line in board.read_text().splitlines()] == [
        ["rank", "front", "trial"],
        ["1", "yes", "2"],
        ["", "no", "0"],
        ["", "no", "1"],
    ]
    assert (board.parent / "pareto_front.png").read_bytes().startswith(b"\x89PNG")


def _record(number: int, **given: Any) -> dict[str, Any]:
    known = ("value", "params", "macs", "ram", "seconds", "reason", "message", "seed", "name")
    return dict.fromkeys(known) | {"number": number, "state": "COMPLETE", "hyperparameters": {}, "summary": ""} | given


def test_trials_that_run_at_the_same_time_keep_their_epochs_apart(uri):
    tracker = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    observer = TrackingObserver(tracker, {}, {"data": "digits"})
    observer.search_started(optuna.create_study(study_name="two at a time"), {"max_trials": 2})
    kept = [observer.trial_started(_record(number)) for number in (0, 1)]
    observer.epoch_ended(0, 1, {"loss": 0.5, "seconds": 2.0})
    observer.epoch_ended(1, 1, {"loss": 0.25, "seconds": 3.0})
    observer.trial_ended(_record(0, value=0.5))
    observer.epoch_ended(1, 2, {"loss": 0.125, "seconds": 3.0})
    observer.trial_ended(_record(1, value=0.7512345))

    runs = runs_of(uri)
    trials = [runs["trial-0000"], runs["trial-0001"]]
    assert kept == [{"mlflow_run_id": run.info.run_id} for run in trials]
    assert [history(uri, run, "loss") for run in trials] == [[(1, 0.5)], [(1, 0.25), (2, 0.125)]]
    assert [run.data.metrics["epoch_seconds"] for run in trials] == [2.0, 3.0]
    assert [run.data.metrics["value"] for run in trials] == [0.5, 0.7512]
    assert runs["two at a time"].data.params == {"max_trials": "2", "data": "digits"}
    assert observer.seconds > 0


def test_a_trial_that_is_tried_again_leaves_no_run_open(uri):
    tracker = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    observer = TrackingObserver(tracker, {}, {"data": "digits"})
    observer.search_started(optuna.create_study(study_name="again"), {"max_trials": 1})
    first, second = (observer.trial_started(_record(0)) for _ in range(2))
    observer.trial_ended(_record(0, value=0.5))
    client = client_of(uri)
    told = [client.get_run(str(kept["mlflow_run_id"])) for kept in (first, second) if kept]
    assert [run.info.status for run in told] == ["FAILED", "FINISHED"]


def test_a_search_that_fails_is_recorded_as_failed(uri, tmp_path):
    search = Searched(uri, tmp_path, objective="val_accuracy")
    search.observer.search_ended("FAILED")
    parent = runs_of(uri)["goals"]
    assert parent.info.status == "FAILED"
    assert parent.data.metrics["trials_complete"] == 0
    assert parent.data.metrics["rejected_duplicate"] == 0
    assert parent.data.metrics["recording_seconds"] == 0


def test_the_runs_of_a_study_that_is_deleted_meanwhile_are_closed(uri, tmp_path):
    storage = open_storage(tmp_path / "journal")
    study = optuna.create_study(storage=storage, study_name="deleted")
    StoredStudy(study, storage)  # which makes it one that is worked on
    observer = TrackingObserver(Tracker(uri, EXPERIMENT, warn=fail_on_warning), {})
    observer.search_started(study, {})
    observer.trial_started(_record(0))
    delete_study(open_storage(tmp_path / "journal"), "deleted")
    with pytest.raises(StudyError, match="the study 'deleted' was deleted"):
        observer.search_ended("FAILED")
    statuses = {name: run.info.status for name, run in runs_of(uri).items()}
    assert statuses == {"deleted": "FAILED", "trial-0000": "FAILED"}


@pytest.mark.parametrize("status", ["FINISHED", "KILLED"])
def test_the_load_of_the_machine_is_recorded_until_the_search_ends(uri, tmp_path, monkeypatch, status):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    others = set(threading.enumerate())
    searched = Searched(uri, tmp_path)
    (watching,) = (each for each in set(threading.enumerate()) - others if each.name == "system metrics")
    name = "system/system_memory_usage_percentage"
    for _ in range(100):
        if name in (metrics := runs_of(uri)["goals"].data.metrics):
            break
        time.sleep(0.1)
    assert 0 < metrics[name] <= 100
    searched.observer.search_ended(status)
    assert not watching.is_alive()
    assert runs_of(uri)["goals"].info.status == status


def test_the_first_of_several_processes_to_end_leaves_the_run_of_the_study_open(uri):
    def parent() -> Any:
        return runs_of(uri)["shared"].info

    study = optuna.create_study(study_name="shared")
    study.set_user_attr("identity", {"objective": ["val_accuracy", "max"], "budget": 1000})
    space: Any = {"units": optuna.distributions.IntDistribution(1, 9)}
    first, second = (TrackingObserver(Tracker(uri, EXPERIMENT, warn=fail_on_warning), {}) for _ in range(2))
    for observer in (first, second):
        observer.search_started(study, {})
    trials = [study.ask(space), study.ask(space)]
    for observer, trial in ((first, trials[0]), (second, trials[1])):
        trial.set_user_attr("worker", this_worker())
        observer.trial_started(_record(trial.number))
    study.tell(trials[0], 0.5)
    first.trial_ended(_record(0, value=0.5))
    first.search_ended("FINISHED")
    assert (parent().status, parent().end_time) == ("RUNNING", None)
    study.tell(trials[1], 0.5)
    second.trial_ended(_record(1, value=0.5))
    first.search_ended("FINISHED")  # as of a confirmation, which sees no trial run
    assert parent().status == "FINISHED"
    second.trial_started(_record(2))
    assert parent().status == "RUNNING"
    second.trial_ended(_record(2, value=0.5))
    second.search_ended("FINISHED")
    assert parent().status == "FINISHED"


def test_trials_that_nobody_will_end_leave_no_run_of_a_study_open(uri):
    study = optuna.create_study(study_name="left")
    study.set_user_attr("identity", {"objective": ["val_accuracy", "max"], "budget": 1000})
    observer = TrackingObserver(Tracker(uri, EXPERIMENT, warn=fail_on_warning), {})
    observer.search_started(study, {})
    study.ask()  # of another program
    study.ask().set_user_attr("worker", {**this_worker(), "pid": 2**22 + 1})
    own = study.ask()
    own.set_user_attr("worker", this_worker())
    observer.trial_started(_record(own.number))
    observer.search_ended("KILLED")
    assert runs_of(uri)["left"].info.status == "KILLED"
