"""The command from the shell: whole searches on real MNIST."""

import json
import textwrap
import time
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from support import call_kerastuna, run_kerastuna, write_slice

SEARCH = ("search", "--data", "slice.npz", "--epochs", "1", "--images", "300", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    write_slice(folder / "slice.npz")
    return folder


@pytest.fixture(scope="module")
def first(folder: Path) -> dict:
    """A search of two trials, without confirmation."""
    result = run_kerastuna(folder, *SEARCH, "--study", "one", "--trials", "2", "--no-confirm", "--json")
    assert "trial 2 (1/2): val_accuracy" in result.stderr
    return json.loads(result.stdout)


def test_search_json_by_the_contract(folder: Path, first: dict):
    assert set(first) == {"study", "profile", "trials", "failures", "best", "champion", "mlflow", "seconds"}
    assert first["failures"] == {}
    assert first["study"] == "one"
    assert first["profile"] == "quick"
    assert first["trials"] == {
        "complete": 2,
        "pruned": 0,
        "failed": 0,
        "over_budget": 2,
        "infeasible": 0,
        "duplicate": 0,
    }
    assert first["champion"] is None
    assert set(first["best"]) == {"trial", "value", "params", "hyperparameters"}
    assert first["best"]["params"] in (14652, 13380)
    assert first["mlflow"]["tracking_uri"] == f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}"


def test_the_references_over_the_budget_are_refused_with_their_counts(folder: Path, first: dict):
    trials = json.loads(call_kerastuna(folder, "trials", "--study", "one", "--json").stdout)
    assert [(trial["number"], trial["state"], trial["reason"], trial["params"]) for trial in trials] == [
        (0, "PRUNED", "over_budget", 15810),
        (1, "PRUNED", "over_budget", 15810),
        (2, "COMPLETE", None, 14652),
        (3, "COMPLETE", None, 13380),
    ] or trials[4:]  # the enqueued ones that were not reached yet are WAITING
    contract = {"number", "state", "reason", "value", "params", "macs", "epochs", "seconds", "hyperparameters"}
    assert set(trials[0]) == contract | {"ram", "flash", "activations", "limits"}
    assert (trials[0]["limits"], trials[2]["limits"]) == (["params"], None)
    assert trials[0]["epochs"] == 0
    assert trials[2]["epochs"] == 1
    assert trials[2]["macs"] == 3578496
    trained = json.loads(call_kerastuna(folder, "trials", "--study", "one", "--json", "--trained").stdout)
    assert [t["number"] for t in trained if t["state"] != "WAITING"] == [2, 3]


