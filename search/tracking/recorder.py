"""MLflow as an observer of a search."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, final

from ..study.attributes import REJECTIONS, is_trained
from ..study.budget import COSTS
from ..study.events import SearchObserver
from ..study.goal import ParetoFront, SmallestNetwork, score_of
from ..study.records import counts, full_record
from .tracker import Tracker

if TYPE_CHECKING:
    from ..tuning.oracle import OptunaOracle


@final
class TrackingObserver(SearchObserver):
    """Writes every trial to MLflow as it happens, and mends at the start and the end what an outage or a kill left out.

    Args:
        tracker: of the study.
        tags: for every run: device, backend, versions, commit, data fingerprint.

    Attributes:
        seconds: spent on recording trials so far.
    """

    def __init__(self, tracker: Tracker, tags: Mapping[str, Any]) -> None:
        self._tracker, self._tags = tracker, dict(tags)
        self._oracle: OptunaOracle | None = None
        self._run_id: str | None = None
        self.seconds = 0.0

    def start(self, oracle: "OptunaOracle", params: Mapping[str, Any], objective: str) -> None:
        """Open the study's run, and bring what is recorded in line with the study."""
        self._oracle = oracle
        direction: Literal["maximize", "minimize"] = "maximize" if oracle.objective.direction == "max" else "minimize"
        best_by = "value"
        if isinstance(oracle.goal, SmallestNetwork):
            direction, best_by = "minimize", _if_reached(oracle.goal)
        self._tracker.start_study(
            oracle.study.study_name,
            params,
            self._tags,
            objective=objective,
            direction=direction,
            best_by=best_by,
            costs=[name for name in COSTS if name != "ram" or name in oracle.counted],
            mark=oracle.goal.mark,
        )
        self._tracker.reconcile(self._records())

    def trial_started(self, record: Mapping[str, Any]) -> None:
        with self._timed():
            self._run_id = self._tracker.start_trial(
                record["number"],
                params=record["hyperparameters"],
                metrics={name: record[name] for name in COSTS},
                tags=self._tags_of(record),
            )
        if self._run_id is not None and self._oracle is not None:
            self._oracle.note(f"{record['number']:04d}", mlflow_run_id=self._run_id)

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        with self._timed():
            self._tracker.log_epochs(self._run_id, [_of_epoch(metrics)], first_step=epoch)

    def trial_ended(self, record: Mapping[str, Any]) -> None:
        metrics, tags = self._reached(record)
        with self._timed():
            self._tracker.end_trial(
                self._run_id,
                state=record["state"],
                reason=record["reason"],
                metrics={"value": record["value"], "seconds": record["seconds"], **metrics},
                message=record["message"],
                tags=tags,
            )

    def finish(self, status: Literal["FINISHED", "KILLED", "FAILED"]) -> None:
        """Close the study's run with what became of its trials, and the table of what was refused."""
        if self._oracle is None:
            return
        trials = self._oracle.study.get_trials(deepcopy=False)
        records = self._records()
        columns = ("number", "reason", *COSTS, "summary", "message", "hyperparameters")
        refused = [{key: record[key] for key in columns} for record in records if record["reason"] in REJECTIONS]
        self._tracker.log_rejections(refused)
        self._tracker.reconcile(records)
        metrics: dict[str, float | None] = {f"trials_{key}": value for key, value in counts(trials).items()}
        metrics["recording_seconds"] = self.seconds
        tags: dict[str, Any] = {}
        results = self._oracle.goal.results(trials)
        if results:
            metrics |= {"best_value": score_of(results[0]), "best_params": results[0].user_attrs.get("params")}
            tags["kerastuna.best_trial"] = results[0].number
        if isinstance(self._oracle.goal, ParetoFront):
            front = {trial.number for trial in results}
            tags["kerastuna.front"] = ", ".join(str(trial.number) for trial in results)
            told = {trial.number: "yes" if trial.number in front else "no" for trial in trials if is_trained(trial)}
            self._tracker.mark_trials(self._oracle.goal.mark, told)
        self._tracker.finish_study(status, metrics, tags)

    def _records(self) -> list[dict[str, Any]]:
        assert self._oracle is not None
        return [
            record
            | {
                "epochs": [_of_epoch(metrics) for metrics in record["history"]],
                "metrics": reached,
                "tags": self._tags_of(record) | tags,
                "run_id": trial.user_attrs.get("mlflow_run_id"),
                "started": trial.datetime_start or datetime.now(UTC),
            }
            for trial in self._oracle.study.get_trials(deepcopy=False)
            for record in [full_record(trial)]
            for reached, tags in [self._reached(record)]
        ]

    def _reached(self, record: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
        """Of a trained trial, where there is a target: whether it is reached as a tag, if so the cost as a metric."""
        goal = self._oracle and self._oracle.goal
        if not isinstance(goal, SmallestNetwork) or record["value"] is None:
            return {}, {}
        if record["state"] != "COMPLETE" or not goal.is_met(record["value"]):
            return {}, {goal.mark: "no"}
        return {_if_reached(goal): record[goal.cost]}, {goal.mark: "yes"}

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


def _if_reached(goal: SmallestNetwork) -> str:
    """The metric of a trial that orders those that reach the target; the others do not have it."""
    return f"{goal.cost}_if_reached"


def _of_epoch(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of an epoch for MLflow, where "seconds" are those of the whole trial."""
    return {"epoch_seconds" if name == "seconds" else name: value for name, value in metrics.items()}
