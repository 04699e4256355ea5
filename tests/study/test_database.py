"""Databases: what is told in one line when they cannot be opened, or fail later."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, text

from kerastuna.search.errors import StudyError
from kerastuna.search.study import database
from kerastuna.search.study.database import open_database


def test_the_tables_are_made_and_found_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    optuna.create_study(storage=open_database(url), study_name="s")
    assert optuna.get_all_study_names(open_database(url)) == ["s"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosql://user:secret@host/studies", r"storage 'nosql://user:\*\*\*@host/studies' cannot be opened"),
        ("sqlite:////no/such/folder/studies.db", "cannot be opened .*unable to open database file"),
    ],
)
def test_one_that_cannot_be_opened_is_told_in_one_line(url: str, message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        open_database(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_that_fails_later_is_told_in_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = optuna.create_study(storage=open_database(url), study_name="s")
    with create_engine(url).begin() as connection:
        connection.execute(text("DROP TABLE trials"))
    with pytest.raises(StudyError, match=r"failed .*no such table: trials.*what was stored is kept"):
        study.ask()


def test_a_study_that_is_never_free_is_not_said_to_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_database(f"sqlite:///{tmp_path / 'studies.db'}")
    optuna.create_study(storage=storage, study_name="busy")
    monkeypatch.setattr(RDBStorage, "delete_study", lambda self, study_id: None)
    monkeypatch.setattr(database, "DELETE_SECONDS", 0.2)
    with pytest.raises(StudyError, match="study 'busy' cannot be deleted while it is written to at every moment"):
        optuna.delete_study(study_name="busy", storage=storage)
