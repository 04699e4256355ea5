"""The record in MLflow, read back through MLflow's own client; the stores that fail are real ones."""

import contextlib
import datetime as dt
import json
import math
import os
import shutil
import signal
import socket
import sqlite3
import string
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.search.messages import redact
from kerastuna.search.tracking.runs import StudyRun
from kerastuna.search.tracking.store import default_tracking_uri
from kerastuna.search.tracking.tracker import Tracker
from kerastuna.search.tracking.ui import ui_command, ui_path
from kerastuna.spaces.errors import InputError

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

EXPERIMENT = "kerastuna/mnist-convnet"
EPOCHS = [{"loss": 1.0 / step, "val_accuracy": 0.9 + step / 100} for step in (1, 2, 3, 4)]
TRIAL = {
    "state": "COMPLETE",
    "reason": None,
    "value": 0.94,
    "params": 14_000,
    "macs": 900_000,
    "seconds": 20.0,
    "epochs": EPOCHS,
    "hyperparameters": {"filters": 8},
}


def fail_on_warning(line: str) -> None:
    pytest.fail(f"unexpected warning: {line}")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A store with the experiment and nothing else: making one takes MLflow a second."""
    folder = tmp_path_factory.mktemp("empty")
    Tracker(default_tracking_uri(folder), EXPERIMENT, warn=fail_on_warning)
    return folder / "mlflow.db"


@pytest.fixture
def uri(tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return default_tracking_uri(tmp_path)


@pytest.fixture
def tracker(uri):
    tracker = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    tracker.start_study("first", {"budget": 15_000, "trials": 20}, {"profile": "quick"})
    return tracker


def client_of(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


def runs_of(uri, experiment=EXPERIMENT) -> dict[str, Any]:
    """All runs of the experiment by name."""
    client = client_of(uri)
    (found,) = (each for each in client.search_experiments() if each.name == experiment)
    found = client.search_runs([found.experiment_id], max_results=5000)
    names = [str(run.info.run_name) for run in found]
    assert len(names) == len(set(names)), f"recorded twice: {sorted(names)}"
    return dict(zip(names, found, strict=True))


def history(uri, run, metric):
    return [(point.step, point.value) for point in client_of(uri).get_metric_history(run.info.run_id, metric)]


def record_trial(tracker, number, state="COMPLETE", reason=None, value: float | None = 0.94):
    run_id = tracker.start_trial(
        number, params={"filters": 8}, metrics={"params": 14_000, "macs": 900_000}, tags={"worker": "w1"}
    )
    for step, epoch in enumerate(EPOCHS, start=1):
        tracker.log_epochs(run_id, [epoch], step)
    tracker.end_trial(run_id, state=state, reason=reason, metrics={"value": value, "seconds": 20.0})
    return run_id


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(uri, port, log):
    """MLflow's own server over a database, in a process group of its own."""
    command, environment = ui_command(uri, port)
    with log.open("ab") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        for _ in range(900):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            pytest.fail(f"the server does not answer: {log.read_text()}")
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def run_python(code, *arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MLFLOW"))}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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
        "trial-0008": ("KILLED", "PRUNED"),
        "trial-0009": ("FAILED", "FAIL"),
    }
    assert runs["trial-0008"].data.tags["trial.reason"] == "stopped_early"
    assert "trial.reason" not in trial.data.tags


def test_a_trial_in_training_is_shown_as_running_with_its_epochs(tracker, uri):
    run_id = tracker.start_trial(0, params={}, metrics={}, tags={})
    tracker.log_epochs(run_id, EPOCHS[:2], 1)
    trial = runs_of(uri)["trial-0000"]
    assert (trial.info.status, trial.data.tags["trial.state"]) == ("RUNNING", "RUNNING")
    assert trial.data.metrics["loss"] == 0.5


def test_what_is_not_finite_is_recorded_as_nan_and_what_is_unknown_not_at_all(tracker, uri):
    run_id = tracker.start_trial(0, params={}, metrics={"macs": None}, tags={})
    tracker.log_epochs(run_id, [{"loss": 1.0}, {"loss": math.inf}, {"loss": math.nan}, {"loss": -math.inf}])
    tracker.end_trial(run_id, state="FAIL", reason="not_finite", metrics={"value": None}, message="the loss is NaN")
    trial = runs_of(uri)["trial-0000"]
    (first, *rest) = history(uri, trial, "loss")
    assert first == (1, 1.0)
    assert [step for step, _ in rest] == [2, 3, 4]
    assert all(math.isnan(value) for _, value in rest)
    assert set(trial.data.metrics) == {"loss"}
    assert trial.data.tags["trial.message"] == "the loss is NaN"


