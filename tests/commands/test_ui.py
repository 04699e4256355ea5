"""`kerastuna ui`: what it starts, and when it refuses. tests/end_to_end/test_ui.py looks at the pages."""

import os
import socket
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from kerastuna.search.commands.ui import ui
from kerastuna.search.tracking.tracker import Tracker
from kerastuna.search.tracking.ui import ui_path


class Started(Exception):
    """In place of the process that would become MLflow."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the process would become: file, arguments and environment."""
    calls: list[Any] = []

    def execve(*given: Any) -> None:
        calls.extend(given)
        raise Started

    monkeypatch.setattr(os, "execve", execve)
    return calls


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_the_process_becomes_mlflow(started: list[Any], tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "mlruns").mkdir()
    database = tmp_path / "mlruns" / "mlflow.db"
    tracker = Tracker(f"sqlite:///{database}", "some", warn=pytest.fail)
    tracker.start_study("a study", {}, {})
    with pytest.raises(Started):
        ui(Namespace(port=5001, tracking_uri=None, folder=tmp_path / "mlruns"))
    assert capsys.readouterr().err.splitlines() == [
        "trials of a study:",
        f"  http://127.0.0.1:5001{ui_path(tracker.study_run)}",
        "MLflow on http://127.0.0.1:5001 answers in a few seconds (Ctrl-C ends it)",
    ]
    program, command, environment = started
    assert program == command[0] == sys.executable
    assert command[command.index("--port") + 1] == "5001"
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{database}"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "65536"], "--port 65536: give a number from 1 to 65535"),
        ([], "mlruns/mlflow.db: run kerastuna search first"),
        (["--tracking-uri", "sqlite:///a.db?timeout=5"], "yet in a.db: run kerastuna search first"),
        (["--folder", "r?1"], "r?1' cannot hold MLflow's database, for a ? or % in its name or above it: give another"),
        (
            ["--tracking-uri", "https://me:secret@host/mlflow"],
            "the tracking server host/mlflow has a user interface of its own: open it there",
        ),
    ],
)
def test_where_there_is_nothing_to_serve(kerastuna: Any, started: list[Any], arguments: list[str], told: str) -> None:
    status, out, err = kerastuna("ui", *arguments)
    assert (status, out, started) == (2, "", [])
    assert told in err
    assert "secret" not in err


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_a_database_with_settings_in_its_address_is_served(started: list[Any], tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db?timeout=5"
    Tracker(uri, "some", warn=pytest.fail).start_study("a study", {}, {})
    with pytest.raises(Started):
        ui(Namespace(port=5001, tracking_uri=uri, folder=tmp_path / "mlruns"))
    assert started[2]["MLFLOW_BACKEND_STORE_URI"] == uri


def test_a_port_that_is_in_use_is_refused_before_any_address_is_told(tmp_path: Path, kerastuna: Any) -> None:
    (tmp_path / "mlruns").mkdir()
    Tracker(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}", "some", warn=pytest.fail).start_study("a study", {}, {})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        told = f"kerastuna: --port {port} cannot be used (Address already in use): give another one\n"
        assert kerastuna("ui", "--port", str(port)) == (2, "", told)
