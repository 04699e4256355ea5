"""Whole searches that are killed and stopped at random moments until they are done: nothing is lost, nothing twice.

Journal and PostgreSQL, one worker and two. The variable KERASTUNA_FAULTS_SECONDS says for how long; `make faults` takes
ten minutes, or FAULTS_SECONDS.
"""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import optuna
from command_server import Command, CommandServer
from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState
from servers import CannotServe, postgresql

from kerastuna.search.proposals.distributions import values_key
from kerastuna.search.study.attributes import HYPERPARAMETERS, REASON, RETRY_OF, is_trained
from kerastuna.search.study.storage import open_storage

SECONDS = float(os.environ.get("KERASTUNA_FAULTS_SECONDS", "20"))
SEED = int(os.environ.get("KERASTUNA_SEED", "0"))
TRIALS = 5
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED"}
OBEYED = (0, 130)
SEARCH = (
    *("search", "--space", "tiny_space:build", "--data", "tiny.npz", "--budget", "2000", "--device", "cpu"),
    *("--no-confirm", "--epochs", "3", "--trials", str(TRIALS)),
)


def kill(command: Command, draw: random.Random, workers: int) -> str:
    """Kill or stop the search, or one of its workers; returns what was done to it."""
    if command.has_ended:
        return ""
    if workers > 1 and draw.random() < 0.2:
        found = subprocess.run(["pgrep", "-P", str(command.pid)], capture_output=True, text=True).stdout.split()
        if found:
            with suppress(ProcessLookupError):
                os.kill(int(draw.choice(found)), signal.SIGKILL)
            return "a worker killed"
    number = draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    command.send(number)
    allowed = {-number} if number == signal.SIGKILL else set()
    assert command.wait() in {*OBEYED, *allowed}, command.output
    assert "Traceback" not in command.output, command.output
    return number.name


def check(trials: list[FrozenTrial], told: str) -> None:
    """The study of a search that was killed again and again, and has come to its end."""
    states = [(trial.number, trial.state.name, trial.user_attrs.get(REASON)) for trial in trials]
    told = f"{told}: {states}"
    assert [trial.number for trial in trials] == list(range(len(trials))), told
    assert sum(map(is_trained, trials)) == TRIALS, told
    assert not [trial for trial in trials if trial.state == TrialState.RUNNING], told
    keys = Counter(values_key(trial.user_attrs[HYPERPARAMETERS]) for trial in trials if is_trained(trial))
    assert set(keys.values()) == {1}, told
    retried = Counter(trial.user_attrs.get(RETRY_OF) for trial in trials)
    for trial in trials:
        if trial.state == TrialState.FAIL:
            is_final = trial.user_attrs[REASON] == "process_died"  # three kills of its worker
            assert is_final or trial.user_attrs[REASON] == "interrupted", told
            assert retried[trial.number] == 0 if is_final else retried[trial.number] >= 1, told


def check_records(client: MlflowClient, study: str, trials: list[FrozenTrial], told: str) -> None:
    """MLflow has one run for each trial that was begun, and it ended as the trial did."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = [run for run in client.search_runs(experiments, max_results=5000) if study in run.data.tags.values()]
    numbers = Counter(run.data.tags["trial.number"] for run in runs if "trial.number" in run.data.tags)
    assert set(numbers.values()) == {1}, told
    status = {int(run.data.tags["trial.number"]): run.info.status for run in runs if "trial.number" in run.data.tags}
    for trial in trials:
        if is_trained(trial) or trial.number in status:
            assert status[trial.number] == STATUS[trial.state.name], f"{told}: trial {trial.number}"


def rounds(server: CommandServer, folder: Path, storages: list[str], draw: random.Random) -> Counter[str]:
    """Search after search, each killed until it is done; returns what was done to them, and how often."""
    done, end, place = Counter[str](), time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        location, workers = storages[place % len(storages)], 2 if SECONDS > 60 and place % 4 >= 2 else 1
        study, place = f"study-{place}", place + 1
        given = (*SEARCH, "--study", study, "--storage", location, "--workers", str(workers))
        for _ in range(draw.randint(2, 6)):
            command = server.start(*given)
            command.wait_for_handlers()
            time.sleep(draw.uniform(0.1, 3.0 if workers == 1 else 15.0))
            done[kill(command, draw, workers)] += 1
            if command.status is None:  # only a worker was killed
                command.wait(600)
        last = server.start(*given)
        told = f"{study} on {location.partition(':')[0]}, {workers} workers, after {dict(done)}"
        assert last.wait(600) == 0, last.output
        trials = optuna.load_study(study_name=study, storage=open_storage(location)).get_trials(deepcopy=False)
        check(trials, told)
        check_records(MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db"), study, trials, told)
        done["searches"] += 1
    return done


def test_a_search_that_is_killed_again_and_again_ends_whole(server: CommandServer, tmp_path: Path) -> None:
    storages = [str(tmp_path / "journal")]
    draw = random.Random(SEED)
    try:
        with postgresql() as url:
            done = rounds(server, tmp_path, [*storages, url], draw)
    except CannotServe as why:
        print(f"no PostgreSQL: {why}")
        done = rounds(server, tmp_path, storages, draw)
    del done[""]
    searches = done.pop("searches")
    print(f"\n{searches} searches were killed or stopped {sum(done.values())} times and ended whole: {dict(done)}")
    assert searches > 0
