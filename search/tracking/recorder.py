"""MLflow as an observer of a search."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, final

import optuna
from optuna.trial import FrozenTrial, TrialState

from ..errors import StudyError
from ..messages import figure
from ..study.attributes import IDENTITY, is_rejection
from ..study.budget import ALWAYS_SHOWN, COSTS
from ..study.events import SearchObserver, SearchStatus
from ..study.goal import Goal, budget_of, goal_of, score_of
from ..study.liveness import Watch, is_foreign
from ..study.reasons import ERROR, INTERRUPTED
from ..study.records import counts, failure_counts, full_record
from ..study.study_id import id_of
from .inputs import DataPart, parts_of
from .tracker import Tracker

NOTED_EVERY = 25
"""After so many trials it is noted that their runs are complete. After a kill no more have to be looked at."""


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
        self._complete: set[int] = set()  # numbers of trials whose runs are known to be complete
        self._parts: tuple[DataPart, ...] = ()
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
            direction=direction,
            best_by=best_by,
            costs=[name for name in COSTS if name in {*ALWAYS_SHOWN, *counted}],
            mark=goal.mark,
            owner=id_of(study.user_attrs),
        )
        self._tracker.watch_system()
        self._parts = parts_of(
            str(self._params.get("data", "data")), study.user_attrs.get(IDENTITY, {}).get("data", {})
        )
        self._tracker.log_data(self._parts)
        self._reconcile(study, goal)

    def trial_started(self, record: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Open the trial's run; its id is kept with the trial. The run of a try before, of this process, has failed."""
        with self._timed():
            if (before := self._runs.pop(record["number"], None)) is not None:
                self._tracker.end_trial(before, state="FAIL", reason=ERROR, metrics={})
            run_id = self._tracker.start_trial(
                record["number"],
                params=record["hyperparameters"],
                metrics={name: record.get(name) for name in COSTS},
                tags=self._tags_of(record),
            )
            if run_id is not None:
                self._tracker.log_data(self._parts, run_id)
        self._runs[record["number"]] = run_id
        return None if run_id is None else {"mlflow_run_id": run_id}

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record the metrics of an epoch."""
        with self._timed():
            self._tracker.log_epochs(self._runs.get(number), [of_epoch(metrics)], first_step=epoch)

    def trial_ended(self, record: Mapping[str, Any]) -> None:
        """Close the trial's run."""
        goal = goal_of(self._opened)
        metrics, tags = goal.recorded(record["state"], record["value"], record)
        if (epochs := record.get("continued_after")) is not None:
            tags = {**tags, "continued_after": epochs}
        with self._timed():
            complete = self._tracker.end_trial(
                self._runs.pop(record["number"], None),
                state=record["state"],
                reason=record["reason"],
                metrics={"value": _shown(record["value"], goal), "seconds": record["seconds"], **metrics},
                message=record["message"],
                tags=tags,
            )
        if complete:
            self._complete.add(record["number"])
            if len(self._complete) % NOTED_EVERY == 0:
                with self._timed():
                    self._note_agreed(self._opened.get_trials(deepcopy=False))

    def search_ended(self, status: SearchStatus) -> None:
        """Close the study's run, with the counts of its trials and a table of the refused proposals.

        It stays open while other processes train trials of the study: the last one closes it.

        Raises StudyError where the study cannot be read; the runs are closed all the same.
        """
        study = self._opened
        try:
            goal, trials = goal_of(study), study.get_trials(deepcopy=False)
        except StudyError:  # it was deleted, or its storage does not answer any more
            self._close_runs(status)
            raise
        columns = ("number", "reason", *COSTS, "summary", "message", "hyperparameters")
        records = map(full_record, filter(is_rejection, trials))
        self._tracker.log_rejections([{key: record[key] for key in columns} for record in records])
        self._reconcile(study, goal)
        metrics: dict[str, float | None] = {f"trials_{key}": value for key, value in counts(trials).items()}
        metrics |= {f"trials_failed_{reason}": count for reason, count in failure_counts(trials).items()}
        metrics["recording_seconds"] = self.seconds
        tags: dict[str, Any] = {}
        results = goal.results(trials)
        if results:
            metrics |= {"best_value": score_of(results[0]), "best_params": results[0].user_attrs.get("params")}
            tags["kerastuna.best_trial"] = results[0].number
        if (marks := goal.marks(trials)) and goal.mark is not None:
            tags[f"kerastuna.{goal.mark}"] = ", ".join(str(trial.number) for trial in results)
            self._tracker.mark_trials(goal.mark, marks)
        self._tracker.finish_study(None if self._others_train(trials) else status, metrics, tags)

    def _others_train(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether other processes that record the study train some of its `trials`."""
        watch = Watch()
        return any(
            trial.state == TrialState.RUNNING
            and trial.number not in self._runs
            and not is_foreign(trial)
            and not watch.is_abandoned(trial)
            for trial in trials
        )

    def _close_runs(self, status: SearchStatus) -> None:
        """Close the runs that are open, of a study that cannot be read any more."""
        for run_id in self._runs.values():
            self._tracker.end_trial(run_id, state="FAIL", reason=INTERRUPTED, metrics={})
        self._runs = {}
        self._tracker.finish_study(status, {}, {})

    @property
    def _opened(self) -> optuna.Study:
        assert self._study is not None, "search_started comes first"
        return self._study

    def _reconcile(self, study: optuna.Study, goal: Goal) -> None:
        """Bring the runs in line with the study: of the trials that are not known to be."""
        trials = study.get_trials(deepcopy=False)
        unknown = [trial for trial in trials[self._tracker.agreed(_mark(trials)) :] if self._is_unknown(trial)]
        _, complete = self._tracker.reconcile([self._record(trial, goal) for trial in unknown])
        if complete:
            self._complete |= {trial.number for trial in unknown}
            self._note_agreed(trials)

    def _is_unknown(self, trial: FrozenTrial) -> bool:
        """Whether the run of a trial may have to be completed."""
        return trial.state.is_finished() and not is_rejection(trial) and trial.number not in self._complete

    def _note_agreed(self, trials: Sequence[FrozenTrial]) -> None:
        """Note with the study's run up to which trial there is nothing left to complete."""
        first = self._tracker.agreed(_mark(trials))
        while first < len(trials) and trials[first].state.is_finished() and not self._is_unknown(trials[first]):
            first += 1
        self._tracker.note_agreed(first, _mark(trials))

    def _record(self, trial: FrozenTrial, goal: Goal) -> dict[str, Any]:
        """A trial in the form that `Tracker.reconcile` takes."""
        record = full_record(trial)
        metrics, tags = goal.recorded(record["state"], record["value"], record)
        return record | {
            "value": _shown(record["value"], goal),
            "epochs": [of_epoch(metrics) for metrics in record["history"]],
            "metrics": metrics,
            "tags": self._tags_of(record) | tags,
            "run_id": trial.user_attrs.get("mlflow_run_id"),
            "started": trial.datetime_start or datetime.now(UTC),
        }

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


def _shown(value: float | None, goal: Goal) -> float | None:
    """The value of a trial with the digits that people read: MLflow's tables show all that there are, cut off."""
    return None if value is None else float(figure(value, goal.metric.name).replace(",", ""))


def _mark(trials: Sequence[FrozenTrial]) -> str:
    """What tells a study from another one of its name: when its first trial ended; empty where it has not."""
    ended = trials[0].datetime_complete if trials else None
    return "" if ended is None else str(round(1000 * ended.timestamp()))


def of_epoch(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of an epoch for MLflow, where "seconds" are those of the whole trial."""
    return {"epoch_seconds" if name == "seconds" else name: value for name, value in metrics.items()}
