"""Several commands on one study, as on several machines: a PostgreSQL server and an MLflow server between them."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState
from support import KERASTUNA, script_environment

from kerastuna.search.champion.ledger import openings
from kerastuna.search.compat.optuna_attributes import change_study_attribute
from kerastuna.search.study.attributes import is_trained
from kerastuna.search.study.storage import open_storage

SEARCH = (
    *("search", "--data", "slice.npz", "--images", "200", "--epochs", "2", "--budget", "2000", "--device", "cpu"),
    *("--no-warm-start", "--workers", "2", "--json"),
)
STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "FINISHED", TrialState.FAIL: "FAILED"}


class Machine:
    """A machine of its own: a folder and a process group that share nothing with others but the two servers."""

    def __init__(self, folder: Path, data: Path, storage: str, tracking_uri: str, *options: str) -> None:
        folder.mkdir()
        shutil.copy(data, folder / "slice.npz")
        self._log = folder / "log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [str(KERASTUNA), *SEARCH, *options, "--storage", storage, "--tracking-uri", tracking_uri],
                cwd=folder,
                env=script_environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """As a machine that is turned off."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def result(self) -> dict[str, Any]:
        out, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, self.log
        assert "Traceback" not in self.log
        assert "MLflow" not in self.log, self.log  # it never failed, and told nothing of its own
        return json.loads(out)


@pytest.fixture
def begin(tmp_path: Path, mnist_slice: Path) -> Iterator[Callable[..., Machine]]:
    """Begins the command on a machine; none goes on after the test."""
    machines: list[Machine] = []

    def start(*arguments: str) -> Machine:
        machines.append(Machine(tmp_path / f"machine{len(machines)}", mnist_slice, *arguments))
        return machines[-1]

    yield start
    for machine in machines:
        if machine.process.poll() is None:
            machine.kill()


def trials(storage: str) -> list[FrozenTrial]:
    """Of the only study there."""
    return [
        trial
        for name in optuna.get_all_study_names(storage)
        for trial in optuna.load_study(study_name=name, storage=storage).trials
    ]


def training(storage: str, machine: Machine) -> int:
    """A worker of the machine that trains a trial for the first time, by its process id; waits until there is one."""
    for _ in range(1200):
        for trial in trials(storage):
            kept = trial.user_attrs
            # Its run in MLflow is there once it begins to train.
            if trial.state == TrialState.RUNNING and "mlflow_run_id" in kept and "retry_of" not in kept:
                with contextlib.suppress(ProcessLookupError):
                    if os.getpgid(kept["worker"]["pid"]) == machine.process.pid:
                        return kept["worker"]["pid"]
        assert machine.process.poll() is None, machine.log
        time.sleep(0.1)
    pytest.fail(f"no worker trains: {machine.log}")


def check_trials(found: Sequence[FrozenTrial], wanted: int, interrupted: int) -> None:
    """Exactly the trials asked for were trained, none twice, and each interrupted one was tried again."""
    trained = [trial for trial in found if is_trained(trial)]
    assert len(trained) == wanted
    points = [json.dumps(trial.user_attrs["hyperparameters"], sort_keys=True) for trial in trained]
    assert len(set(points)) == wanted
    left = [trial for trial in found if not trial.state.is_finished()]
    # Of two proposals for the last place one stepped back; it is for a search with more trials.
    assert not [trial for trial in left if trial.state != TrialState.WAITING or "retry_of" in trial.user_attrs]
    failed = {trial.number: trial for trial in found if trial.state == TrialState.FAIL}
    assert [trial.user_attrs["reason"] for trial in failed.values()] == ["interrupted"] * interrupted
    again = {trial.user_attrs["retry_of"]: trial for trial in found if "retry_of" in trial.user_attrs}
    assert again.keys() == failed.keys()
    assert all(point(trial) == point(failed[number]) for number, trial in again.items())


def point(trial: FrozenTrial) -> dict[str, Any]:
    """What it was enqueued with, too: it may have been killed before it took that up, also as a retry."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def check_mlflow(address: str, study: str, found: Sequence[FrozenTrial]) -> None:
    """One run for the study, and one for each trial that trained or was interrupted; none goes on."""
    client = MlflowClient(address)
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()], max_results=1000)
    runs = [run for run in runs if run.data.tags.get("kerastuna.study") == study]
    assert not [run.info.run_name for run in runs if run.info.status == "RUNNING"]
    [parent] = [run for run in runs if run.data.tags["kerastuna.kind"] == "study"]
    assert parent.info.status == "FINISHED"
    below = [run for run in runs if run.data.tags["kerastuna.kind"] == "trial"]
    assert {run.data.tags["mlflow.parentRunId"] for run in below} == {parent.info.run_id}
    recorded = Counter((int(run.data.tags["trial.number"]), run.info.status) for run in below)
    wanted = [
        (trial.number, STATUS[trial.state]) for trial in found if trial.state == TrialState.FAIL or is_trained(trial)
    ]
    assert recorded == Counter(wanted)


def test_two_machines_of_which_one_loses_a_worker_and_one_is_lost(
    begin: Callable[..., Machine], postgresql: str, mlflow_server: str
) -> None:
    options = (postgresql, mlflow_server, "--study", "lossy", "--trials", "6", "--no-confirm")
    one, other = begin(*options), begin(*options)
    os.kill(training(postgresql, one), signal.SIGKILL)
    training(postgresql, other)
    other.kill()
    first, again = one.result()["trials"], begin(*options).result()["trials"]
    assert first == again
    assert first["complete"] + first["pruned"] == 6
    assert first["failed"] >= 2
    found = trials(postgresql)
    check_trials(found, 6, first["failed"])
    check_mlflow(mlflow_server, "lossy", found)


def test_one_of_two_machines_confirms(begin: Callable[..., Machine], postgresql: str, mlflow_server: str) -> None:
    options = (postgresql, mlflow_server, "--study", "confirmed", "--trials", "3", "--top", "1", "--seeds", "2")
    machines = [begin(*options), begin(*options)]
    champions = [champion for machine in machines if (champion := machine.result()["champion"]) is not None]
    assert [champion["test"]["n"] for champion in champions] == [2]
    assert len(openings(optuna.load_study(study_name="confirmed", storage=postgresql))) == 1
    assert sum("another process on this study ends last, and confirms" in machine.log for machine in machines) == 1
    found = trials(postgresql)
    check_trials(found, 3, 0)
    check_mlflow(mlflow_server, "confirmed", found)


def test_what_many_add_to_an_attribute_is_there_once(postgresql: str) -> None:
    optuna.create_study(storage=open_storage(postgresql), study_name="counted")
    start = threading.Barrier(3)

    def add(name: int) -> None:
        study = optuna.load_study(study_name="counted", storage=open_storage(postgresql))
        start.wait()
        for _ in range(5):
            change_study_attribute(study, "names", lambda old: [*(old or []), name])

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(add, range(3)))
    names = optuna.load_study(study_name="counted", storage=open_storage(postgresql)).user_attrs["names"]
    assert sorted(names) == sorted(list(range(3)) * 5)
