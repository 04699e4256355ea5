"""An attribute of a study that many change at once: no change is lost."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from kerastuna.search.compat.optuna_attributes import change_attribute, change_study_attribute
from kerastuna.search.errors import StudyError
from kerastuna.search.study.storage import open_storage

STORAGES: dict[str, Callable[[Path], BaseStorage]] = {
    "journal": lambda folder: open_storage(folder / "journal"),
    "database": lambda folder: open_storage(f"sqlite:///{folder}/ours.db"),
    "optuna's database": lambda folder: RDBStorage(f"sqlite:///{folder}/plain.db"),
}


@pytest.mark.parametrize("kind", list(STORAGES))
def test_of_many_who_change_it_at_once_none_undoes_another(kind: str, tmp_path: Path) -> None:
    study = optuna.create_study(storage=STORAGES[kind](tmp_path), study_name="s")

    def work(name: int) -> None:
        storage = STORAGES[kind](tmp_path)
        number = storage.get_study_id_from_name("s")
        start.wait()
        for _ in range(5):
            change_attribute(storage, number, "names", lambda old: [*(old or []), name])
        study = optuna.load_study(study_name="s", storage=storage)
        change_study_attribute(study, "names", lambda old: [*(old or []), name])

    start = threading.Barrier(4)
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(work, range(4)))
    names = optuna.load_study(study_name="s", storage=STORAGES[kind](tmp_path)).user_attrs["names"]
    assert sorted(names) == sorted(list(range(4)) * 6)
    assert study.user_attrs["names"] == names


@pytest.mark.parametrize("kind", STORAGES)
def test_a_study_that_was_deleted_has_no_attributes(kind: str, tmp_path: Path) -> None:
    study = optuna.create_study(storage=STORAGES[kind](tmp_path), study_name="s")
    other = STORAGES[kind](tmp_path)
    optuna.delete_study(study_name="s", storage=other)
    with pytest.raises((KeyError, StudyError)):
        change_study_attribute(study, "names", lambda old: [*(old or []), "a"])


@pytest.mark.parametrize("kind", [*STORAGES, "memory", "optuna's journal"])
def test_the_value_is_returned_and_the_same_one_is_not_written(kind: str, tmp_path: Path) -> None:
    made: dict[str, Callable[[Path], BaseStorage]] = {
        **STORAGES,
        "memory": lambda folder: InMemoryStorage(),
        "optuna's journal": lambda folder: JournalStorage(JournalFileBackend(str(folder / "plain"))),
    }
    storage = made[kind](tmp_path)
    study = optuna.create_study(storage=storage, study_name="s")
    number = storage.get_study_id_from_name("s")
    assert change_attribute(storage, number, "id", lambda old: old or {"id": "a"}) == {"id": "a"}
    before = [file.read_bytes() for file in tmp_path.glob("journal")]
    assert change_attribute(storage, number, "id", lambda old: old or {"id": "b"}) == {"id": "a"}
    assert [file.read_bytes() for file in tmp_path.glob("journal")] == before
    assert change_attribute(storage, number, "id", lambda old: {**old, "n": 1}) == {"id": "a", "n": 1}
    assert study.user_attrs == {"id": {"id": "a", "n": 1}}
