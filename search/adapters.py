"""What hears of a search: the display and MLflow, each told in its own words."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, final

from .budget import COSTS, UNITS
from .goal import Goal, ParetoFront, SmallestNetwork, score_of
from .observer import SearchObserver
from .progress import Progress
from .records import counts, full_record
from .study import REJECTIONS, is_trained
from .tracking import Tracker
from .training import EpochMetrics

if TYPE_CHECKING:
    from .oracle import OptunaOracle


@final
class ProgressObserver(SearchObserver):
    """Shows a search on a display; `epochs` is the length of a full trial."""

    def __init__(self, progress: Progress, epochs: int, goal: Goal) -> None:
        self._progress, self._epochs, self._goal = progress, epochs, goal
        self._began = 0.0

    def proposal_refused(self, record: Mapping[str, Any]) -> None:
        self._progress.rejected(number=record["number"], reason=record["reason"], summary=record["summary"])

    def trial_started(self, record: Mapping[str, Any]) -> None:
        self._began = time.monotonic()
        size = "" if record["params"] is None else f"{record['params']:,} params"
        summary = " | ".join(part for part in (record["summary"], size) if part)
        self._progress.trial_started(number=record["number"], summary=summary)

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        _show_epoch(self._progress, number, epoch, self._epochs, metrics)

    def trial_ended(self, record: Mapping[str, Any]) -> None:
        self._progress.trial_ended(
            number=record["number"],
            state=record["state"],
            reason=record["reason"],
            value=record["value"],
            seconds=time.monotonic() - self._began,
            rank=None if record["value"] is None else self._goal.rank(record["value"], record),
            note=self._note(record),
        )

    def _note(self, record: Mapping[str, Any]) -> str:
        """How far the trial came where there is a target."""
        goal = self._goal
        if not isinstance(goal, SmallestNetwork) or record["value"] is None:
            return ""
        if goal.is_met(record["value"]):
            return f"reaches {goal.target:g} with {record[goal.cost]:,} {UNITS[goal.cost]}"
        return f"{goal.distance(record['value']):.4f} short of {goal.target:g}"


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


def _show_epoch(progress: Progress, number: int, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
    shown = {name: value for name, value in metrics.items() if name != "seconds"}
    progress.epoch_ended(number=number, epoch=epoch, epochs=epochs, metrics=shown, seconds=metrics["seconds"])


def _of_epoch(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of an epoch for MLflow, where "seconds" are those of the whole trial."""
    return {"epoch_seconds" if name == "seconds" else name: value for name, value in metrics.items()}


@final
class ConfirmationProgress:
    """Shows a confirmation on a display, a training at a time."""

    def __init__(self, progress: Progress, epochs: int) -> None:
        self._progress, self._epochs = progress, epochs
        self._began = 0.0

    def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
        self._began = time.monotonic()
        what = "final model" if purpose == "final" else "fresh seed"
        self._progress.trial_started(number=trial, summary=f"{what}, seed {seed}: {summary}")

    def epoch_ended(self, trial: int, epoch: int, metrics: EpochMetrics) -> None:
        _show_epoch(self._progress, trial, epoch, self._epochs, metrics)

    def training_ended(self, trial: int, value: float | None) -> None:
        seconds = time.monotonic() - self._began
        note = "final model trained" if value is None else ""
        self._progress.trial_ended(number=trial, state="COMPLETE", value=value, seconds=seconds, note=note)
