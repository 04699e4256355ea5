"""MLflow as an observer of a search."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

import optuna

from ..study.attributes import REJECTIONS
from ..study.budget import COSTS
from ..study.events import SearchObserver, SearchStatus, TrialRecord
from ..study.goal import Goal, budget_of, goal_of, score_of
from ..study.records import counts, full_record
from .tracker import Tracker

RUN_ID = "mlflow_run_id"
"""User attribute of a trial: the id of its run in MLflow."""


@final
class TrackingObserver(SearchObserver):
    """Records every trial in MLflow as it runs.

    At the start and at the end of a search it repairs what an outage of the store or a killed process left out.

    Args:
        tracker: of the study.
        tags: for every run: device, backend, versions, commit, data fingerprint.
        params: further params of the study's run, besides the settings of the search.

    Attributes:
        tracker: of the study.
        seconds: spent on recording trials so far.
    """

    def __init__(self, tracker: Tracker, tags: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> None:
        self.tracker = tracker
        self.seconds = 0.0
        self._tags, self._params = dict(tags), dict(params or {})
        self._study: optuna.Study | None = None
        self._goal: Goal | None = None
        self._run_ids: dict[int, str | None] = {}  # of the trials that run now, by number

    def search_started(self, study: optuna.Study, settings: Mapping[str, Any]) -> None:
        """Open the study's run, and bring its trials' runs in line with the study. Raises InputError."""
        goal = goal_of(study)
        best_by, direction = goal.order
        self._study, self._goal = study, goal
        self.tracker.start_study(
            study.study_name,
            {**settings, **self._params},
            self._tags,
            objective=goal.metric.name,
            direction=direction,
            best_by=best_by,
            costs=_shown_costs(study, goal),
            mark=goal.mark,
        )
        self.tracker.reconcile(self._records(study, goal))

    def trial_started(self, record: TrialRecord) -> Mapping[str, Any] | None:
        with self._timed():
            run_id = self.tracker.start_trial(
                record["number"],
                params=record["hyperparameters"],
                metrics={name: record[name] for name in COSTS},
                tags=self._tags_of(record),
            )
        self._run_ids[record["number"]] = run_id
        return None if run_id is None else {RUN_ID: run_id}

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        with self._timed():
            self.tracker.log_epochs(self._run_ids.get(number), [_epoch_metrics(metrics)], first_step=epoch)

    def trial_ended(self, record: TrialRecord) -> None:
        metrics, tags = _recorded(self._goal, record)
        with self._timed():
            self.tracker.end_trial(
                self._run_ids.pop(record["number"], None),
                state=record["state"],
                reason=record["reason"],
                metrics={"value": record["value"], "seconds": record["seconds"], **metrics},
                message=record["message"],
                tags=tags,
            )

    def search_ended(self, status: SearchStatus) -> None:
        """Close the study's run with its counts, its best trials and the table of refused proposals."""
        study, goal = self._study, self._goal
        if study is None or goal is None:
            return
        trials = study.get_trials(deepcopy=False)
        records = self._records(study, goal)
        columns = ("number", "reason", *COSTS, "summary", "message", "hyperparameters")
        refused = [{key: record[key] for key in columns} for record in records if record["reason"] in REJECTIONS]
        self.tracker.log_rejections(refused)
        self.tracker.reconcile(records)
        metrics: dict[str, float | None] = {f"trials_{key}": value for key, value in counts(trials).items()}
        metrics["recording_seconds"] = self.seconds
        tags: dict[str, Any] = {}
        results = goal.results(trials)
        if results:
            metrics |= {"best_value": score_of(results[0]), "best_params": results[0].user_attrs.get("params")}
            tags["kerastuna.best_trial"] = results[0].number
        if not goal.has_winner:
            tags[f"kerastuna.{goal.mark}"] = ", ".join(str(trial.number) for trial in results)
        marks = goal.marks(trials)
        if marks and goal.mark is not None:
            self.tracker.mark_trials(goal.mark, marks)
        self.tracker.finish_study(status, metrics, tags)

    def _records(self, study: optuna.Study, goal: Goal) -> list[dict[str, Any]]:
        """Every trial in the form that `Tracker.reconcile` takes."""
        return [
            record
            | {
                "epochs": [_epoch_metrics(metrics) for metrics in record["history"]],
                "metrics": metrics,
                "tags": self._tags_of(record) | tags,
                "run_id": trial.user_attrs.get(RUN_ID),
                "started": trial.datetime_start or datetime.now(UTC),
            }
            for trial in study.get_trials(deepcopy=False)
            for record in [full_record(trial)]
            for metrics, tags in [_recorded(goal, record)]
        ]

    def _tags_of(self, record: TrialRecord) -> dict[str, Any]:
        own = {"architecture": record["summary"], "seed": record["seed"], "reference": record["name"]}
        return self._tags | {key: value for key, value in own.items() if value is not None and value != ""}

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - began


def open_recorder(
    tracking_uri: str,
    experiment: str,
    artifact_root: Path,
    *,
    tags: Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    warn: Callable[[str], None],
) -> TrackingObserver:
    """An observer that records in the MLflow store at `tracking_uri`.

    Args:
        experiment: the name of the MLflow experiment, created when it does not exist.
        artifact_root: folder for the artifacts of a new experiment in a database; a server decides for itself.
        tags, params: see `TrackingObserver`.
        warn: receives one line, without passwords, when the store fails.

    Raises InputError when the store cannot be used.
    """
    return TrackingObserver(Tracker(tracking_uri, experiment, artifact_root=artifact_root, warn=warn), tags, params)


def _shown_costs(study: optuna.Study, goal: Goal) -> list[str]:
    """The costs that the page of the trials has columns for: activations only where the study is about them."""
    budget = budget_of(study)
    counted = {*goal.costs, *(() if budget is None else budget.limits)}
    return [name for name in COSTS if name != "ram" or name in counted]


def _recorded(goal: Goal | None, record: TrialRecord) -> tuple[dict[str, Any], dict[str, str]]:
    """Metrics and tags of an ended trial that are about the goal."""
    return ({}, {}) if goal is None else goal.recorded(record["state"], record["value"], record)


def _epoch_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of an epoch for MLflow, where "seconds" is the name of the whole trial's seconds."""
    return {"epoch_seconds" if name == "seconds" else name: value for name, value in metrics.items()}
