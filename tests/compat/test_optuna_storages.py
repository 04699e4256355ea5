"""The private names of Optuna's storages that are used still mean what they did."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from optuna.storages import GrpcStorageProxy, RDBStorage
from optuna.storages._rdb.models import BaseModel
from optuna.study import StudyDirection
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

from kerastuna.search.compat.optuna_storages import known_as, limit_calls, number_once, numbers_again

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def test_no_number_is_given_again(tmp_path: Path) -> None:
    number_once()
    storage = RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database:
        tables = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE name IN ('studies', 'trials')"))
    assert ["AUTOINCREMENT" in sql for sql in tables.values()] == [True, True]
    assert not numbers_again(storage)
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "first")
    trial_id = storage.create_new_trial(study_id)
    storage.delete_study(study_id)
    assert storage.create_new_study([StudyDirection.MAXIMIZE], "second") > study_id
    assert storage.create_new_trial(study_id + 1) > trial_id


def test_tables_of_servers_stay_as_they_are() -> None:
    number_once()
    for dialect in (mysql.dialect(), postgresql.dialect()):
        sql = str(CreateTable(BaseModel.metadata.tables["studies"]).compile(dialect=dialect))
        assert "AUTOINCREMENT" not in sql


def test_an_older_file_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("studies", "trials"):
        monkeypatch.setitem(BaseModel.metadata.tables[name].dialect_options["sqlite"], "autoincrement", False)
    assert numbers_again(RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}"))


def test_a_study_is_known_by_its_number(tmp_path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    with storage.engine.begin() as connection:
        assert known_as(connection, study_id, "id") == ("s", None)
        assert known_as(connection, study_id + 1, "id") is None
    storage.set_study_user_attr(study_id, "id", {"id": "abc"})
    with storage.engine.begin() as connection:
        assert known_as(connection, study_id, "id") == ("s", {"id": "abc"})


def test_each_call_of_a_proxys_client_has_a_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        proxy = GrpcStorageProxy(host="127.0.0.1", port=mute.getsockname()[1])
        limit_calls(proxy, lambda: 0.3)
        for call in (proxy.get_all_studies, lambda: proxy.get_all_trials(1)):
            with pytest.raises(grpc.RpcError) as told:
                call()
            assert told.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        proxy.close()
