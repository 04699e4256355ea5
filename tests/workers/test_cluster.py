"""A Ray cluster: options that are refused, addresses that do not answer, and the workers that it has room for."""

import importlib.util
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kerastuna.search.errors import InputError
from kerastuna.search.workers import cluster as module
from kerastuna.search.workers.cluster import Cluster, check_ray, joined


@pytest.mark.parametrize(
    ("address", "gpus"), [(None, None), ("auto", None), ("10.0.0.1:6379", 0.25), ("head.example:6379", 2), ("auto", 1)]
)
def test_options_that_are_taken(address: str | None, gpus: float | None):
    check_ray(address, gpus)


@pytest.mark.parametrize(
    ("address", "gpus", "told"),
    [
        (None, 0.25, "--gpus-per-trial 0.25 is for a Ray cluster: give --ray auto"),
        ("auto", 0, "--gpus-per-trial 0: give a part of a GPU"),
        ("auto", -1, "--gpus-per-trial -1: give a part"),
        ("auto", 1.5, "--gpus-per-trial 1.5: give a part"),
        ("auto", float("nan"), "--gpus-per-trial nan: give a part"),
        ("auto", float("inf"), "--gpus-per-trial inf: give a part"),
        ("", None, "--ray : give auto, or HOST:PORT"),
        ("here", None, "--ray here: give auto, or HOST:PORT"),
        ("here:0", None, "--ray here:0: give auto, or HOST:PORT"),
        ("ray://me:secret@here:10001", None, r"--ray ray://me:\*\*\*@here:10001: give auto, or HOST:PORT"),
    ],
)
def test_options_that_are_refused(address: str | None, gpus: float | None, told: str):
    with pytest.raises(InputError, match=f"^{told}"):
        check_ray(address, gpus)


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "ray" else find(name))
    with pytest.raises(InputError, match=r"not installed: pip install 'PATH/TO/kerastuna\[ray\]'"):
        check_ray("auto", None)
    check_ray(None, None)


def node(cores: float, gpus: float = 0, host: str = "elsewhere") -> dict[str, Any]:
    return {"NodeManagerHostname": host, "Resources": {"CPU": cores, **({"GPU": gpus} if gpus else {})}}


TWO = Cluster([node(8, 2), node(4)])


@pytest.mark.parametrize(
    ("gpus", "places"), [(0, 12), (0.5, 4), (0.25, 8), (0.3, 6), (0.1, 8), (1 / 3, 6), (1, 2), (2, 1), (3, 0)]
)
def test_places(gpus: float, places: int):
    assert TWO.places(gpus) == places


def test_the_number_of_workers():
    assert TWO.workers("auto", 0) == 12
    assert TWO.workers("auto", 0, at_most=5) == 5
    assert TWO.workers("auto", 0, at_most=0) == 1
    assert TWO.workers(20, 0.5) == 20  # some wait for room
    with pytest.raises(InputError, match="--workers 0: give a whole number"):
        TWO.workers(0, 0)
    with pytest.raises(InputError, match="no node of the Ray cluster has room for a worker, which takes a CPU: add"):
        Cluster([node(0.5)]).workers("auto", 0)
    with pytest.raises(InputError, match=r"which takes a CPU and 0\.5 GPUs"):
        Cluster([node(4), node(0, 2)]).workers("auto", 0.5)


def test_gpus_of_a_worker():
    assert TWO.gpus_per_worker(0.25, "auto") == 0.25
    assert TWO.gpus_per_worker(2, "gpu") == 2
    assert TWO.gpus_per_worker(None, "auto") == 0.5
    assert TWO.gpus_per_worker(None, "cpu") == 0
    assert Cluster([node(4)]).gpus_per_worker(None, "auto") == 0
    with pytest.raises(InputError, match="--gpus-per-trial 3: no node of the Ray cluster has more than 2 GPUs"):
        TWO.gpus_per_worker(3, "auto")
    with pytest.raises(InputError, match=r"--gpus-per-trial 0\.5: no node .* more than 0 GPUs"):
        Cluster([node(4)]).gpus_per_worker(0.5, "auto")
    with pytest.raises(InputError, match="device 'gpu' was asked for, but no node"):
        Cluster([node(4)]).gpus_per_worker(None, "gpu")
    with pytest.raises(InputError, match=r"--gpus-per-trial 0\.5 and --device cpu exclude each other"):
        TWO.gpus_per_worker(0.5, "cpu")


def test_whether_all_nodes_are_this_machine():
    here = node(1, host=socket.gethostname())
    assert Cluster([here, here]).is_here
    assert not Cluster([here, node(1)]).is_here


@pytest.fixture
def server():
    """The port of something that answers, but is no Ray cluster."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            there, _ = listening.accept()
            with there:
                there.recv(100)
                there.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(5)


def refused(address: str) -> str:
    began = time.monotonic()
    with pytest.raises(InputError) as caught, joined(address):
        pass
    assert time.monotonic() - began < 10
    return str(caught.value)


def test_addresses_that_are_no_cluster(server: int, monkeypatch: pytest.MonkeyPatch):
    assert refused("127.0.0.1:1").startswith("--ray 127.0.0.1:1: nothing answers there (Connection refused)")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert refused("auto").startswith("--ray 127.0.0.1:1: nothing answers there")
    assert refused(f"127.0.0.1:{server}").endswith("what answers there is no Ray cluster; correct the address")
    monkeypatch.setenv("RAY_ADDRESS", "ray://me:secret@127.0.0.1:1")
    assert refused("auto").startswith("RAY_ADDRESS ray://me:***@127.0.0.1:1: give HOST:PORT")


def test_one_that_is_silent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert refused(f"127.0.0.1:{port}").startswith(f"--ray 127.0.0.1:{port}: nothing answers there (timed out)")


def test_a_cluster_of_ray_start_that_ended_badly_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert not module._started_here()
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    assert not module._started_here()
