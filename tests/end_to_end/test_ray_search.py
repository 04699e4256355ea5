"""The command with workers that Ray places, from the shell."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support import begin_kerastuna, call_kerastuna, write_slice

SEARCH = ("search", "--data", "slice.npz", "--images", "300", "--device", "cpu", "--no-warm-start", "--ray", "auto")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    write_slice(folder / "slice.npz")
    return folder


def begin(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return begin_kerastuna(
        folder, *arguments, RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES=str(100 * 2**20), RAY_ADDRESS=""
    )


def descendants(pid: int) -> set[int]:
    """The processes that `pid` has started, and those that these have."""
    told = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in told.splitlines()]
    found = {pid}
    while len(found) != len(found := found | {child for child, parent in parents if parent in found}):
        pass
    return found - {pid}


def wait_for_end(pids: set[int]) -> None:
    end = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end, "processes of Ray are left"
        time.sleep(0.1)


def test_search_confirmation_and_nothing_left(folder: Path):
    process = begin(
        folder, *SEARCH, "--workers", "2", "--study", "one", "--trials", "4", "--epochs", "1", "--seeds", "1", "--json"
    )
    assert process.stderr is not None
    lines = []
    pids: set[int] = set()
    for line in process.stderr:
        lines.append(line)
        if line.startswith("one epoch takes"):
            pids = descendants(process.pid)
            break
    out, rest = process.communicate(timeout=300)
    told = "".join(lines) + rest
    assert process.returncode == 0, told
    assert re.search(r"training on cpu: a Ray cluster, driven by .*, 2 workers", told)
    assert "died" not in told
    result: dict[str, Any] = json.loads(out)
    assert result["trials"]["complete"] + result["trials"]["pruned"] == 4
    assert result["trials"]["failed"] == 0
    assert result["champion"]["validation"]["n"] == result["champion"]["test"]["n"] == 1
    assert len(pids) >= 5  # two workers, and what Ray needs
    wait_for_end(pids)


def test_one_signal_ends_all(folder: Path):
    process = begin(folder, *SEARCH, "--workers", "2", "--study", "stopped", "--trials", "3", "--epochs", "90")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("one epoch takes"):
            break
    pids = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert rest.strip().splitlines()[-1].startswith("kerastuna: interrupted; nothing that was finished is lost")
    wait_for_end(pids)
    found = json.loads(call_kerastuna(folder, "trials", "--study", "stopped", "--json").stdout)
    stopped = [trial for trial in found if trial["state"] == "FAIL"]
    assert {trial["reason"] for trial in stopped} == {"interrupted"}
    assert not [trial for trial in found if trial["state"] == "RUNNING"]
    assert len([trial for trial in found if trial["state"] == "WAITING"]) == len(stopped) > 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--gpus-per-trial", "0.25"), "--gpus-per-trial 0.25 is for a Ray cluster"),
        (("--ray", "auto", "--gpus-per-trial", "0"), "--gpus-per-trial 0: give a part of a GPU"),
        (("--ray", "127.0.0.1:1"), "--ray 127.0.0.1:1: nothing answers there"),
        (("--ray", "auto", "--workers", "0"), "--workers 0: give a whole number"),
        (("--ray", "auto", "--workers-per-gpu", "2"), "--workers-per-gpu 2: with --ray give --gpus-per-trial"),
    ],
)
def test_options_that_are_refused(folder: Path, given: tuple[str, ...], told: str):
    result = call_kerastuna(folder, "search", "--data", "slice.npz", "--device", "cpu", *given, check=2)
    assert f"kerastuna: {told}" in result.stderr
    assert result.stderr.count("\n") == 1 or "loading Keras" in result.stderr