def test_mlflow_holds_the_trained_trials_and_the_table_of_the_refused(folder: Path, first: dict):
    client = MlflowClient(first["mlflow"]["tracking_uri"])
    parent = client.get_run(first["mlflow"]["run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["rejected_over_budget"] == 2
    report = {file.path for file in client.list_artifacts(parent.info.run_id, "report")}  # also without a champion
    assert {"report/leaderboard.csv", "report/optimization_history.png", "report/params_vs_accuracy.png"} <= report
    runs = client.search_runs(
        [parent.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'",
        order_by=["attributes.start_time"],
    )
    assert [run.info.run_name for run in runs] == ["trial-0002", "trial-0003"]
    eip_3 = runs[0]
    assert eip_3.data.tags["trial.state"] == "COMPLETE"
    assert eip_3.data.tags["reference"] == "eip_3"
    assert eip_3.data.metrics["params"] == 14652
    assert eip_3.data.params["block1_conv2"] == "32"
    assert {"device", "backend", "versions", "git_commit", "data_fingerprint", "seed"} <= set(eip_3.data.tags)
    accuracy = client.get_metric_history(eip_3.info.run_id, "val_accuracy")
    assert [point.step for point in accuracy] == [1]
    assert round(accuracy[0].value, 4) == eip_3.data.metrics["value"]
    assert eip_3.inputs is not None
    parts = {part.dataset.name for part in eip_3.inputs.dataset_inputs}
    assert len(parts) == 2
    assert {name.rpartition(" ")[2] for name in parts} == {"training", "validation"}
    assert {"loss", "accuracy", "val_loss", "learning_rate", "seconds"} <= set(eip_3.data.metrics)
    assert eip_3.data.metrics["learning_rate"] == pytest.approx(0.003)


def test_the_same_command_goes_on_and_repeats_nothing(folder: Path, first: dict):
    again = json.loads(
        call_kerastuna(folder, *SEARCH, "--study", "one", "--trials", "4", "--no-confirm", "--json").stdout
    )
    assert again["trials"]["complete"] + again["trials"]["pruned"] == 4
    study = optuna.load_study(
        study_name="one",
        storage=JournalStorage(JournalFileBackend(str(folder / "mlruns" / "optuna.journal"))),
    )
    trained = [t for t in study.trials if t.user_attrs.get("reason") not in ("over_budget", "infeasible", "duplicate")]
    values = [json.dumps(trial.user_attrs["hyperparameters"], sort_keys=True) for trial in trained]
    assert len(values) == len(set(values)) == 4
    assert again["mlflow"] == first["mlflow"]


def test_a_study_of_another_identity_is_refused(folder: Path, first: dict):
    result = call_kerastuna(folder, *SEARCH, "--study", "one", "--budget", "9000", check=2)
    assert "budget: 15000, now 9000" in result.stderr.splitlines()[-1]
    assert result.stdout == ""


def test_what_there_is_is_told_while_and_after_a_search(folder: Path, first: dict):
    assert "eip_3" in call_kerastuna(folder, "trials", "--study", "one").stdout
    everything = call_kerastuna(folder, "trials", "--study", "one", "--all").stdout
    assert "over budget" in everything
    assert "15,810" in everything
    rows = json.loads(call_kerastuna(folder, "studies", "--json").stdout)
    assert [row["name"] for row in rows] == ["one"]
    assert rows[0]["trained"] >= 2
    described = json.loads(call_kerastuna(folder, "describe", "--study", "one", "--trial", "2", "--json").stdout)
    assert described["params"]["total"] == 14652
    missing = call_kerastuna(folder, "trials", "--study", "two", check=2)
    assert "there is: one" in missing.stderr


def test_nothing_that_fits_ends_with_the_smallest_count(folder: Path):
    result = call_kerastuna(folder, *SEARCH, "--study", "tiny", "--budget", "60", "--trials", "1", check=1)
    line = result.stderr.strip().splitlines()[-1]
    assert "1,000 proposals in a row did not fit 60 parameters; the smallest had" in line
    assert "Traceback" not in result.stderr


def test_a_space_and_data_of_the_users_own(tmp_path: Path):
    write_slice(tmp_path / "digits.npz", train=200, test=50)
    (tmp_path / "my_space.py").write_text(
        textwrap.dedent(
            """
            import keras

            def build(hp):
                model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
                model.add(keras.layers.Dense(hp.Int("units", 2, 64, sampling="log"), activation="relu"))
                model.add(keras.layers.Dense(10, activation="softmax"))
                model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
                return model

            def data():
                import numpy as np
                digits = np.load("digits.npz")
                def never():
                    raise AssertionError("the test part was read")
                return {"x_train": digits["x_train"], "y_train": digits["y_train"], "x_test": never, "y_test": never}
            """
        )
    )
    result = call_kerastuna(
        tmp_path,
        *("search", "--space", "my_space:build", "--data", "my_space:data", "--budget", "10000", "--trials", "2"),
        *("--epochs", "1", "--no-confirm", "--json"),
    )
    told = json.loads(result.stdout)
    assert told["trials"]["complete"] + told["trials"]["pruned"] == 2
    assert told["best"]["params"] <= 10000
    units = told["best"]["hyperparameters"]["units"]
    assert told["best"]["params"] == 784 * units + units + 10 * units + 10


def test_a_timeout_ends_the_search_and_keeps_the_trial_for_later(folder: Path):
    began = time.monotonic()
    arguments = [*SEARCH[:3], "--epochs", "500", *SEARCH[5:], "--study", "late", "--trials", "9", "--no-confirm"]
    result = call_kerastuna(folder, *arguments, "--timeout", "8", check=1)
    assert "no trial is complete yet" in result.stderr
    assert time.monotonic() - began < 120
    trials = json.loads(call_kerastuna(folder, "trials", "--study", "late", "--json").stdout)
    assert [trial["reason"] for trial in trials if trial["state"] == "FAIL"] == ["timeout"]
