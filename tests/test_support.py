"""A command that is called leaves the process of the tests as it was, and fails where a user would see a warning."""

import logging
import os
import signal
import sys
from pathlib import Path

import keras
import optuna
import pytest
from support import call_kerastuna, call_program

PROGRAM = """
import logging, os, signal, sys
import keras, optuna
import neighbour

os.environ["CALLED"] = "yes"
os.environ.pop("PATH")
sys.path.append("nowhere")
signal.signal(signal.SIGTERM, lambda number, frame: None)
logging.getLogger("absl").setLevel(logging.CRITICAL)
optuna.logging.set_verbosity(optuna.logging.DEBUG)
print(os.getcwd(), neighbour.NAME, "MLFLOW_TRACKING_URI" in os.environ, sys.argv)
print(keras.Sequential([keras.layers.Dense(1)]).run_eagerly)
os.chdir("/")
"""


def state() -> dict[str, object]:
    return {
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "path": list(sys.path),
        "arguments": list(sys.argv),
        "handler": signal.getsignal(signal.SIGTERM),
        "levels": (logging.getLogger("absl").level, optuna.logging.get_verbosity()),
        "eagerly": keras.Sequential([keras.layers.Dense(1)]).run_eagerly,
    }


def test_a_program_finds_a_new_process_and_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    before = state()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "neighbour.py").write_text(f"NAME = {name!r}")
        (folder / "program.py").write_text(PROGRAM)
        first, second = call_program(folder / "program.py").splitlines()
        assert first == f"{folder} {name} False {[str(folder / 'program.py')]}"
        assert second == "True"
        assert state() == before
    assert "neighbour" not in sys.modules


def test_a_warning_that_a_user_would_see_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import warnings\nwarnings.warn('unseen', DeprecationWarning)\nprint('done')")
    assert call_program(program) == "done\n"
    program.write_text("import warnings\nwarnings.warn('seen')")
    with pytest.raises(UserWarning, match="seen"):
        call_program(program)


def test_the_command_answers_with_its_status_and_both_outputs(tmp_path: Path) -> None:
    done = call_kerastuna(tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: kerastuna")
    refused = call_kerastuna(tmp_path, "search", "--budget", "0", check=2)
    assert (refused.stdout, len(refused.stderr.splitlines())) == ("", 1)
    with pytest.raises(pytest.fail.Exception, match="ended with 2"):
        call_kerastuna(tmp_path, "search", "--budget", "0")
