"""An MLflow store with the experiment, and a study in it."""

import shutil

import pytest
from tracking_support import EXPERIMENT, fail_on_warning

from kerastuna.search.tracking.store import default_tracking_uri
from kerastuna.search.tracking.tracker import Tracker


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A store with the experiment and nothing else: making one takes MLflow a second."""
    folder = tmp_path_factory.mktemp("empty")
    Tracker(default_tracking_uri(folder), EXPERIMENT, warn=fail_on_warning)
    return folder / "mlflow.db"


@pytest.fixture
def uri(tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return default_tracking_uri(tmp_path)


@pytest.fixture
def tracker(uri):
    tracker = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    tracker.start_study("first", {"budget": 15_000, "trials": 20}, {"profile": "quick"})
    return tracker
