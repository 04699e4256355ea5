"""Storages: journal files and databases, and what is said when one cannot be opened."""

from pathlib import Path

import pytest
from optuna.pruners import NopPruner
from optuna.storages import InMemoryStorage
from study_support import opened

from kerastuna.search.errors import StudyError
from kerastuna.search.study.goal import BestMetric, Quantity, goal_of
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.studies import load_study


def test_a_study_is_found_again_wherever_it_is_kept(location: str | Path) -> None:
    study = opened(open_storage(location))
    trial = study.ask()
    trial.suggest_int("n", 0, 9)
    study.tell(trial, 0.5)
    again = opened(open_storage(location))
    assert [trial.values for trial in again.trials] == [[0.5]]
    assert isinstance(again.pruner, NopPruner)
    assert goal_of(again) == BestMetric(Quantity("val_accuracy", "max"))


def test_a_storage_and_a_journal_url_are_taken(tmp_path: Path) -> None:
    storage = InMemoryStorage()
    assert open_storage(storage) is storage
    opened(open_storage(f"journal://{tmp_path}/j"))
    assert load_study(open_storage(tmp_path / "j"), "s").study_name == "s"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@localhost:1/db",
        "postgresql://me:sec/secret@host@localhost/db",
        "postgresql+nodriver://me:secret@localhost/db",
        "mysql://me:secret@[not-an-address/db",
        "nonsense://me:secret@localhost:port/db",
        "postgresql://localhost/db?user=me&password=secret",
    ],
)
def test_a_database_that_cannot_be_opened_is_told_without_its_password(url: str) -> None:
    with pytest.raises(StudyError, match=r"cannot be opened \(\w+.*\): give|needs \w+, .*: pip install ") as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(StudyError, match=r"cannot be opened: .*; give a path that can be written"):
        open_storage(tmp_path / "file" / "journal")
    with pytest.raises(StudyError, match="cannot be opened: Is a directory"):
        open_storage(tmp_path)
    with pytest.raises(StudyError, match="is not a journal of Optuna"):
        open_storage(tmp_path / "file")
