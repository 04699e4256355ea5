"""The command: a search that ends with a champion, and what is left of it."""

import json
import textwrap
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import optuna
import pytest
from mlflow import MlflowClient
from support import call_kerastuna, write_slice

from kerastuna.search.champion.ledger import openings
from kerastuna.search.study.storage import open_storage

# Its test part writes down each time it is opened, and whether the study's ledger held the opening by then.
DATA = """
    from pathlib import Path
    import numpy as np

    def digits():
        slice = np.load("slice.npz")
        def x_test():
            ledger = "test_openings" in Path("mlruns/optuna.journal").read_text()
            with open("opened.txt", "a") as file:
                print("in the ledger" if ledger else "unannounced", file=file)
            return slice["x_test"]
        return {
            "x_train": slice["x_train"], "y_train": slice["y_train"],
            "x_test": x_test, "y_test": lambda: slice["y_test"],
        }

    def small_or_large():
        return {key: (array >= 5) * 1 if key[0] == "y" else array for key, array in np.load("slice.npz").items()}

    def untested():
        slice = np.load("slice.npz")
        return {"x_train": slice["x_train"], "y_train": slice["y_train"]}
"""
SPACE = """
    from typing import final
    import keras
    from kerastuna.spaces import Architecture, Conv2D, Dense, Flatten, Recipe, SearchSpace

    @final
    class Small(SearchSpace):
        def architecture(self, hp):
            layers = (Conv2D(hp.Int("filters", 2, 6), 7, strides=5, activation="relu"), Flatten())
            return Architecture(self.input_shape, (*layers, Dense(self.classes, activation="softmax")))

        def recipe(self, hp):
            return Recipe(hp.Float("learning_rate", 0.005, 0.05, sampling="log"), batch_size=64)

    def of_one_output(hp, activation, from_logits):
        rate = hp.Float("learning_rate", 0.005, 0.05, sampling="log")
        last = keras.layers.Dense(1, activation=activation)
        model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), last])
        loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        return model

    def sigmoid(hp):
        return of_one_output(hp, "sigmoid", False)

    def logit(hp):
        return of_one_output(hp, None, True)  # and the accuracy of Keras expects probabilities
"""
COMMON = ("--epochs", "2", "--images", "128", "--trials", "2", "--device", "cpu")
SEARCH = ("search", "--data", "my_data:digits", "--space", "my_space:Small", *COMMON)
CONFIRM = ("--top", "2", "--seeds", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("champion")
    write_slice(folder / "slice.npz")
    (folder / "my_data.py").write_text(textwrap.dedent(DATA))
    (folder / "my_space.py").write_text(textwrap.dedent(SPACE))
    return folder


@pytest.fixture(scope="module")
def told(folder: Path) -> dict:
    searched = call_kerastuna(folder, *SEARCH, "--study", "digits", "--no-confirm", "--json")
    assert not (folder / "opened.txt").exists(), "the search opened the test set"
    assert json.loads(searched.stdout)["champion"] is None
    return json.loads(call_kerastuna(folder, *SEARCH, "--study", "digits", *CONFIRM, "--json").stdout)


def _opened(folder: Path) -> list[str]:
    return (folder / "opened.txt").read_text().splitlines()


def test_the_test_set_is_opened_once_and_announced(folder: Path, told: dict):
    assert _opened(folder) == ["in the ledger"]
    champion = told["champion"]
    assert set(champion) == {"trial", "params", "validation", "test", "model"}
    assert champion["validation"]["n"] == champion["test"]["n"] == 2
    assert champion["test"]["opening"] == 1
    assert champion["test"]["min"] <= champion["test"]["mean"] <= champion["test"]["max"]
    assert champion["params"] <= 15000
    assert champion["model"] == "models:/digits@champion"


def test_the_champion_loads_from_the_registry_and_gives_its_figures(folder: Path, told: dict):
    from mlflow.keras import load_model

    mlflow.set_tracking_uri(told["mlflow"]["tracking_uri"])
    model: Any = load_model("models:/digits@champion")
    with np.load(folder / "slice.npz") as data:
        x, y = data["x_test"][..., None].astype("float32") / 255, data["y_test"]
    accuracy = float((model.predict(x, verbose=0).argmax(axis=1) == y).mean())
    client = MlflowClient(told["mlflow"]["tracking_uri"])
    version = client.get_model_version_by_alias("digits", "champion")
    assert version.run_id is not None
    run = client.get_run(version.run_id)
    assert run.data.tags["mlflow.parentRunId"] == told["mlflow"]["run_id"]
    assert run.data.metrics["test_min"] <= accuracy <= run.data.metrics["test_max"]
    assert run.data.metrics["test_mean"] == pytest.approx(told["champion"]["test"]["mean"])
    assert run.data.metrics["validation_mean"] == pytest.approx(told["champion"]["validation"]["mean"])
    assert run.outputs is not None
    logged = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert logged.metrics is not None
    assert {metric.key for metric in logged.metrics} >= {"validation_mean", "test_mean", "params"}


def test_figures_card_and_leaderboard_are_with_the_runs(folder: Path, told: dict):
    client = MlflowClient(told["mlflow"]["tracking_uri"])
    parent = {file.path for file in client.list_artifacts(told["mlflow"]["run_id"], "report")}
    assert {"report/leaderboard.csv", "report/optimization_history.png", "report/params_vs_accuracy.png"} <= parent
    run_id = client.get_model_version_by_alias("digits", "champion").run_id
    assert run_id is not None
    own = {file.path for file in client.list_artifacts(run_id)}
    assert {"MODEL_CARD.md", "learning_curves.png", "confusion_matrix.png", "mistakes.png", "architecture.png"} <= own
    card = (folder / "mlruns" / "champions" / "digits" / "MODEL_CARD.md").read_text()
    assert f"{told['champion']['params']:,}" in card
    assert f"{told['champion']['test']['mean']:.4f}" in card


def test_the_same_command_again_opens_nothing(folder: Path, told: dict):
    again = json.loads(call_kerastuna(folder, *SEARCH, "--study", "digits", *CONFIRM, "--json").stdout)
    assert again["champion"] == told["champion"]
    assert len(_opened(folder)) == 1


def test_a_second_look_has_to_be_asked_for_and_is_numbered(folder: Path, told: dict):
    looked = call_kerastuna(folder, "confirm", "--study", "digits", *CONFIRM, "--again")
    assert "opening 2 of the test set" in looked.stdout
    assert _opened(folder) == ["in the ledger"] * 2


def test_the_champion_is_exported_with_its_card(folder: Path, told: dict):
    result = call_kerastuna(folder, "export", "--study", "digits", "--formats", "keras,litert", "--json")
    manifest = json.loads(result.stdout)
    assert manifest["passed"] is True
    assert set(manifest["formats"]) == {"keras", "litert"}
    assert manifest["lineage"]["study"] == "digits"
    assert "test" not in manifest["formats"]["litert"]
    out = folder / "export" / "digits"
    assert {"manifest.json", "MODEL_CARD.md", "model.keras", "model.tflite"} <= {file.name for file in out.iterdir()}


def test_without_a_test_part_there_is_a_champion_without_a_test_figure(folder: Path, told: dict):
    before = len(_opened(folder))
    search = ("search", "--data", "my_data:untested", *COMMON, "--trials", "1")
    result = call_kerastuna(folder, *search, "--study", "untested", "--top", "1", "--seeds", "1", "--json")
    champion = json.loads(result.stdout)["champion"]
    assert champion["test"] is None
    assert champion["validation"]["n"] == 1
    assert len(_opened(folder)) == before


ONE_OUTPUT = ("--data", "my_data:small_or_large", *COMMON, "--trials", "1", "--top", "1", "--seeds", "1")


def test_a_single_sigmoid_is_recorded_as_keras_measures_it(folder: Path):
    result = call_kerastuna(
        folder, "search", *ONE_OUTPUT, "--space", "my_space:sigmoid", "--study", "sigmoid", "--json"
    )
    told = json.loads(result.stdout)
    path = folder / "mlruns" / "champions" / "sigmoid"
    model: Any = keras.models.load_model(path / "champion.keras")
    with np.load(folder / "slice.npz") as data:
        x, y = data["x_test"][..., None].astype("float32") / 255, (data["y_test"] >= 5).astype("int32")
    accuracy = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert told["champion"]["test"]["mean"] == pytest.approx(accuracy)
    assert told["champion"]["test"]["metric"] == "accuracy"
    assert accuracy > 0.5  # else its complement would be no mistake to see
    card = (path / "MODEL_CARD.md").read_text()
    assert "float32 (n, 1), the probability of class 1" in card
    run_id = MlflowClient(told["mlflow"]["tracking_uri"]).get_model_version_by_alias("sigmoid", "champion").run_id
    assert run_id is not None
    drawn = {file.path for file in MlflowClient(told["mlflow"]["tracking_uri"]).list_artifacts(run_id)}
    assert {"learning_curves.png", "confusion_matrix.png", "mistakes.png"} <= drawn


def test_answers_that_do_not_fit_their_metric_are_refused_before_the_test_set_is_opened(folder: Path):
    given = ("search", *ONE_OUTPUT, "--space", "my_space:logit", "--study", "logit")
    result = call_kerastuna(folder, *given, check=2)
    *_, line = result.stderr.splitlines()
    assert "where its answers, read as the logit of class 1, give" in line
    assert not openings(
        optuna.load_study(study_name="logit", storage=open_storage(folder / "mlruns" / "optuna.journal"))
    )
