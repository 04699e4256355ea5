"""MLflow as an observer of a search."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, final

import optuna

from ..study.budget import COSTS
from ..study.events import SearchObserver, SearchStatus
from ..study.goal import Goal, budget_of, goal_of, score_of
from ..study.reasons import REJECTIONS
from ..study.records import counts, full_record
from .tracker import Tracker


@final
class TrackingObserver(SearchObserver):
    """Records every trial in MLflow as it happens.

    At the start and the end of a search it also records what an outage of the server or a kill left out.

    Args:
        tracker: of the study.
        tags: for every run: device, backend, versions, commit, data fingerprint.
        params: of the study's run, besides the settings of the search.

    Attributes:
        seconds: spent on recording trials so far.
    """

    def __init__(self, tracker: Tracker, tags: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> None:
        self._tracker, self._tags, self._params = tracker, dict(tags), dict(params or {})
        self._study: optuna.Study | None = None
        self._runs: dict[int, str | None] = {}  # number of a running trial -> id of its run; None: not recorded
        self.seconds = 0.0

    def search_started(self, study: optuna.Study, settings: Mapping[str, Any]) -> None:
        """Open the study's run, and complete what is recorded of its trials; raises InputError when that fails."""
        self._study, goal, budget = study, goal_of(study), budget_of(study)
        counted = {*goal.costs, *(budget.limits if budget else ())}
        best_by, direction = goal.order
        self._tracker.start_study(
            study.study_name,
            {**settings, **self._params},
            self._tags,
            objective=goal.metric.name,
            direction=direction,
            best_by=best_by,
            costs=[name for name in COSTS if name != "ram" or name in counted],
            mark=goal.mark,
        )
        self._tracker.reconcile(self._records(study, goal))

    def trial_started(self, record: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Open the trial's run; its id is kept with the trial."""
        with self._timed():
            run_id = self._tracker.start_trial(
                record["number"],
                params=record["hyperparameters"],
                metrics={name: record[name] for name in COSTS},
                tags=self._tags_of(record),
            )
        self._runs[record["number"]] = run_id
        return None if run_id is None else {"mlflow_run_id": run_id}

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record the metrics of an epoch."""
        with self._timed():
            self._tracker.log_epochs(self._runs.get(number), [_of_epoch(metrics)], first_step=epoch)

    def trial_ended(self, record: Mapping[str, Any]) -> None:
        """Close the trial's run."""
        metrics, tags = goal_of(self._opened).recorded(record["state"], record["value"], record)
        with self._timed():
            self._tracker.end_trial(
                self._runs.pop(record["number"], None),
                state=record["state"],
                reason=record["reason"],
                metrics={"value": record["value"], "seconds": record["seconds"], **metrics},
                message=record["message"],
                tags=tags,
            )

    def search_ended(self, status: SearchStatus) -> None:
        """Close the study's run, with the counts of its trials and a table of the refused proposals."""
        study = self._opened
        goal, trials = goal_of(study), study.get_trials(deepcopy=False)
        records = self._records(study, goal)
        columns = ("number", "reason", *COSTS, "summary", "message", "hyperparameters")
        refused = [{key: record[key] for key in columns} for record in records if record["reason"] in REJECTIONS]
        self._tracker.log_rejections(refused)
        self._tracker.reconcile(records)
        metrics: dict[str, float | None] = {f"trials_{key}": value for key, value in counts(trials).items()}
        metrics["recording_seconds"] = self.seconds
        tags: dict[str, Any] = {}
        results = goal.results(trials)
        if results:
            metrics |= {"best_value": score_of(results[0]), "best_params": results[0].user_attrs.get("params")}
            tags["kerastuna.best_trial"] = results[0].number
        if (marks := goal.marks(trials)) and goal.mark is not None:
            tags[f"kerastuna.{goal.mark}"] = ", ".join(str(trial.number) for trial in results)
            self._tracker.mark_trials(goal.mark, marks)
        self._tracker.finish_study(status, metrics, tags)

    @property
    def _opened(self) -> optuna.Study:
        assert self._study is not None, "search_started comes first"
        return self._study

    def _records(self, study: optuna.Study, goal: Goal) -> Sequence[dict[str, Any]]:
        """Every trial in the form that `Tracker.reconcile` takes."""
        return [
            record
            | {
                "epochs": [_of_epoch(metrics) for metrics in record["history"]],
                "metrics": metrics,
                "tags": self._tags_of(record) | tags,
                "run_id": trial.user_attrs.get("mlflow_run_id"),
                "started": trial.datetime_start or datetime.now(UTC),
            }
            for trial in study.get_trials(deepcopy=False)
            for record in [full_record(trial)]
            for metrics, tags in [goal.recorded(record["state"], record["value"], record)]
        ]

    def _tags_of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        own = {"architecture": record["summary"], "seed": record["seed"], "reference": record["name"]}
        return self._tags | {key: value for key, value in own.items() if value is not None and value != ""}

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - began


def _of_epoch(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of an epoch for MLflow, where "seconds" are those of the whole trial."""
    return {"epoch_seconds" if name == "seconds" else name: value for name, value in metrics.items()}
