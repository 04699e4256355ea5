"""The champion's record, and where its model is found."""

import os
from pathlib import Path

import optuna
import pytest

from kerastuna.search.champion.record import CHAMPION, MODEL_NAME, champion_of, model_folder, model_path_of
from kerastuna.search.errors import InputError


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of runs with the model of a champion of the study "digits"."""
    folder = tmp_path / "project" / "mlruns"
    model = model_folder(folder, "digits") / MODEL_NAME
    model.parent.mkdir(parents=True)
    model.touch()
    return folder


def test_the_folder_is_absolute_wherever_it_is_named_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_folder(Path("mlruns"), "digits") == tmp_path / "mlruns" / "champions" / "digits"


def test_the_model_is_found_from_another_working_folder(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_folder(runs, "digits") / MODEL_NAME
    (runs.parent / "elsewhere").mkdir()
    monkeypatch.chdir(runs.parent / "elsewhere")
    assert model_path_of({"study": "digits", "model_path": str(model)}, Path("mlruns")) == model
    old = {"study": "digits", "model_path": "mlruns/champions/digits/champion.keras"}  # as 0.1.0 recorded it
    assert model_path_of(old, Path(os.pardir) / "mlruns") == model


def test_the_model_is_found_where_its_folder_was_moved(runs: Path) -> None:
    record = {"study": "digits", "model_path": str(model_folder(runs, "digits") / MODEL_NAME)}
    moved = runs.rename(runs.parent / "archive")
    assert model_path_of(record, moved) == model_folder(moved, "digits") / MODEL_NAME
    with pytest.raises(InputError, match=r"the champion of study 'digits' is not at .*: give the --folder"):
        model_path_of(record, runs)


def test_a_study_has_no_champion_until_it_is_confirmed() -> None:
    study = optuna.create_study()
    assert champion_of(study) is None
    study.set_user_attr(CHAMPION, {"trial": 3})
    assert champion_of(study) == {"trial": 3}
