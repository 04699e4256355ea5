"""`kerastuna dashboard`: Optuna's dashboard over the studies, and when it refuses."""

import json
import signal
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support import begin_kerastuna

PATIENCE = 60
"""Seconds; the command needs two on an idle machine."""


@pytest.mark.usefixtures("storage")
def test_the_studies_are_served_without_a_line_for_each_request(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = begin_kerastuna(tmp_path, "dashboard", "--port", str(port))
    try:
        assert process.stderr is not None
        told = process.stderr.readline()
        assert told == f"Optuna's dashboard on http://127.0.0.1:{port}/dashboard  (Ctrl-C ends it)\n"
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=5) as answer:
                    studies = json.load(answer)
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert "one" in json.dumps(studies)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "GET" not in rest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "0"], "--port 0: give a number from 1 to 65535"),
        (["--folder", "nowhere"], "there is no study yet in nowhere/optuna.journal"),
    ],
)
def test_where_there_is_nothing_to_serve(kerastuna: Any, arguments: list[str], told: str) -> None:
    status, out, err = kerastuna("dashboard", *arguments)
    assert (status, out) == (2, "")
    assert told in err


@pytest.mark.usefixtures("storage")
def test_a_port_in_use_is_refused(kerastuna: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = kerastuna("dashboard", "--port", str(port))
    assert status == 2
    assert f"--port {port} cannot be used" in err
