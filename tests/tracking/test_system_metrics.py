"""The load of the machine, in the run of a study."""

import threading
import time

import pytest
from tracking_support import EXPERIMENT, fail_on_warning, free_port, gateway, history, record_trial, runs_of

from kerastuna.search.tracking.system_metrics import LAST_SECONDS, SystemMetrics
from kerastuna.search.tracking.tracker import Tracker

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
CPU, MEMORY = "system/cpu_utilization_percentage", "system/system_memory_usage_percentage"


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "1")


def wait_for_samples(uri, number):
    for _ in range(200):
        if len(samples := history(uri, runs_of(uri)["first"], CPU)) >= number:
            return samples
        time.sleep(0.1)
    pytest.fail(f"only {samples} after 20 seconds")


@pytest.fixture
def watching():
    """The threads that measure and that this test began."""
    others = set(threading.enumerate())
    return lambda: [each for each in threading.enumerate() if each.name == "system metrics" and each not in others]


def test_the_parent_run_has_the_load_while_the_search_runs_and_trials_have_none(tracker, uri, often, watching):
    tracker.watch_system()
    record_trial(tracker, 0)
    samples = wait_for_samples(uri, 2)
    tracker.finish_study("FINISHED", {"best_value": 0.9}, {})
    assert not watching()
    steps = [step for step, _ in samples]
    assert steps == sorted(set(steps))
    assert all(0 < value <= 100 for _, value in samples)
    runs = runs_of(uri)
    assert runs["first"].data.metrics[MEMORY] > 0
    assert not [name for name in runs["trial-0000"].data.metrics if name.startswith("system/")]
    assert runs["first"].info.status == "FINISHED"


def test_a_search_that_goes_on_continues_the_steps(tracker, uri, often):
    tracker.watch_system()
    before = wait_for_samples(uri, 1)
    tracker.finish_study("KILLED", {}, {})
    time.sleep(1)
    again = Tracker(uri, EXPERIMENT, warn=fail_on_warning)
    again.start_study("first", {"budget": 15_000, "trials": 20}, {})
    again.watch_system()
    after = wait_for_samples(uri, len(before) + 1)
    again.finish_study("FINISHED", {}, {})
    assert after[-1][0] > before[-1][0]


def test_it_can_be_turned_off(tracker, often, monkeypatch, watching):
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    tracker.watch_system()
    assert not watching()


def test_a_machine_that_cannot_be_measured_is_told_in_one_line(tracker, uri, monkeypatch, watching):
    import psutil

    def fails():
        raise PermissionError(13, "Permission denied: '/proc/stat'")

    monkeypatch.setattr(psutil, "cpu_percent", fails)
    told = []
    SystemMetrics(uri, lambda: tracker.run_id, told.append).start()
    assert len(told) == 1
    assert told[0].startswith("MLflow's system metrics are not recorded: [Errno 13] Permission denied")
    assert not watching()


@pytest.mark.parametrize("mode", ["hang", "body", "500"])
def test_a_server_that_fails_holds_up_no_end(often, mode):
    with gateway(None, mode) as server:
        system = SystemMetrics(server.address, lambda: "0" * 32, fail_on_warning)
        system.start()
        while not server.requests:
            time.sleep(0.05)
        began = time.monotonic()
        system.stop()
        assert time.monotonic() - began < LAST_SECONDS + 1


def test_a_dead_server_fails_nothing_and_prints_nothing(often, capfd, watching):
    system = SystemMetrics(f"http://me:hunter2@127.0.0.1:{free_port()}", lambda: "0" * 32, fail_on_warning)
    system.start()
    time.sleep(2.5)
    assert watching()
    system.stop()
    assert capfd.readouterr() == ("", "")


def test_a_search_that_failed_leaves_no_thread(tracker, uri, often, watching):
    system = SystemMetrics(uri, lambda: tracker.run_id, fail_on_warning)
    system.start()
    assert len(watching()) == 1
    del system
    for _ in range(50):
        if not watching():
            return
        time.sleep(0.1)
    pytest.fail("it still measures")