def test_a_resumed_study_goes_on_in_its_own_parent_run(tracker, uri):
    tracker.finish_study("KILLED", {}, {})
    other = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    other.start_study("it's another's", {"budget": 1}, {})
    again = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    again.start_study("first", {"budget": 15_000, "trials": 40, "workers": 2}, {"profile": "full"})
    record_trial(again, 0)

    assert again.run_id == tracker.run_id != other.run_id
    runs = runs_of(uri)
    parent = runs["first"]
    assert parent.info.status == "RUNNING"
    assert parent.data.params == {"budget": "15000", "trials": "20", "workers": "2"}
    assert (parent.data.tags["trials"], parent.data.tags["profile"]) == ("40", "full")
    assert runs["trial-0000"].data.tags["mlflow.parentRunId"] == tracker.run_id


def test_a_worker_records_its_trials_under_the_parent_run(tracker, uri):
    worker = Tracker(uri, EXPERIMENT, warn=fail_on_warning, joins=tracker.study_run)
    record_trial(worker, 3)
    assert runs_of(uri)["trial-0003"].data.tags["mlflow.parentRunId"] == tracker.run_id


def test_names_and_values_that_mlflow_refuses_are_made_safe_and_stay_apart(tracker, uri):
    refused = ["units(1)", "units[1]", "..", "", "/a", "a//b", "a/", "n" * 300, "n" * 301, "cell:1"]
    params = {name: index for index, name in enumerate(refused)} | {f"p{index}": index for index in range(150)}
    params |= {"long": "x" * 7000, "layer/filters 1.a-b": 1}
    epochs = [{f"metric[{index}]": float(step) for index in range(30)} for step in range(1, 51)]  # 1,500 points
    run_id = tracker.start_trial(0, params=params, metrics={}, tags={"note(1)": "y" * 9000})
    tracker.log_epochs(run_id, epochs)

    data = runs_of(uri)["trial-0000"].data
    assert len(data.params) == len(params)
    assert sorted(data.params.values()) == sorted(
        str(value) for value in (params | {"long": "x" * 5997 + "..."}).values()
    )
    assert data.params["layer/filters 1.a-b"] == "1"
    assert "y" * 7997 + "..." in data.tags.values()
    assert list(data.metrics.values()) == [50.0] * 30


def test_passwords_reach_neither_params_nor_tags_nor_display(uri):
    tracker = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    secret = "postgresql://me:hunter2@db/optuna"
    tracker.start_study("first", {"storage": secret}, {"note": f"kept in {secret}"})
    run_id = tracker.start_trial(0, params={}, metrics={}, tags={"storage": secret})
    tracker.end_trial(run_id, state="FAIL", reason="error", metrics={}, message=f"cannot reach {secret}")
    for run in runs_of(uri).values():
        assert "hunter2" not in str(run.to_dictionary())
        assert "postgresql://me:***@db/optuna" in str(run.to_dictionary())


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
    assert resumed.reconcile(trials) == 3
    assert resumed.reconcile(trials) == 0

    runs = runs_of(uri)
    assert sorted(runs) == ["first", *(f"trial-000{number}" for number in (0, 1, 2, 4, 5))]
    ends = {name: (run.info.status, run.data.tags.get("trial.reason")) for name, run in runs.items()}
    assert ends["trial-0001"] == ("FINISHED", None)
    assert ends["trial-0002"] == ("RUNNING", None)
    assert ends["trial-0004"] == ("KILLED", "stopped_early")
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
    assert tracker.reconcile([TRIAL | {"number": 1, "run_id": named}]) == 1
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
    assert again.reconcile([TRIAL | {"number": 0}]) == 1
    assert runs_of(uri)["trial-0000"].data.tags["mlflow.parentRunId"] == again.run_id != tracker.run_id


def test_an_experiment_deleted_in_mlflow_is_restored_and_the_user_told(tracker, uri):
    client_of(uri).delete_experiment(tracker.experiment_id)
    told = []
    again = Tracker(uri, EXPERIMENT, warn=told.append)
    assert again.start_study("first", {}, {}) == tracker.run_id
    assert len(told) == 1
    assert EXPERIMENT in told[0]


