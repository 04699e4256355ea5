"""The load of this machine, recorded with the run of a study while a search runs."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, final

from .connection import Connection
from .store import explain, log_batch

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

SECONDS = 30
"""Between two samples. MLflow has 10; a search is longer than a training, and its load changes less."""
LAST_SECONDS = 1.0
"""How long the end of a search waits for a sample that is being recorded. It may arrive later, and harms nothing."""


@final
class SystemMetrics:
    """Records MLflow's system metrics from a thread of its own: CPU, memory, disk and network, and the GPU where the
    package nvidia-ml-py is installed.

    MLflow measures, but does not record: its thread waits for a server without an end, and gives up at the first
    failure. A request that fails costs here only its sample. MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false turns it off,
    and MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL is the time between two samples in seconds.
    """

    def __init__(self, uri: str, run_id: Callable[[], str], warn: Callable[[str], None]) -> None:
        """
        Args:
            uri: of a store that was opened.
            run_id: the run to record with, at any time.
            warn: receives one line where nothing can be measured.
        """
        self._uri, self._run_id, self._warn = uri, run_id, warn
        # Silent, as the tracker tells of a store that fails.
        self._connection = Connection(uri, warn=lambda line: None)
        self._began: float | None = None  # of the run, in seconds
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to measure. Raises nothing."""
        from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING as ENABLED

        self.stop()
        if ENABLED.is_set() and not ENABLED.get():
            return
        # It says at every start that it finds no GPU.
        logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            monitor = SystemMetricsMonitor(self._run_id(), sampling_interval=SECONDS, tracking_uri=self._uri)
            _sample(monitor)  # what fails at all fails here
        except Exception as error:  # psutil knows other systems in other ways, and no failure may end a search
            self._warn(f"MLflow's system metrics are not recorded: {explain(error)}")
            return
        self._ended = threading.Event()
        watch = (weakref.ref(self), monitor, self._ended)
        self._thread = threading.Thread(target=_watch, args=watch, name="system metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Measure no more; returns within a second."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(LAST_SECONDS)

    def sample(self, monitor: SystemMetricsMonitor) -> None:
        """Measure and record once. Raises nothing; does nothing for a while after a failure."""
        self._connection.resume_when_due()
        self._connection.attempt(lambda client: self._record(client, monitor))

    def _record(self, client: MlflowClient, monitor: SystemMetricsMonitor) -> None:
        run_id = self._run_id()
        if self._began is None:
            self._began = client.get_run(run_id).info.start_time / 1000
        # A search that goes on with the same run goes on with its steps, and never repeats one.
        step = round(time.time() - self._began)
        node = f"{monitor.node_id}/" if monitor.node_id else ""
        log_batch(client, run_id, metrics=[(step, {f"system/{node}{k}": v for k, v in _sample(monitor).items()})])


def _watch(watcher: weakref.ref[SystemMetrics], monitor: SystemMetricsMonitor, ended: threading.Event) -> None:
    """Sample until `ended` is set, or until nobody has the watcher any more, as after a search that failed."""
    _sample(monitor)  # psutil tells the load of the CPU since this thread asked before
    while not ended.wait(monitor.sampling_interval):
        found = watcher()
        if found is None:
            return
        found.sample(monitor)
        del found


def _sample(monitor: SystemMetricsMonitor) -> dict[str, float]:
    monitor.collect_metrics()
    metrics = monitor.aggregate_metrics()
    for part in monitor.monitors:
        part.clear_metrics()
    return metrics
