"""Fixtures of several test modules."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import without_graphs, write_slice

from kerastuna.search.study.heartbeat import Heartbeat
from kerastuna.search.study.waiting import Outage, outage

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERASTUNA_INT8"] = "off"  # except where a test is about int8: every training would take 6 s more
os.environ["KERASTUNA_WORKERS"] = "1"  # except where a test is about workers: starting them takes seconds

LONGEST = ("end_to_end", "export", "report")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: many tests wait for processes that they began."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first: no worker is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture(scope="session")
def mnist_slice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 training and 200 test images of MNIST in an .npz."""
    return write_slice(tmp_path_factory.mktemp("data") / "slice.npz")


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> Iterator[None]:
    """Keras and KerasTuner collect all garbage in every trial: what was imported need not be searched each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What one test finds out about its storage, or tells MLflow, is nothing to the next one.

    A trial that a test leaves running does not report either: its storage may be gone a minute later.
    """
    begun: list[Heartbeat] = []
    run = Heartbeat._run

    def noted(self: Heartbeat) -> None:
        begun.append(self)
        run(self)

    monkeypatch.setattr(Heartbeat, "_run", noted)
    yield
    for heartbeat in begun:
        heartbeat.stop()
    vars(outage).update(vars(Outage()))
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # `mlflow.set_tracking_uri` sets it


@pytest.fixture
def eager() -> Iterator[None]:
    """Keras trains without graphs."""
    with without_graphs():
        yield