OPEN = """
import os, sys
from kerastuna.search.tracking.tracker import Tracker
assert "mlflow" not in sys.modules, "importing the module must not import MLflow"
tracker = Tracker(sys.argv[1], "shared", warn=print)
tracker.start_study(sys.argv[2], {}, {})
import mlflow.telemetry
assert mlflow.telemetry.get_telemetry_client() is None, "MLflow reports usage over the network"
assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
print(tracker.experiment_id)
"""


def test_processes_that_open_a_new_database_at_once_share_it_in_silence(tmp_path):
    uri = default_tracking_uri(tmp_path / "new folder")
    processes = [run_python(OPEN, uri, f"study-{index}") for index in range(3)]
    ended = [(*process.communicate(), process.returncode) for process in processes]
    assert {(errors, status) for _, errors, status in ended} == {("", 0)}
    assert len({output for output, _, _ in ended}) == 1, "one experiment for all"
    assert sorted(runs_of(uri, "shared")) == ["study-0", "study-1", "study-2"]
    assert not (tmp_path / "new folder" / "mlflow.db.new").exists()
    with contextlib.closing(sqlite3.connect(tmp_path / "new folder" / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_experiment_that_another_process_makes_first_is_shared(uri, monkeypatch):
    from mlflow import MlflowClient

    create = MlflowClient.create_experiment

    def create_after_another(client, name, **options):
        create(client, name)
        return create(client, name, **options)

    monkeypatch.setattr(MlflowClient, "create_experiment", create_after_another)
    tracker = Tracker(uri, "new", warn=fail_on_warning)
    assert client_of(uri).get_experiment(tracker.experiment_id).name == "new"


def test_a_kill_while_the_database_is_made_leaves_nothing_broken(tmp_path):
    process = run_python(OPEN, default_tracking_uri(tmp_path), "killed")
    unfinished = tmp_path / "mlflow.db.new"
    while not (unfinished.exists() and unfinished.stat().st_size):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (tmp_path / "mlflow.db").exists(), "killed too late to show anything"

    tracker = Tracker(default_tracking_uri(tmp_path), EXPERIMENT, warn=fail_on_warning)
    tracker.start_study("first", {}, {})
    assert list(runs_of(default_tracking_uri(tmp_path))) == ["first"]
    assert not unfinished.exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("mlruns", "'mlruns' names no database"),
        ("", "'' names no database"),
        ("file:///tmp/mlruns", "names no database"),
        (r"C:\mlruns", "names no database"),
        ("me:hunter2@host:5000", "'me:***@host:5000' names no database"),
        ("sqlite://", "names no file"),
        ("sqlite:///{folder}", "unable to open database file"),
        ("sqlite:///{folder}/text.db", "file is not a database"),
        ("sqlite:///{folder}/text.db/mlflow.db", "File exists"),
        ("sqlite:///{folder}/other.db", "database of another program"),
        ("nowhere://me:hunter2@host/x", "nowhere://me:***@host/x"),
        ("postgresql+nothing://me:hunter2@127.0.0.1:1/x", "postgresql+nothing://me:***@127.0.0.1:1/x"),
        ("http://me:hunter2@127.0.0.1:{port}", "Connection refused"),
    ],
)
def test_a_uri_that_cannot_be_used_is_refused_in_one_line(tmp_path, given, told, capfd, caplog):
    (tmp_path / "text.db").write_text("this is not a database, however long one reads it\n" * 100)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE trials (number INTEGER)")
    given = given.format(folder=tmp_path, port=free_port())
    with pytest.raises(InputError) as refusal:
        Tracker(given, EXPERIMENT, warn=fail_on_warning)
    line = str(refusal.value)
    assert told in line
    assert "sqlite:////folder/mlflow.db" in line or "file of its own" in line, "what to do"
    assert "\n" not in line
    assert "hunter2" not in line
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("trials",)], "left as it was"


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
    assert worker.reconcile([TRIAL | {"number": 0}]) == 0
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
        assert tracker.reconcile(trials) == 2
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


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("postgresql+psycopg://me:pw@db:5432/x", "postgresql+psycopg://me:***@db:5432/x"),
        ("https://token@host/path", "https://***@host/path"),
        ("redis://:pw@host", "redis://:***@host"),
        ("mysql://me:p@ss/w:rd@db/x", "mysql://me:***@db/x"),
        ("postgresql://db/x?user=me&password=pw&sslmode=on", "postgresql://db/x?user=me&password=***&sslmode=on"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dpw", "mssql+pyodbc:///?odbc_connect=***"),
        ("no route from http://a:1 to http://me:pw@b:2, sorry", "no route from http://a:1 to http://me:***@b:2, sorry"),
        ("trial 7: 3 of 4 @ 10:30", "trial 7: 3 of 4 @ 10:30"),
    ],
)
def test_redact(text, redacted):
    assert redact(text) == redacted


