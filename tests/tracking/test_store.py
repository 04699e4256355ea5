"""The store: opened, refused in one line, and written to within its limits; the stores that fail are real ones."""

import contextlib
import math
import sqlite3
import time

import pytest
from tracking_support import EXPERIMENT, client_of, fail_on_warning, free_port, history, run_python, runs_of

from kerastuna.search.errors import InputError
from kerastuna.search.tracking.store import default_tracking_uri, file_of, open_client
from kerastuna.search.tracking.tracker import Tracker

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


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
        ("sqlite:///{folder}", "names a file that cannot be written"),
        ("sqlite:///{folder}/text.db", "file is not a database"),
        ("sqlite:///{folder}/text.db/mlflow.db", "names a file that cannot be written"),
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


def test_passwords_reach_neither_params_nor_tags_nor_display(uri):
    tracker = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    secret = "postgresql://me:hunter2@db/optuna"
    tracker.start_study("first", {"storage": secret}, {"note": f"kept in {secret}"})
    run_id = tracker.start_trial(0, params={}, metrics={}, tags={"storage": secret})
    tracker.end_trial(run_id, state="FAIL", reason="error", metrics={}, message=f"cannot reach {secret}")
    for run in runs_of(uri).values():
        assert "hunter2" not in str(run.to_dictionary())
        assert "postgresql://me:***@db/optuna" in str(run.to_dictionary())


def test_an_experiment_deleted_in_mlflow_is_restored_and_the_user_told(tracker, uri):
    client_of(uri).delete_experiment(tracker.experiment_id)
    told = []
    again = Tracker(uri, EXPERIMENT, warn=told.append)
    assert again.start_study("first", {}, {}) == tracker.run_id
    assert len(told) == 1
    assert EXPERIMENT in told[0]


@pytest.mark.parametrize("name", ["r?1", "r%201", "50%25/runs"])
def test_a_folder_whose_name_no_uri_can_hold_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"cannot hold MLflow's database, for a \? or % in its name .* --tracking-uri"):
        default_tracking_uri(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["my runs", "100%", "a%zz", "é#@:&=+;' x"])
def test_the_database_is_in_the_folder_whatever_else_its_name_is(tmp_path, name):
    uri = default_tracking_uri(tmp_path / name)
    assert file_of(uri) == tmp_path / name / "mlflow.db"
    open_client(uri)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_file_of_a_uri():
    assert str(file_of("sqlite+pysqlite:////a/b.db?timeout=5")) == "/a/b.db"
    assert file_of("sqlite://") is file_of("sqlite:///:memory:") is file_of("https://host/b.db") is None
