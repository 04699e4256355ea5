"""The search that workers on one GPU share, as it is begun."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import ROOT


def test_a_search_trains_on_the_images_that_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "common", SimpleNamespace(images=None, machine=None))  # the real one imports JAX
    path = Path(ROOT, "benchmarks", "gpu", "workers_section.py")
    spec = importlib.util.spec_from_file_location("gpu_workers", path)
    assert spec is not None
    assert spec.loader is not None
    workers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(workers)
    commands: list[list[str]] = []

    def refused(command: list[str], **options: object) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=2, stderr="not here")

    monkeypatch.setattr(subprocess, "run", refused)
    assert workers._searched(2, {}, small=False) == {"failed": "code 2: not here"}
    (command,) = commands
    assert command[command.index("--images") + 1] == "54000"  # all but the validation images