@given(st.text(string.ascii_letters + string.digits + string.punctuation, min_size=1))
def test_no_password_survives_redaction(password):
    for uri in (f"http://user:<{password}>@host:5000/x", f"postgresql+psycopg://:<{password}>@host/db"):
        assert f"<{password}>" not in redact(uri)
        assert redact(uri).endswith(uri.rpartition("@")[2])


def test_the_view_of_a_study_lists_its_trials_best_first(tracker, uri):
    view_key = ui_path(tracker.study_run).rpartition("viewStateShareKey=")[2]
    experiment = client_of(uri).get_experiment(tracker.experiment_id)
    view = json.loads(experiment.tags[f"mlflow.sharedViewState.{view_key}"])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`value`", False)
    record_trial(tracker, 0)
    found = client_of(uri).search_runs([tracker.experiment_id], view["searchFilter"])
    assert {run.info.run_name for run in found} == {"first", "trial-0000"}


# Other goals


SCORES = {10: 0.9, 20: 0.95, 30: 0.93, 9: 0.96, 40: 0.94}
"""What networks of so many units reach; each unit costs ten parameters."""


class Searched:
    """A study whose trials are told what they reach, recorded as a search records it."""

    def __init__(self, uri: str, folder: Path, **goal: Any) -> None:
        import keras_tuner
        from optuna.storages import InMemoryStorage

        from kerastuna.search.study.budget import Budget, Size
        from kerastuna.search.tracking.recorder import TrackingObserver
        from kerastuna.search.tuning.oracle import OptunaOracle

        space = keras_tuner.HyperParameters()
        space.Int("units", 1, 60)
        self.oracle = OptunaOracle(
            max_trials=20,
            hyperparameters=space,
            budget=Budget(1000, ram=4000),
            storage=InMemoryStorage(),
            study_name="goals",
            seed=0,
            **goal,
        )
        self.oracle._set_project_dir(str(folder), "goals")
        self.oracle.measure = lambda values: Size(10 * values.get("units"), 100 * values.get("units"), 1000)
        self.tracker = Tracker(uri, EXPERIMENT, artifact_root=folder / "artifacts", warn=fail_on_warning)
        self.observer = TrackingObserver(self.tracker, {"device": "none"})
        self.oracle.observers = (self.observer,)
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
    search.try_out(10, 20)
    client = client_of(uri)
    for name, run in runs_of(uri).items():
        if name != "goals":
            client.delete_run(run.info.run_id)
    search.observer.search_ended("FINISHED")
    assert search.tags("reached") == {10: "no", 20: "yes"}
    metrics = {int(run.data.params["units"]): run.data.metrics for run in runs_of(uri).values() if run.data.params}
    assert metrics[20]["params_if_reached"] == 200
    assert {unit: own["ram"] for unit, own in metrics.items()} == {10: 1000, 20: 1000}


def test_an_ordinary_study_has_neither_mark_nor_other_columns(uri, tmp_path):
    search = Searched(uri, tmp_path, objective="val_accuracy")
    search.try_out(10, 20)
    assert search.tags("front") == search.tags("reached") == {10: None, 20: None}
    columns, units = search.in_view()
    assert columns == [
        *(f"metrics.`{name}`" for name in ("value", "params", "macs", "ram", "seconds", "val_accuracy")),
        *("tags.`trial.state`", "tags.`trial.reason`"),
    ]
    assert units == [20, 10]


def test_the_report_of_a_study_is_with_its_run_and_kept_up_to_date(uri, tmp_path):
    from kerastuna.search.commands.search import log_report

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


def test_a_report_that_the_store_does_not_take_is_told_of_and_stops_nothing(tmp_path):
    told = []
    dead = Tracker(f"http://127.0.0.1:{free_port()}", EXPERIMENT, warn=told.append, joins=StudyRun("1", "0" * 32, "x"))
    (tmp_path / "leaderboard.csv").write_text("rank")
    dead.log_files(tmp_path, "report")
    assert len(told) == 1
    assert "fails" in told[0]
