"""The command with two workers, from the shell: killed, interrupted, and gone on with."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from support import begin_kerastuna, call_kerastuna, write_slice

SEARCH = ("search", "--data", "slice.npz", "--images", "300", "--device", "cpu", "--no-warm-start", "--workers", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    write_slice(folder / "slice.npz")
    return folder


def children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "workers.process" in line]


def trials(folder: Path, study: str) -> list[dict[str, Any]]:
    return json.loads(call_kerastuna(folder, "trials", "--study", study, "--json").stdout)


def test_one_of_two_workers_is_killed(folder: Path):
    process = begin_kerastuna(
        folder, *SEARCH, "--study", "one", "--trials", "4", "--epochs", "2", "--top", "1", "--seeds", "2", "--json"
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("one epoch takes"):
            os.kill(children(process.pid)[0], signal.SIGKILL)
            break
    out, rest = process.communicate(timeout=300)
    told = "".join(lines) + rest
    assert process.returncode == 0, told
    assert re.search(r"training on cpu: .*, 2 workers", told)
    assert len(re.findall(r"worker . ended by signal 9.*; it is started again", told)) == 1
    result = json.loads(out)
    assert result["trials"]["complete"] + result["trials"]["pruned"] == 4
    assert result["trials"]["failed"] == 1
    assert result["champion"]["validation"]["n"] == result["champion"]["test"]["n"] == 2
    failed = next(trial for trial in trials(folder, "one") if trial["state"] == "FAIL")
    assert failed["reason"] == "interrupted"
    client = MlflowClient(result["mlflow"]["tracking_uri"])
    experiment = client.get_run(result["mlflow"]["run_id"]).info.experiment_id
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{result['mlflow']['run_id']}'")
    status = {run.info.run_name: run.info.status for run in runs if re.match(r"trial-\d+$", run.info.run_name or "")}
    assert status.pop(f"trial-{failed['number']:04d}") == "FAILED"
    assert len(status) == 4
    assert set(status.values()) == {"FINISHED"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_all_and_the_search_goes_on(folder: Path, number: signal.Signals):
    study = f"stopped by {number.name}"
    process = begin_kerastuna(folder, *SEARCH, "--study", study, "--trials", "3", "--epochs", "40", "--no-confirm")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("one epoch takes"):
            break
    workers = children(process.pid)
    assert len(workers) == 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert rest.strip().splitlines()[-1].startswith("kerastuna: interrupted; nothing that was finished is lost")
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    found = trials(folder, study)
    assert not [trial for trial in found if trial["state"] == "RUNNING"]
    stopped = [trial for trial in found if trial["state"] == "FAIL"]
    assert {trial["reason"] for trial in stopped} == {"interrupted"}
    waiting = [trial for trial in found if trial["state"] == "WAITING"]
    assert len(waiting) == len(stopped) > 0


def test_options_that_are_refused(folder: Path):
    for option, told in (
        (("--workers", "0"), "--workers 0: give a whole number of at least 1, or auto"),
        (("--workers", "two"), "'two' is neither a whole number nor auto"),
        (("--workers-per-gpu", "2"), "--workers-per-gpu 2: Keras finds no GPU"),
    ):
        result = call_kerastuna(folder, "search", "--data", "slice.npz", "--device", "cpu", *option, check=2)
        assert told in result.stderr
        assert result.stderr.count("\n") == 1 or "loading Keras" in result.stderr
