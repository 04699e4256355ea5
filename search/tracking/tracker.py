"""MLflow, the readable mirror of a study: one parent run per study, one nested run per trained trial.

Optuna's storage is the truth. A tracking server that fails costs no trial: the call that failed is reported once, the
calls that follow are skipped until the next trial starts, and `Tracker.reconcile` fills in what is missing.
The tracking modules are the only ones that know MLflow; they import it when a `Tracker` is made.
"""

from __future__ import annotations

import csv
import io
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, final

from ..messages import redact
from ..study.reasons import REJECTIONS
from .store import (
    KIND_TAG,
    STUDY_TAG,
    StudyRun,
    as_params,
    as_tags,
    explain,
    is_database,
    log_batch,
    open_client,
    refused,
    safe_name,
)
from .ui import _view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Metrics = Mapping[str, float | None]
Result = TypeVar("Result")
RUN_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}  # Optuna's trial state -> MLflow's status
PAUSE_FACTOR = 10  # after a failed call, wait this many times its duration: a dead server costs a tenth of the search


@final
class Tracker:
    """Records one study in MLflow.

    `Tracker(uri, experiment, ...)` and `start_study` raise `InputError` when the store cannot be used, so that the user
    learns at once. From then on nothing raises. A worker gives `joins`, the parent run that `start_study` made: then
    not even opening the store raises. No two processes may call `start_study` or `reconcile` for one study at a time.
    """

    def __init__(
        self,
        tracking_uri: str,
        experiment: str,
        *,
        artifact_root: Path | None = None,
        warn: Callable[[str], None],
        joins: StudyRun | None = None,
    ) -> None:
        """
        Args:
            tracking_uri: a database (`sqlite:///...`, `postgresql://...`) or a server (`https://...`).
            experiment: the name of the MLflow experiment, created when it is new.
            artifact_root: folder for the artifacts of a new experiment; a server decides for itself.
            warn: receives one line, free of passwords, when the store fails.
            joins: the parent run, in a worker.
        """
        self._uri, self._experiment, self._artifact_root = tracking_uri, experiment, artifact_root
        self._warn, self._study_run = warn, joins
        self._client: MlflowClient | None = None
        self._experiment_id = joins.experiment_id if joins else ""
        self._blocked, self._next_try, self._warned = False, 0.0, False
        if joins is None:
            with refused(tracking_uri):
                self._experiment_id = self._open_experiment()

    @property
    def tracking_uri(self) -> str:
        """For display: without passwords."""
        return redact(self._uri)

    @property
    def experiment_id(self) -> str:
        """The id of the MLflow experiment."""
        return self._experiment_id

    @property
    def study_run(self) -> StudyRun:
        """The parent run, for a worker's `joins`. Raises RuntimeError before `start_study`."""
        if self._study_run is None:
            raise RuntimeError("start_study comes first")
        return self._study_run

    @property
    def run_id(self) -> str:
        """The id of the parent run. Raises RuntimeError before `start_study`."""
        return self.study_run.run_id

    def start_study(
        self,
        study: str,
        params: Mapping[str, Any],
        tags: Mapping[str, Any],
        *,
        objective: str = "val_accuracy",
        direction: Literal["maximize", "minimize"] = "maximize",
        best_by: str = "value",
        costs: Sequence[str] = ("params", "macs"),
        mark: str | None = None,
    ) -> str:
        """Starts the parent run of `study`, or takes it up again, and returns its id. Raises InputError.

        A param cannot change in MLflow: on resume, one that has changed is kept as a tag of the same name.
        The others shape the view of `ui_path`: `objective` is the metric of an epoch that becomes a trial's `value`,
        `best_by` the metric that orders the trials, `direction` in which way, `costs` the metrics and `mark` the tag of
        a trial that it has columns for.
        """
        with refused(self._uri):
            client = self._connect()
            own = as_tags({STUDY_TAG: study, KIND_TAG: "study", **_SOURCE})
            parents = self._search(client, f"tags.`{KIND_TAG}` = 'study'")
            run = next((run for run in parents if run.data.tags[STUDY_TAG] == own[STUDY_TAG]), None)
            if run is None:
                run = client.create_run(self._experiment_id, run_name=study, tags=own)
            else:
                client.update_run(run.info.run_id, status="RUNNING")
            known, given = run.data.params, as_params(params)
            changed = {key: value for key, value in given.items() if known.get(key, value) != value}
            new = {key: value for key, value in given.items() if key not in known}
            log_batch(client, run.info.run_id, params=new, tags={**changed, **tags})
            view = _view(own[STUDY_TAG], objective, best_by, direction, costs, mark)
            client.set_experiment_tag(self._experiment_id, f"mlflow.sharedViewState.{run.info.run_id}", view)
            self._study_run = StudyRun(self._experiment_id, run.info.run_id, study)
        return run.info.run_id

    def start_trial(
        self, number: int, *, params: Mapping[str, Any], metrics: Metrics, tags: Mapping[str, Any]
    ) -> str | None:
        """Starts the nested run of a trial; returns its id, or None when the store fails.

        `params` are the hyperparameters, `metrics` what is known before training, such as `params` and `macs`.
        """
        if time.monotonic() >= self._next_try:
            self._blocked = False
        return self._attempt(lambda client: self._create_trial(client, number, params, metrics, tags))

    def log_epochs(self, run_id: str | None, epochs: Sequence[Metrics], first_step: int = 1) -> None:
        """Logs one mapping of metrics per epoch, at the steps from `first_step` on; NaN and infinity become NaN."""
        if run_id is not None:
            metrics = [(first_step + index, epoch) for index, epoch in enumerate(epochs)]
            self._attempt(lambda client: log_batch(client, run_id, metrics=metrics))

    def end_trial(
        self,
        run_id: str | None,
        *,
        state: Literal["COMPLETE", "PRUNED", "FAIL"],
        reason: str | None = None,
        metrics: Metrics,
        message: str | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Ends the nested run of a trial: FINISHED when complete, KILLED when pruned, FAILED when it failed."""
        if run_id is not None:
            self._attempt(lambda client: _end_trial(client, run_id, state, reason, metrics, message, tags=tags))

    def mark_trials(self, tag: str, values: Mapping[int, str]) -> None:
        """Gives the run of each trial, by number, its value of `tag`; what already has it is left alone."""

        def mark(client: MlflowClient) -> None:
            for number, runs in self._trial_runs(client).items():
                for run in runs:
                    if number in values and run.data.tags.get(tag) != values[number]:
                        client.set_tag(run.info.run_id, tag, values[number])

        self._attempt(mark)

    def log_rejections(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Records all the proposals that were never trained: their number by `reason`, and the table `rejections.csv`.

        Replaces what was recorded before. A mapping inside a row, such as its hyperparameters, becomes columns.
        """
        counts = Counter(row["reason"] for row in rows)
        metrics = {f"rejected_{reason}": counts[reason] for reason in (*REJECTIONS, *counts)}

        def log(client: MlflowClient) -> None:
            log_batch(client, self.run_id, metrics=[(0, metrics)])
            if rows:
                client.log_text(self.run_id, _csv(rows), "rejections.csv")

        self._attempt(log)

    def log_files(self, folder: Path, to: str) -> None:
        """Puts the files of `folder` under the artifact path `to` of the parent run, in place of those of their names.

        Says so, and raises nothing, when the store fails.
        """
        self._blocked = False
        self._attempt(lambda client: client.log_artifacts(self.run_id, str(folder), to))

    def finish_study(
        self, status: Literal["FINISHED", "KILLED", "FAILED"], metrics: Metrics, tags: Mapping[str, Any]
    ) -> None:
        """Ends the parent run."""

        def finish(client: MlflowClient) -> None:
            log_batch(client, self.run_id, metrics=[(0, metrics)], tags=tags)
            client.set_terminated(self.run_id, status)

        self._blocked = False
        self._attempt(finish)

    def reconcile(self, trials: Sequence[Mapping[str, Any]]) -> int:
        """Brings the nested runs in line with the study; returns how many were mended.

        Runs that a kill or an outage left RUNNING are completed and closed, trained trials without a run are recorded
        in full. Trials that still run, and proposals that were rejected, are left alone.

        Each trial has `number`, `state` and `reason`, and may have `value`, `params`, `macs` and `ram` (counts),
        `seconds`, `metrics` (others of its end), `epochs` (metrics of each), `hyperparameters`, `tags`, `message`,
        `run_id` and `started` (a datetime).
        """
        self._blocked = self._warned = False
        children = self._attempt(lambda client: self._trial_runs(client))
        ended = [t for t in trials if t["state"] in RUN_STATUS and t.get("reason") not in REJECTIONS]
        return sum(
            bool(self._attempt(lambda client, t=trial, runs=children[trial["number"]]: self._mend(client, t, runs)))
            for trial in ended
            if children is not None
        )

    def _mend(self, client: MlflowClient, trial: Mapping[str, Any], runs: Sequence[Run]) -> bool:
        run = next((run for run in runs if run.info.run_id == trial.get("run_id")), runs[0] if runs else None)
        stale = [other for other in runs if other is not run and other.info.status == "RUNNING"]
        for other in stale:
            _end_trial(client, other.info.run_id, "FAIL", "interrupted", {}, None)
        if run is not None and run.info.status != "RUNNING":
            return bool(stale)
        started, seconds, tags = trial.get("started"), trial.get("seconds"), trial.get("tags") or {}
        start = None if started is None else _milliseconds(started.timestamp())
        if run is None:
            run_id, known = self._create_trial(client, trial["number"], {}, {}, tags, start), {}
        else:
            run_id, known = run.info.run_id, run.data.metrics
        first = {key: trial.get(key) for key in ("params", "macs", "ram") if key not in known}
        last = {key: trial.get(key) for key in ("value", "seconds") if key not in known} | trial.get("metrics", {})
        epochs = list(enumerate(trial.get("epochs") or (), start=1))
        done = _logged_steps(client, run_id, epochs) if known else set()
        metrics = [(0, first), *(epoch for epoch in epochs if epoch[0] not in done)]
        log_batch(client, run_id, metrics=metrics, params=trial.get("hyperparameters"), tags=tags)
        end = None if start is None or seconds is None else start + _milliseconds(seconds)
        _end_trial(client, run_id, trial["state"], trial.get("reason"), last, trial.get("message"), end)
        return True

    def _create_trial(
        self,
        client: MlflowClient,
        number: int,
        params: Mapping[str, Any],
        metrics: Metrics,
        tags: Mapping[str, Any],
        start: int | None = None,
    ) -> str:
        own = {
            "mlflow.parentRunId": self.run_id,
            STUDY_TAG: self.study_run.study,
            KIND_TAG: "trial",
            "trial.number": number,
            "trial.state": "RUNNING",
            **_SOURCE,
        }
        name = f"trial-{number:04d}"
        run = client.create_run(self._experiment_id, start_time=start, run_name=name, tags=as_tags({**tags, **own}))
        log_batch(client, run.info.run_id, metrics=[(0, metrics)], params=params)
        return run.info.run_id

    def _trial_runs(self, client: MlflowClient) -> dict[int, list[Run]]:
        runs: dict[int, list[Run]] = defaultdict(list)
        own = f"tags.`mlflow.parentRunId` = '{self.run_id}' AND tags.`{KIND_TAG}` = 'trial'"
        for run in self._search(client, own):
            runs[int(run.data.tags["trial.number"])].append(run)
        return runs

    def _search(self, client: MlflowClient, condition: str) -> Iterator[Run]:
        token = None
        while token != "":
            page = client.search_runs([self._experiment_id], condition, max_results=1000, page_token=token)
            yield from page
            token = page.token or ""

    def _attempt(self, call: Callable[[MlflowClient], Result]) -> Result | None:
        if self._blocked:
            return None
        begin = time.monotonic()
        try:
            return call(self._connect())
        except Exception as error:  # whatever MLflow raises, a trial is worth more than its record
            now = time.monotonic()
            self._blocked, self._next_try = True, now + PAUSE_FACTOR * (now - begin)
            if not self._warned:
                self._warned = True
                self._warn(
                    f"MLflow at {self.tracking_uri} fails ({explain(error)}): the search goes on without it, "
                    "and what it misses is recorded when it answers again or the study is resumed"
                )
            return None

    def _connect(self) -> MlflowClient:
        if self._client is None:
            self._client = open_client(self._uri)
        return self._client

    def _open_experiment(self) -> str:
        root = self._artifact_root.resolve().as_uri() if self._artifact_root and is_database(self._uri) else None
        client = self._connect()
        found = client.get_experiment_by_name(self._experiment)
        if found is None:
            try:
                return client.create_experiment(self._experiment, artifact_location=root, tags=_EXPERIMENT_TAGS)
            except Exception:  # another process was faster
                found = client.get_experiment_by_name(self._experiment)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
            self._warn(f"the MLflow experiment {self._experiment!r} had been deleted: it is restored, with its runs")
        return found.experiment_id


_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # in the UI: training, not language models
_SOURCE = {"mlflow.source.name": "kerastuna", "mlflow.source.type": "LOCAL"}


def _end_trial(
    client: MlflowClient,
    run_id: str,
    state: str,
    reason: str | None,
    metrics: Metrics,
    message: str | None,
    end: int | None = None,
    tags: Mapping[str, Any] | None = None,
) -> None:
    told = {"trial.state": state, "trial.reason": reason, "trial.message": message, **(tags or {})}
    own = {key: value for key, value in told.items() if value is not None}
    log_batch(client, run_id, metrics=[(0, metrics)], tags=own)
    client.set_terminated(run_id, RUN_STATUS[state], end)


def _logged_steps(client: MlflowClient, run_id: str, epochs: Sequence[tuple[int, Mapping[str, Any]]]) -> set[int]:
    """The epochs that a run already has, by the history of their first metric."""
    names = [name for _, epoch in epochs for name in epoch][:1]
    return {point.step for name in names for point in client.get_metric_history(run_id, safe_name(name))}


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    flat = []
    for row in rows:
        cells = [value if isinstance(value, Mapping) else {key: value} for key, value in row.items()]
        flat.append({name: value for cell in cells for name, value in cell.items()})
    columns = list(dict.fromkeys(key for row in flat for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
