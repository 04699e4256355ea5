"""The champion's record, and where its model is found."""

import os
from pathlib import Path

import optuna
import pytest

from kerastuna.search.champion.record import CHAMPION, MODEL_NAME, champion_of, model_folder, model_path_of
from kerastuna.search.errors import InputError

CONFIRM = "bin/kerastuna confirm --study digits --folder 'my runs'"


@pytest.fixture
def study() -> optuna.Study:
    study = optuna.create_study(study_name="digits")
    study.set_user_attr("study_id", {"id": "a" * 32, "born": True})
    return study


@pytest.fixture
def runs(tmp_path: Path, study: optuna.Study) -> Path:
    """A folder of runs with the model of a champion of the study "digits"."""
    folder = tmp_path / "project" / "mlruns"
    (model_folder(folder, study) / MODEL_NAME).touch()
    return folder


def test_the_folder_is_absolute_wherever_it_is_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: optuna.Study
) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_folder(Path("mlruns"), study) == tmp_path / "mlruns" / "champions" / "digits"


def test_the_model_is_found_from_another_working_folder(
    runs: Path, monkeypatch: pytest.MonkeyPatch, study: optuna.Study
) -> None:
    model = model_folder(runs, study) / MODEL_NAME
    (runs.parent / "elsewhere").mkdir()
    monkeypatch.chdir(runs.parent / "elsewhere")
    assert model_path_of(study, {"model_path": str(model)}, Path("mlruns"), CONFIRM) == model
    old = {"model_path": "mlruns/champions/digits/champion.keras"}  # as 0.1.0 recorded it
    assert model_path_of(study, old, Path(os.pardir) / "mlruns", CONFIRM) == model


def test_the_model_is_found_where_its_folder_was_moved(runs: Path, study: optuna.Study) -> None:
    record = {"model_path": str(model_folder(runs, study) / MODEL_NAME)}
    moved = runs.rename(runs.parent / "archive")
    assert model_path_of(study, record, moved, CONFIRM) == model_folder(moved, study) / MODEL_NAME
    with pytest.raises(InputError, match=r"the champion of study 'digits' is not at .*: give the --folder") as caught:
        model_path_of(study, record, runs, CONFIRM)
    assert str(caught.value).endswith(f" or run {CONFIRM} --again")


def test_the_model_of_another_study_of_this_name_is_not_found(runs: Path, study: optuna.Study) -> None:
    other = optuna.create_study(study_name="digits")
    other.set_user_attr("study_id", {"id": "b" * 32, "born": True})
    record = {"model_path": str(model_folder(runs, study) / MODEL_NAME)}
    with pytest.raises(InputError, match="is not at"):
        model_path_of(other, record, runs, CONFIRM)
    own = model_folder(runs, other)
    assert own.name == "digits-bbbbbbbb"
    (own / MODEL_NAME).touch()
    assert model_path_of(other, record, runs, CONFIRM) == own / MODEL_NAME


def test_a_study_of_an_earlier_version_finds_its_model(tmp_path: Path) -> None:
    old = optuna.create_study(study_name="digits")
    model = model_folder(tmp_path, old) / MODEL_NAME
    model.touch()
    record = {"model_path": str(model)}
    assert model_path_of(old, record, tmp_path, CONFIRM) == model
    old.set_user_attr("study_id", {"id": "c" * 32, "born": False})
    assert model_path_of(old, record, tmp_path, CONFIRM) == model
    assert model_folder(tmp_path, old) == model.parent


def test_a_study_has_no_champion_until_it_is_confirmed() -> None:
    study = optuna.create_study()
    assert champion_of(study) is None
    study.set_user_attr(CHAMPION, {"trial": 3})
    assert champion_of(study) == {"trial": 3}
