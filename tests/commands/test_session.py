"""A study opened for work: what is checked first, what is recorded, and errors of the user's space."""

import subprocess
from pathlib import Path
from typing import Any

import optuna
import pytest

from kerastuna.search.commands.options import SearchOptions
from kerastuna.search.commands.session import check_options, git_commit, request_of, space_errors
from kerastuna.search.errors import InputError, SpaceError


@pytest.mark.parametrize("given", [{"data": "nope"}, {"space": "nope"}, {"device": "tpu"}])
def test_data_space_and_device_are_checked_first(given: dict[str, Any]) -> None:
    check_options(SearchOptions(device="cpu"))
    with pytest.raises(InputError, match=next(iter(given.values()))):
        check_options(SearchOptions(**given))


def test_the_request_of_a_study() -> None:
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), study_name="other")
    with pytest.raises(InputError, match="study 'other' was not made by kerastuna search"):
        request_of(study)
    study.set_user_attr("request", {"seed": 3})
    assert request_of(study) == {"seed": 3}


def test_errors_of_the_space_become_one_line() -> None:
    told = r"^space 'm:S' cannot be used \(ValueError: no width\): correct it$"
    with pytest.raises(SpaceError, match=told), space_errors("m:S", ValueError):
        raise ValueError("no\nwidth")
    with pytest.raises(KeyError), space_errors("m:S", ValueError):
        raise KeyError("other")
    with pytest.raises(InputError, match=r"^mine$"), space_errors("m:S", Exception):
        raise InputError("mine")


def test_the_commit_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() is None
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    (tmp_path / "file").write_text("1")
    for arguments in (["init", "-q"], ["add", "file"], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], check=True)
    commit = git_commit()
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "file").write_text("2")
    assert git_commit() == f"{commit}-dirty"


def test_what_is_recorded_with_every_run(searched: Any) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{searched.folder / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("kerastuna-tiny-build")
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id]):
        assert {"device", "backend", "versions", "git_commit", "data_fingerprint"} <= set(run.data.tags)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"storage": "nope://me:hunter2@x"}, "nope"),
        ({"storage": "postgresql://me:hunter2@/db?port=x"}, "storage 'postgresql://me:***@"),
        ({"storage": "http://[::1"}, "cannot be opened"),
        ({"storage": "sqlite://"}, "names no file"),
        ({"storage": "sqlite:////no/such/folder/x.db"}, "there is no folder"),
        ({"storage": "/dev/null"}, "not a journal"),
        ({"storage": "."}, "Is a directory"),
        ({"tracking_uri": "nope://me:hunter2@x"}, "neither a database nor a server"),
        ({"tracking_uri": "mysql+nothing://me:hunter2@x/y"}, "cannot be used"),
        ({"tracking_uri": "me:hunter2@host"}, "names no database and no server"),
        ({"tracking_uri": "http://[::1"}, "cannot be used"),
        ({"tracking_uri": "http://host:99999"}, "cannot be used"),
        ({"tracking_uri": "http://"}, "names no server"),
        ({"tracking_uri": "sqlite://"}, "names no file"),
        ({"tracking_uri": "sqlite:////dev/null/x.db"}, "cannot be written"),
    ],
)
def test_a_wrong_address_is_told_before_anything_is_written(
    given: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refused:
        check_options(SearchOptions(**given))
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["databricks", "databricks://profile", "https://host/mlflow", "sqlite:///new/x.db"])
def test_an_address_that_may_be_right_is_not_refused(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_options(SearchOptions(tracking_uri=uri, storage="new/x.journal"))
    assert list(tmp_path.iterdir()) == []
