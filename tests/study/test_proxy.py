"""Studies behind Optuna's gRPC proxy, in a process of its own, and what is told when it fails."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import servers
from study_support import opened

from kerastuna.search.errors import StudyError
from kerastuna.search.study import proxy
from kerastuna.search.study.repeats import MARK, marked
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.studies import load_study
from kerastuna.search.study.waiting import joining


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("proxy")
    with servers.grpc_proxy(f"sqlite:///{folder}/studies.db", folder) as location:
        yield location


def test_a_study_is_found_again(location: str) -> None:
    study = opened(open_storage(location), "again")
    trial = study.ask()
    trial.suggest_int("n", 0, 9)
    study.tell(trial, 0.5)
    assert [trial.values for trial in load_study(open_storage(location), "again").trials] == [[0.5]]


def test_one_that_stops_is_told_in_one_line(tmp_path: Path) -> None:
    with servers.grpc_proxy(f"sqlite:///{tmp_path}/studies.db", tmp_path) as location:
        study = opened(open_storage(location))
    with pytest.raises(
        StudyError, match=r"'grpc://127.*' failed \(UNAVAILABLE: .*what was stored is kept; see"
    ) as told:
        study.ask()
    assert "\n" not in str(told.value)


def test_one_that_restarts_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port, url = servers.free_port(), f"sqlite:///{tmp_path}/studies.db"
    with servers.grpc_proxy(url, tmp_path, port) as location:
        storage = open_storage(location, 120.0)
        stored = StoredStudy(opened(storage), storage)
        number = stored.add(None)
    with ThreadPoolExecutor() as pool:
        kept = pool.submit(stored.keep, number, name="eip_1")
        added = pool.submit(stored.add, None)
        time.sleep(2)
        assert not kept.done()
        with servers.grpc_proxy(url, tmp_path, port):
            kept.result(60)
            assert added.result(60) == 1
            assert [trial.user_attrs for trial in stored.trials()] == [{"name": "eip_1"}, {}]
    told = [record.message for record in caplog.records]
    assert [told[0].partition(":")[0], told[-1].partition(",")[0]] == [
        "the storage of the study does not answer (UNAVAILABLE",
        "the storage of the study answers again",
    ]


@contextmanager
def storage_inside(storage: Any) -> Iterator[None]:
    """In the block, what is called is a part of an operation: no mark is given, and nothing is repeated."""
    storage._inside.is_inside = True
    yield
    storage._inside.is_inside = False


def test_a_trial_that_was_added_before_the_connection_was_lost_is_found(location: str) -> None:
    storage = open_storage(location)
    stored = StoredStudy(opened(storage, "marks"), storage)
    template = marked(None)
    with storage_inside(storage):
        first = storage.create_new_trial(stored._id, template)
        storage._begun.add(template.system_attrs[MARK])  # type: ignore[attr-defined]  as where the answer was lost
        assert storage.create_new_trial(stored._id, template) == first
    assert len(stored.trials()) == 1


def test_errors_of_optuna_stay_as_they_are(location: str) -> None:
    storage = open_storage(location)
    opened(storage, "twice")
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "twice")
    with pytest.raises(KeyError):
        storage.get_study_id_from_name("nowhere")


def test_nothing_that_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "READY_SECONDS", 0.5)
    with pytest.raises(
        StudyError, match=r"does not answer within 0.5 seconds: start Optuna's gRPC proxy there"
    ) as told:
        open_storage(f"grpc://127.0.0.1:{servers.free_port()}")
    assert "\n" not in str(told.value)


def test_who_joins_a_study_tells_how_long_it_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "READY_SECONDS", 0.5)
    with joining(), pytest.raises(StudyError, match=r"does not answer within 1.5 seconds: start Optuna's gRPC proxy"):
        open_storage(f"grpc://127.0.0.1:{servers.free_port()}", 1.5)


@pytest.mark.parametrize("location", ["grpc://host", "grpc:host:1", "grpc://host:99999", "grpc://me:secret@host:1/db"])
def test_an_address_of_another_form_is_told(location: str) -> None:
    with pytest.raises(StudyError, match=r"give the address of a gRPC proxy as grpc://HOST:PORT$") as told:
        open_storage(location)
    assert "secret" not in str(told.value)
