"""A champion published: its figures and card in MLflow, its version registered, the alias with the better one."""

from pathlib import Path
from typing import Any

import keras
import optuna
import pytest
from champion_record import RECORD
from mlflow import MlflowClient

from kerastuna.search.champion.ledger import open_test_set, openings
from kerastuna.search.champion.publish import Publisher, keep_card_up_to_date
from kerastuna.search.study.study_id import StudyId
from kerastuna.search.tracking.store import default_tracking_uri
from kerastuna.search.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    folder = tmp_path_factory.mktemp("published")
    uri = default_tracking_uri(folder)
    tracker = Tracker(uri, "published", artifact_root=folder / "artifacts", warn=lambda line: None)
    tracker.start_study(RECORD["study"], {}, {})
    return tracker


def test_the_better_of_two_holds_the_alias_and_each_card_names_its_own_model(tracker: Tracker, tmp_path: Path) -> None:
    publisher = Publisher(tracker, tracker.tracking_uri, {"device": "a processor"})
    model = keras.Sequential(
        [keras.Input(RECORD["data"]["input_shape"]), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    told: list[dict[str, Any]] = []
    for name, mean in (("first", 0.99), ("worse", 0.98)):
        record = {**RECORD, "registration": name, "model_path": str(tmp_path / name / "champion.keras")}
        record["test"] = {**RECORD["test"], "standard_error": None} if name == "first" else None
        epoch = {"accuracy": 0.5, "val_accuracy": 0.6, "loss": 2.0, "val_loss": 1.0}
        record["histories"] = [[epoch, epoch]]
        record["reference"] = None if name == "first" else "eip_3"
        int8 = {"metric": "accuracy", "mean": mean - 0.01, "float_mean": mean, "change": -0.01}
        record["validation"] = {**RECORD["validation"], "mean": mean, "int8": int8}
        if record["test"] is not None:
            record["test"]["int8"] = {"missing": "no reason"}
        (tmp_path / name).mkdir()
        told.append(publisher.publish(record, model, (-mean,), architecture=None, result=None, samples=None))
        assert told[-1]["model"] in (tmp_path / name / "MODEL_CARD.md").read_text()
    registered = RECORD["study"]
    assert [each["model"] for each in told] == [f"models:/{registered}@champion", f"models:/{registered}/2"]

    client = MlflowClient(tracker.tracking_uri, tracker.tracking_uri)
    version = client.get_model_version_by_alias(registered, "champion")
    assert str(version.version) == "1"
    assert version.run_id is not None
    run = client.get_run(version.run_id)
    assert run.data.metrics["validation_mean"] == 0.99
    assert run.data.metrics["validation_std"] == RECORD["validation"]["std"]
    assert run.data.metrics["test_std"] == RECORD["test"]["std"]
    assert run.data.metrics["params"] == RECORD["params"]
    assert run.data.metrics["test_mean"] == RECORD["test"]["mean"]
    assert run.data.metrics["validation_int8_mean"] == pytest.approx(0.98)
    assert run.data.metrics["validation_int8_change"] == -0.01
    assert not [name for name in run.data.metrics if name.startswith("test_int8")]
    assert "test_standard_error" not in run.data.metrics  # it is unknown, which is no number
    assert run.data.tags["device"] == "a processor"
    assert run.data.tags["trial.number"] == str(RECORD["trial"])
    assert len(client.get_metric_history(version.run_id, "params")) == 1
    assert "reference" not in run.data.tags
    assert run.inputs is not None
    assert {part.dataset.name for part in run.inputs.dataset_inputs} >= {"mnist training with validation"}
    model = client.get_registered_model(registered)
    assert model.description == (
        f"The best network of at most 15,000 parameters that the study {registered} found on mnist, by Kerastuna."
    )
    assert version.description is not None
    assert version.description.startswith(f"champion: trial {RECORD['trial']}, 14,652 parameters")
    assert "validation 99.00 %" in version.description
    assert "models:/" not in version.description
    second = client.get_run(client.get_model_version(registered, "2").run_id or "")
    assert second.data.tags["reference"] == "eip_3"
    kept = {file.path for file in client.list_artifacts(version.run_id)}
    assert {"MODEL_CARD.md", "learning_curves.png"} <= kept
    for number, one in (("1", version.run_id), ("2", second.info.run_id)):  # the alias may pass to another version
        card = Path(client.download_artifacts(one, "MODEL_CARD.md", str(tmp_path))).read_text()
        assert f"models:/{registered}/{number}" in card
        assert "@champion" not in card


def test_two_studies_of_one_name_have_two_registered_models(tracker: Tracker, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(RECORD["data"]["input_shape"]), keras.layers.Flatten()])
    told = []
    for digit in "ab":
        publisher = Publisher(tracker, tracker.tracking_uri, {}, StudyId(digit * 32, True))
        record = {**RECORD, "study": "one", "registration": digit, "model_path": str(tmp_path / "champion.keras")}
        told.append(publisher.publish(record, model, (0.0,), architecture=None, result=None, samples=None)["model"])
    assert told == ["models:/one@champion", "models:/one-bbbbbbbb@champion"]
    client = MlflowClient(tracker.tracking_uri, tracker.tracking_uri)
    version = client.get_model_version_by_alias("one-bbbbbbbb", "champion")
    assert version.tags["kerastuna.study_id"] == "b" * 32


@pytest.mark.parametrize("std", [None, 0.0])  # 0: as older records have it
def test_of_one_model_no_standard_deviation_is_recorded(std: float | None, tracker: Tracker, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(RECORD["data"]["input_shape"]), keras.layers.Flatten()])
    record = {**RECORD, "study": "one seed", "model_path": str(tmp_path / "champion.keras"), "registration": "c"}
    for part in ("validation", "test"):
        value = RECORD[part]["values"][0]
        record[part] = {**RECORD[part], "values": [value], "mean": value, "std": std, "n": 1}
    Publisher(tracker, tracker.tracking_uri, {}).publish(
        record, model, (0.0,), architecture=None, result=None, samples=None
    )
    client = MlflowClient(tracker.tracking_uri, tracker.tracking_uri)
    run_id = client.get_model_version_by_alias("one seed", "champion").run_id
    assert run_id is not None
    metrics = client.get_run(run_id).data.metrics
    assert (metrics["validation_n"], metrics["test_n"]) == (1, 1)
    assert metrics["test_mean"] == RECORD["test"]["values"][0]
    assert not [name for name in metrics if name.endswith("_std")]  # it is unknown, which is not 0
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "| standard deviation | unknown |" in card


def test_a_card_is_written_again_where_the_test_set_was_opened_since(tmp_path: Path) -> None:
    study, card = optuna.create_study(study_name="digits"), tmp_path / "MODEL_CARD.md"
    card.write_text("changed by the user")
    open_test_set(study, 76, "accuracy")
    champion = {**RECORD, "openings": [vars(opening) for opening in openings(study)]}
    keep_card_up_to_date(study, champion, card)
    assert card.read_text() == "changed by the user"
    open_test_set(study, 76, "parity of the exported formats")
    keep_card_up_to_date(study, {key: champion[key] for key in champion if key != "mlflow"}, card)  # not published yet
    assert card.read_text() == "changed by the user"
    keep_card_up_to_date(study, champion, card)
    assert "The test set was opened 2 times for this study." in card.read_text()
    assert "parity of the exported formats" in card.read_text()
