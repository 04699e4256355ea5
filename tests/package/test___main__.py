"""`python -m kerastuna`, from any working folder."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from support import ROOT


@pytest.mark.parametrize("folder", [ROOT, None], ids=["checkout", "elsewhere"])
def test_the_module_is_the_command(folder: Path | None, tmp_path: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kerastuna", *arguments]
        return subprocess.run(command, cwd=folder or tmp_path, capture_output=True, text=True, check=False)

    assert run("--version").stdout == f"kerastuna {version('kerastuna')}\n"
    nothing = run("trials", "--folder", str(tmp_path))
    assert nothing.returncode == 2
    assert nothing.stderr.endswith("run python -m kerastuna search first\n")
