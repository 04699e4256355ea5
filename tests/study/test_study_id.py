"""The id of a study, and the folders that belong to it."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from study_support import IDENTITY, opened

from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.study_id import ID_FILE, StudyId, found_folder, id_of, identify, own_folder, owner_of

A, B, OLD = StudyId("a" * 32, True), StudyId("b" * 32, True), StudyId("c" * 32, False)


def test_processes_that_make_a_study_at_once_agree_on_its_id(location: str | Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(lambda _: id_of(opened(open_storage(location)).user_attrs), range(4)))
    (one,) = ids
    assert one is not None
    assert one.born
    assert len(one.id) == 32


def test_two_storages_have_two_studies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (opened(open_storage(tmp_path / name)).user_attrs for name in ("one", "two"))
    assert id_of(first) != id_of(second)
    assert id_of(opened(open_storage(tmp_path / "one")).user_attrs) == id_of(first)
    shutil.copy(tmp_path / "one", tmp_path / "copy")
    assert id_of(opened(open_storage(tmp_path / "copy")).user_attrs) == id_of(first)
    assert caplog.messages == []


def test_a_study_of_an_earlier_version_gets_its_id_once_and_it_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = open_storage(tmp_path / "journal")
    old = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    old.set_user_attr("identity", IDENTITY | {"data": {"name": "mnist", "input_shape": [28, 28, 1]}})
    assert id_of(old.user_attrs) is None
    found = id_of(opened(storage).user_attrs)
    assert found is not None
    assert not found.born
    assert id_of(opened(storage).user_attrs) == found
    assert identify(storage, old, born=True) == (found, False)
    (told,) = caplog.messages
    assert told.startswith("study 's' is of an earlier version: what is kept under its name")


def test_two_studies_of_one_name_have_two_folders(tmp_path: Path) -> None:
    first, second = own_folder(tmp_path, "s", A, "*.keras"), own_folder(tmp_path, "s", B, "*.keras")
    assert (first.name, second.name) == ("s", "s-bbbbbbbb")
    assert (owner_of(first), owner_of(second)) == (A.id, B.id)
    assert own_folder(tmp_path, "s", A, "*.keras") == found_folder(tmp_path, "s", A) == first
    assert own_folder(tmp_path, "s", B, "*.keras") == found_folder(tmp_path, "s", B) == second
    assert found_folder(tmp_path, "s", OLD) is None
    assert found_folder(tmp_path, "s", None) is None
    assert [file.name for file in first.iterdir()] == [ID_FILE]


def test_a_folder_without_an_id_is_that_of_an_older_study(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "champion.keras").touch()
    assert found_folder(tmp_path, "s", None) == found_folder(tmp_path, "s", OLD) == tmp_path / "s"
    assert found_folder(tmp_path, "s", A) is None
    assert own_folder(tmp_path, "s", A, "*.keras").name == "s-aaaaaaaa"  # of a study that is gone, or older
    assert own_folder(tmp_path, "s", OLD, "*.keras").name == "s"
    assert found_folder(tmp_path, "s", None) is None


def test_of_studies_that_claim_a_folder_at_once_one_gets_it(tmp_path: Path) -> None:
    owners = [StudyId(f"{number}" * 32, True) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        folders = list(pool.map(lambda owner: own_folder(tmp_path, "s", owner, "*.keras"), owners))
    assert len(set(folders)) == 6
    assert sum(folder.name == "s" for folder in folders) == 1
    assert [owner_of(folder) for folder in folders] == [owner.id for owner in owners]
