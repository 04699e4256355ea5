"""Shared by the tests of tracking/: a study to record, and MLflow's own client to read it back."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import Any

import pytest

from kerastuna.search.tracking.ui import ui_command

EXPERIMENT = "kerastuna/mnist-convnet"


EPOCHS = [{"loss": 1.0 / step, "val_accuracy": 0.9 + step / 100} for step in (1, 2, 3, 4)]


TRIAL = {
    "state": "COMPLETE",
    "reason": None,
    "value": 0.94,
    "params": 14_000,
    "macs": 900_000,
    "seconds": 20.0,
    "epochs": EPOCHS,
    "hyperparameters": {"filters": 8},
}


def fail_on_warning(line: str) -> None:
    pytest.fail(f"unexpected warning: {line}")


def client_of(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


def runs_of(uri, experiment=EXPERIMENT) -> dict[str, Any]:
    """All runs of the experiment by name."""
    client = client_of(uri)
    (found,) = (each for each in client.search_experiments() if each.name == experiment)
    found = client.search_runs([found.experiment_id], max_results=5000)
    names = [str(run.info.run_name) for run in found]
    assert len(names) == len(set(names)), f"recorded twice: {sorted(names)}"
    return dict(zip(names, found, strict=True))


def history(uri, run, metric):
    return [(point.step, point.value) for point in client_of(uri).get_metric_history(run.info.run_id, metric)]


def record_trial(tracker, number, state="COMPLETE", reason=None, value: float | None = 0.94):
    run_id = tracker.start_trial(
        number, params={"filters": 8}, metrics={"params": 14_000, "macs": 900_000}, tags={"worker": "w1"}
    )
    for step, epoch in enumerate(EPOCHS, start=1):
        tracker.log_epochs(run_id, [epoch], step)
    tracker.end_trial(run_id, state=state, reason=reason, metrics={"value": value, "seconds": 20.0})
    return run_id


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(uri, port, log):
    """MLflow's own server over a database, in a process group of its own."""
    command, environment = ui_command(uri, port)
    with log.open("ab") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        for _ in range(900):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            pytest.fail(f"the server does not answer: {log.read_text()}")
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def run_python(code, *arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MLFLOW"))}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Gateway:
    """A server before MLflow's, which answers as `mode` says: "forward" what MLflow says, or badly.

    "hang" never answers, "headers" and "body" send a byte every half second, "500" fails at once.
    """

    def __init__(self, port: int | None, mode: str) -> None:
        self._port, self.mode, self.requests = port, mode, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, self._behind() as server:
            threading.Thread(target=self._hand_back, args=(server, client), daemon=True).start()
            while asked := client.recv(1 << 16):
                self.requests += asked.startswith((b"GET", b"POST", b"PUT", b"PATCH", b"DELETE"))
                if self.mode == "forward":
                    server.sendall(asked)
                    continue
                if self.mode == "hang":
                    time.sleep(60)
                elif self.mode == "500":
                    client.sendall(b"HTTP/1.1 500 Broken\r\nContent-Length: 2\r\n\r\n{}")
                    continue
                elif self.mode == "body":
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n")
                else:
                    client.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                for _ in range(120):
                    client.sendall(b" ")
                    time.sleep(0.5)

    def _behind(self) -> socket.socket:
        return socket.socket() if self._port is None else socket.create_connection(("127.0.0.1", self._port))

    def _hand_back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while told := server.recv(1 << 16):
                if self.mode == "forward":
                    client.sendall(told)


@contextlib.contextmanager
def gateway(port: int | None, mode: str = "forward"):
    """A `Gateway` before the MLflow server at a port of the loopback address; before nothing for None."""
    server = Gateway(port, mode)
    try:
        yield server
    finally:
        server.close()
