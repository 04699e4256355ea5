"""Brings the runs in MLflow in line with the study, after an outage of the store or a killed process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..study.budget import COSTS
from ..study.reasons import INTERRUPTED, REJECTIONS
from .connection import Connection
from .runs import RUN_STATUS, StudyRun, create_trial_run, end_trial_run, is_kept, trial_runs
from .store import log_batch, safe_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def reconcile(connection: Connection, study_run: StudyRun, trials: Sequence[Mapping[str, Any]]) -> tuple[int, bool]:
    """Bring the nested runs in line with `trials`; returns how many trials were repaired, and whether nothing failed.

    A run that still says RUNNING although its trial has ended is completed and closed. A trained trial without a run
    is recorded in full. Trials that still run, and proposals that were refused, are skipped. Raises nothing when the
    store fails.

    Each trial has `number`, `state` and `reason`, and may have `value`, `params`, `macs` and `ram` (counts),
    `seconds`, `metrics` (further ones of its end), `epochs` (metrics of each), `hyperparameters`, `tags`, `message`,
    `run_id` and `started` (a datetime).
    """
    ended = [trial for trial in trials if trial["state"] in RUN_STATUS and trial.get("reason") not in REJECTIONS]
    numbers = [trial["number"] for trial in ended]
    runs = connection.attempt(lambda client: trial_runs(client, study_run, numbers))
    if runs is None:
        return 0, False
    repairs = [
        connection.attempt(partial(_repair, study_run=study_run, trial=trial, runs=runs[trial["number"]]))
        for trial in ended
    ]
    return sum(map(bool, repairs)), None not in repairs


def _repair(client: MlflowClient, study_run: StudyRun, trial: Mapping[str, Any], runs: Sequence[Run]) -> bool:
    """Leave `trial` with one run that has ended; returns whether anything had to be done."""
    run = next((run for run in runs if run.info.run_id == trial.get("run_id")), runs[0] if runs else None)
    stale = [other for other in runs if other is not run and other.info.status == "RUNNING"]
    for other in stale:
        end_trial_run(client, other.info.run_id, "FAIL", reason=INTERRUPTED, metrics={})
    if run is not None and run.info.status != "RUNNING":
        return bool(stale)
    _complete(client, study_run, trial, run)
    return True


def _complete(client: MlflowClient, study_run: StudyRun, trial: Mapping[str, Any], run: Run | None) -> None:
    """Record what `run` does not have yet of a trial that has ended, and end the run; None for a new run."""
    started, seconds, tags = trial.get("started"), trial.get("seconds"), trial.get("tags") or {}
    start = None if started is None else _milliseconds(started.timestamp())
    if run is None:
        run_id = create_trial_run(client, study_run, trial["number"], params={}, metrics={}, tags=tags, start=start)
        known = {}
        if not is_kept(client, study_run, trial["number"], run_id):
            return
    else:
        run_id, known = run.info.run_id, run.data.metrics
    first = {key: trial.get(key) for key in COSTS if key not in known}
    last = {key: trial.get(key) for key in ("value", "seconds") if key not in known} | trial.get("metrics", {})
    epochs = list(enumerate(trial.get("epochs") or (), start=1))
    logged = _logged_steps(client, run_id, epochs) if known else set()
    metrics = [(0, first), *(epoch for epoch in epochs if epoch[0] not in logged)]
    log_batch(client, run_id, metrics=metrics, params=trial.get("hyperparameters"), tags=tags)
    end_trial_run(
        client,
        run_id,
        trial["state"],
        reason=trial.get("reason"),
        metrics=last,
        message=trial.get("message"),
        end=None if start is None or seconds is None else start + _milliseconds(seconds),
    )


def _logged_steps(client: MlflowClient, run_id: str, epochs: Sequence[tuple[int, Mapping[str, Any]]]) -> set[int]:
    """The epochs that a run has already, read from the history of their first metric."""
    names = [name for _, epoch in epochs for name in epoch][:1]
    return {point.step for name in names for point in client.get_metric_history(run_id, safe_name(name))}


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
