"""A search that is interrupted or killed, from the shell: everything is kept, and the same command goes on."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support import KERASTUNA, call_kerastuna, write_slice

SEARCH = ("search", "--data", "slice.npz", "--epochs", "1", "--images", "300", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    write_slice(folder / "slice.npz")
    return folder


def test_ctrl_c_keeps_everything_and_says_how_to_go_on(folder: Path):
    arguments = [*SEARCH[:3], "--epochs", "60", *SEARCH[5:], "--study", "stopped", "--trials", "2", "--no-confirm"]
    process = subprocess.Popen(
        [str(KERASTUNA), *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if line.startswith("one epoch takes"):
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 130, "".join(told) + rest
    assert rest.strip().splitlines()[-1].endswith(" ".join(arguments))
    assert "Traceback" not in rest
    trials = json.loads(call_kerastuna(folder, "trials", "--study", "stopped", "--json").stdout)
    stopped = [trial for trial in trials if trial["state"] == "FAIL"]
    assert [(trial["reason"], trial["params"]) for trial in stopped] == [("interrupted", 14652)]
    waiting = [trial for trial in trials if trial["state"] == "WAITING"]
    assert len(waiting) == 3  # eip_4 and eip_5, which were not reached, and eip_3 again


def test_a_killed_search_is_gone_on_with(folder: Path):
    arguments = [*SEARCH[:3], "--epochs", "2", *SEARCH[5:], "--study", "killed", "--no-confirm"]
    process = subprocess.Popen(
        [str(KERASTUNA), *arguments, "--trials", "9"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("one epoch takes"):
            break
    process.kill()
    process.communicate()
    running = json.loads(call_kerastuna(folder, "trials", "--study", "killed", "--json").stdout)
    assert [trial["number"] for trial in running if trial["state"] == "RUNNING"] == [2]
    result = json.loads(call_kerastuna(folder, *arguments, "--trials", "2", "--json").stdout)
    assert result["trials"]["failed"] == 1
    assert result["trials"]["complete"] + result["trials"]["pruned"] == 2
    client = MlflowClient(result["mlflow"]["tracking_uri"])
    runs = client.search_runs(
        [client.get_run(result["mlflow"]["run_id"]).info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{result['mlflow']['run_id']}'",
    )
    states = {run.info.run_name: run.info.status for run in runs}
    assert states["trial-0002"] == "FAILED"
    assert "RUNNING" not in states.values()
