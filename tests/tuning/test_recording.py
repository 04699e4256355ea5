"""MLflow as the observer of a tuner: the experiment that it records in."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from kerastuna.search.errors import InputError
from kerastuna.search.tuning.recording import recorder_of


@pytest.mark.parametrize(("variable", "experiment"), [(None, "digits"), ("mine", "mine")])
def test_the_experiment_has_the_name_of_the_study_or_of_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, experiment: str
):
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    if variable:
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", variable)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    recorder_of(uri, "digits", tmp_path)
    found = MlflowClient(uri).get_experiment_by_name(experiment)
    assert found is not None
    assert found.artifact_location == (tmp_path / "artifacts").resolve().as_uri() or "artifacts" in str(
        found.artifact_location
    )


def test_a_store_that_cannot_be_used_is_refused(tmp_path: Path):
    with pytest.raises(InputError):
        recorder_of(f"sqlite:///{tmp_path}/missing/folder\0/mlflow.db", "digits", tmp_path)


def test_a_name_of_an_experiment_that_cannot_be_printed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "a\nb")
    with pytest.raises(InputError, match=r"MLFLOW_EXPERIMENT_NAME 'a\\nb' .*cannot be printed"):
        recorder_of(f"sqlite:///{tmp_path}/mlflow.db", "one", tmp_path)
    assert list(tmp_path.iterdir()) == []
