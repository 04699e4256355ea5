"""A study that is deleted while two workers search it: the search ends in one line, and the study stays deleted."""

import json
import os
import threading
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import optuna
import pytest
from support import begin_kerastuna, call_kerastuna, write_slice

from kerastuna.search.errors import StudyError
from kerastuna.search.study.database import open_database
from kerastuna.search.tracking.store import default_tracking_uri

SEARCH = (
    *("search", "--data", "slice.npz", "--images", "200", "--epochs", "2", "--budget", "2000", "--device", "cpu"),
    *("--no-warm-start", "--workers", "2", "--no-confirm", "--study", "s", "--trials", "400"),
)


@pytest.mark.parametrize("storage", ["{folder}/s.journal", "postgresql"])
def test_a_search_ends_when_its_study_is_deleted(storage: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    from mlflow import MlflowClient

    given = storage.format(folder=tmp_path) if "{" in storage else request.getfixturevalue(storage)
    write_slice(tmp_path / "slice.npz", 400, 100)
    with begin_kerastuna(tmp_path, *SEARCH, "--storage", given) as process:
        assert process.stderr is not None
        lines = [""]
        while "(1/400)" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        refused = call_kerastuna(tmp_path, "studies", "--storage", given, "--delete", "s", check=2)
        assert "study 's' is worked on, by " in refused.stderr
        call_kerastuna(tmp_path, "studies", "--storage", given, "--delete", "s", "--force")
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert err.splitlines()[-1] == (
        "kerastuna: the study 's' was deleted while this search worked on it: nothing more is stored"
    )
    assert "Traceback" not in err
    time.sleep(1)
    with pytest.raises(ProcessLookupError):  # of its workers, none is left
        os.killpg(process.pid, 0)
    assert json.loads(call_kerastuna(tmp_path, "studies", "--storage", given, "--json").stdout) == []
    client = MlflowClient(default_tracking_uri(tmp_path / "mlruns"))
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert "RUNNING" not in {run.info.status for run in runs}


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_study_that_others_write_to_is_deleted(server: str, request: pytest.FixtureRequest) -> None:
    # A row that is added meanwhile, and belongs to the study, lets Optuna delete nothing, and say nothing.
    url = request.getfixturevalue(server)
    storage, other = open_database(url), open_database(url)
    study = optuna.create_study(storage=storage, study_name="busy")
    for _ in range(20):
        study.ask()
    trial_id, ended = study.trials[0]._trial_id, threading.Event()

    def write() -> None:
        with suppress(KeyError, StudyError):
            for number in count():
                if ended.is_set():
                    return
                other.set_trial_user_attr(trial_id, f"key {number}", number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        time.sleep(0.3)
        optuna.delete_study(study_name="busy", storage=storage)
        assert optuna.get_all_study_names(open_database(url)) == []
    finally:
        ended.set()
        writer.join()
