"""How the measurements of a GPU end: sections in their place that wait, in real processes, without a GPU."""

import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

GPU = ROOT / "benchmarks" / "gpu"
WAITING = """
import os, subprocess, sys
def measurements(small, out):
    with open(out / "pids", "w") as pids, subprocess.Popen(["sleep", "100"]) as child:
        print(os.getpid(), child.pid, file=pids, flush=True)
        try:
            yield {"what": "waits"}
            child.wait()
        finally:
            (out / "cleaned").touch()
            child.kill()
"""
STUBBORN = """
import os, signal, time
def measurements(small, out):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (out / "pids").write_text(str(os.getpid()))
    yield {"what": "does not end"}
    time.sleep(100)
"""
WITH_MPS = """
import time
from workers_section import mps
def measurements(small, out):
    with mps(True):
        yield {"what": "has the service"}
        time.sleep(100)
"""
SERVICE = """#!/bin/sh
if [ "$1" = -d ]; then echo begun >> {log}; else cat >> {log}; fi
"""


def runner_with(folder: Path, section: str, code: str) -> Path:
    """A copy of the program whose `section` is `code`."""
    (folder / f"{section}_section.py").write_text(code)
    return Path(shutil.copy(GPU / "run.py", folder))


def module_of(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("gpu_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def interrupted(runner: Path, section: str, number: signal.Signals, **environment: str) -> tuple[int, str]:
    """The status and the errors of the program, to which the signal is sent at its first measurement."""
    command = [sys.executable, str(runner), "--out", str(runner.parent), "--only", section]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0], "the section has not begun"
        assert json.loads(process.stdout.readline())["section"] == section
        process.send_signal(number)
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.wait()
    return process.returncode, errors


def alive(folder: Path) -> list[int]:
    """Which of the processes in the file `pids` do not end; they are ended here."""
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    latest = time.monotonic() + 10  # what was killed may take a moment
    while (found := [pid for pid in pids if runs(pid)]) and time.monotonic() < latest:
        time.sleep(0.05)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return found


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("number", "status", "errors"),
    [(signal.SIGINT, 130, "interrupted: {out} has what was measured\n"), (signal.SIGTERM, 143, "")],
)
def test_a_signal_ends_the_section_too(tmp_path: Path, number: signal.Signals, status: int, errors: str) -> None:
    runner = runner_with(tmp_path, "kernels", WAITING)
    assert interrupted(runner, "kernels", number) == (status, errors.format(out=tmp_path))
    assert alive(tmp_path) == []
    assert (tmp_path / "cleaned").exists()


class Begun(subprocess.Popen[bytes]):
    """A section whose limit counts from its first measurement: Python may take long to start."""

    def wait(self, timeout: float | None = None) -> int:
        measured = Path(self.args[self.args.index("--out") + 1]) / "kernels.jsonl"  # type: ignore[union-attr,index,operator]
        latest = time.monotonic() + 60
        while not (measured.exists() and measured.read_text().endswith("\n")):
            assert time.monotonic() < latest, "the section has not begun"
            time.sleep(0.02)
        return super().wait(timeout)


def test_a_section_at_its_limit_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = module_of(runner_with(tmp_path, "kernels", WAITING))
    monkeypatch.setattr(run.subprocess, "Popen", Begun)
    assert run.run("kernels", False, tmp_path, 1)["ended"] == "stopped after 1 s"
    assert alive(tmp_path) == []
    assert (tmp_path / "cleaned").exists()


def test_a_section_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = module_of(runner_with(tmp_path, "kernels", STUBBORN))
    monkeypatch.setattr(run.subprocess, "Popen", Begun)
    monkeypatch.setattr(run, "GRACE_SECONDS", 0.1)
    assert run.run("kernels", False, tmp_path, 1)["ended"] == "stopped after 1 s"
    assert alive(tmp_path) == []


def test_what_a_section_leaves_behind_ends(tmp_path: Path) -> None:
    code = WAITING.replace("child.wait()", "os._exit(1)")
    run = module_of(runner_with(tmp_path, "kernels", code))
    assert run.run("kernels", False, tmp_path, 60)["ended"] == "failed with code 1: see kernels.err"
    assert alive(tmp_path) == []


def test_the_service_of_the_gpu_ends_with_its_section(tmp_path: Path) -> None:
    runner, log = runner_with(tmp_path, "kernels", WITH_MPS), tmp_path / "log"
    shutil.copy(GPU / "workers_section.py", tmp_path)
    (tmp_path / "common.py").write_text("images = machine = None\n")  # the real one imports JAX
    service = tmp_path / "nvidia-cuda-mps-control"
    service.write_text(SERVICE.format(log=log))
    service.chmod(0o755)
    status, _ = interrupted(runner, "kernels", signal.SIGINT, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert status == 130
    assert log.read_text().split() == ["begun", "quit"]
