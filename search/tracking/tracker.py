"""A study recorded in MLflow: one parent run for the study, one nested run for each trained trial.

Optuna's storage is the source of truth, MLflow a readable copy. A tracking server that fails costs no trial: the first
failed call is reported, the calls that follow are skipped until the next trial starts, and `Tracker.reconcile` fills
in what is missing. Only the modules of this folder know MLflow; they import it when a `Tracker` is made.
"""

from __future__ import annotations

import csv
import io
import posixpath
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from ..study.reasons import REJECTIONS
from .connection import Connection
from .inputs import DataPart, log_parts
from .parents import joined, parent_of
from .reconcile import reconcile
from .runs import (
    AGREED_TAG,
    KIND_TAG,
    SOURCE,
    Metrics,
    StudyRun,
    create_training_run,
    create_trial_run,
    end_lost_trainings,
    end_trial_run,
    trial_runs,
)
from .store import as_params, as_tags, is_database, log_batch, open_experiment, refused, shared
from .system_metrics import SystemMetrics
from .ui import view_of_trials

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from ..study.study_id import StudyId


@final
class Tracker:
    """Records one study in MLflow.

    `Tracker(uri, experiment, ...)` and `start_study` raise `InputError` when the store cannot be used, so that the user
    learns it at once. After that nothing raises. A worker passes `joins`, the parent run that `start_study` created:
    then opening the store raises nothing either. Several processes may record one study at the same time.
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
            experiment: the name of the MLflow experiment, created when it does not exist.
            artifact_root: folder for the artifacts of a new experiment; a server decides for itself.
            warn: receives one line, without passwords, when the store fails.
            joins: the parent run, in a worker.
        """
        self.warn = warn
        self._connection = Connection(tracking_uri, warn)
        self._study_run = joins
        self._agreed = ""
        self._system = SystemMetrics(tracking_uri, lambda: self.run_id, warn)
        if joins is not None:
            self._experiment_id = joins.experiment_id
            return
        root = artifact_root.resolve().as_uri() if artifact_root and is_database(tracking_uri) else None
        with refused(tracking_uri):
            self._experiment_id = self._connection.call(lambda client: open_experiment(client, experiment, root, warn))

    @property
    def tracking_uri(self) -> str:
        """For display: without passwords."""
        return self._connection.shown_uri

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
        direction: Literal["maximize", "minimize"] = "maximize",
        best_by: str = "value",
        costs: Sequence[str] = ("params", "macs"),
        mark: str | None = None,
        owner: StudyId | None = None,
    ) -> str:
        """Start the parent run of `study`, or continue it, and return its id. Raises InputError.

        With `owner`, the run is that of this study alone, and not of another one of its name.

        A param cannot change in MLflow: when a study is resumed, a param with a new value is kept as a tag of the same
        name. The other arguments shape the page at `ui_path`; `view_of_trials` says how.
        """

        def start(client: MlflowClient) -> str:
            unknown = StudyRun(self._experiment_id, "", study, "" if owner is None else owner.id)
            own = as_tags({**unknown.tags, KIND_TAG: "study", **SOURCE})
            adopts = owner is not None and not owner.born
            run, created = parent_of(client, self._experiment_id, study, own, adopts=adopts)
            if not created:
                client.update_run(run.info.run_id, status="RUNNING")
            self._agreed = run.data.tags.get(AGREED_TAG, "")
            known, given = run.data.params, as_params(params)
            shown = {**known, **{key: run.data.tags[key] for key in known if key in run.data.tags}}
            changed = {key: value for key, value in given.items() if shown.get(key, value) != value}
            new = {key: value for key, value in given.items() if key not in known}
            log_batch(client, run.info.run_id, params=new, tags={**changed, **tags})
            view = view_of_trials(as_tags(unknown.tags), best_by, direction, costs, mark)
            view_tag = f"mlflow.sharedViewState.{run.info.run_id}"
            shared(lambda: client.set_experiment_tag(self._experiment_id, view_tag, view))
            self._study_run = replace(unknown, run_id=run.info.run_id)
            return run.info.run_id

        with refused(self._connection.uri):
            return self._connection.call(start)

    def watch_system(self) -> None:
        """Record the load of this machine with the parent run, until `finish_study`."""
        self._system.start()

    def start_trial(
        self, number: int, *, params: Mapping[str, Any], metrics: Metrics, tags: Mapping[str, Any]
    ) -> str | None:
        """Start the nested run of a trial; returns its id, or None when the store fails.

        `params` are the hyperparameters, `metrics` what is known before training, such as `params` and `macs`.
        """

        def start(client: MlflowClient) -> str:
            # Another process may have ended the study's run meanwhile: between two trials it does not see this one.
            parent = client.get_run(self.run_id).info
            if parent.lifecycle_stage == "active" and parent.status != "RUNNING":  # a merged one is deleted
                client.update_run(self.run_id, status="RUNNING")
            return create_trial_run(client, self.study_run, number, params=params, metrics=metrics, tags=tags)

        self._connection.resume_when_due()
        return self._connection.attempt(start)

    def log_epochs(self, run_id: str | None, epochs: Sequence[Metrics], first_step: int = 1) -> None:
        """Log one mapping of metrics per epoch, at the steps from `first_step` on; infinity becomes NaN.

        Does nothing when `run_id` is None, as for a trial whose run could not be created.
        """
        if run_id is not None:
            metrics = [(first_step + index, epoch) for index, epoch in enumerate(epochs)]
            self._connection.attempt(lambda client: log_batch(client, run_id, metrics=metrics))

    def end_trial(
        self,
        run_id: str | None,
        *,
        state: Literal["COMPLETE", "PRUNED", "FAIL"],
        reason: str | None = None,
        metrics: Metrics,
        message: str | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> bool:
        """End the nested run of a trial: FAILED when it failed, else FINISHED.

        Does nothing when `run_id` is None. Returns whether the run is complete now.
        """

        def end(client: MlflowClient) -> bool:
            assert run_id is not None
            end_trial_run(client, run_id, state, reason=reason, metrics=metrics, message=message, tags=tags)
            return True

        return run_id is not None and bool(self._connection.attempt(end))

    def start_training(self, name: str, tags: Mapping[str, Any]) -> str | None:
        """Start the nested run of a training that is no trial; returns its id, or None when the store fails."""
        self._connection.resume_when_due()
        return self._connection.attempt(lambda client: create_training_run(client, self.study_run, name, tags))

    def end_training(self, run_id: str | None, *, failed: bool = False) -> None:
        """End the run of a training. Does nothing when `run_id` is None."""
        if run_id is not None:
            status = "FAILED" if failed else "FINISHED"
            self._connection.attempt(lambda client: client.set_terminated(run_id, status))

    def end_lost_trainings(self) -> None:
        """End the runs of trainings whose process was killed. Only the process that confirms the study may call it."""
        self._connection.attempt(lambda client: end_lost_trainings(client, self.study_run))

    def mark_trials(self, tag: str, values: Mapping[int, str]) -> None:
        """Set `tag` on the runs of trials to the value given for their number, where it has another value."""

        def mark(client: MlflowClient) -> None:
            for number, runs in trial_runs(client, self.study_run).items():
                for run in runs:
                    if number in values and run.data.tags.get(tag) != values[number]:
                        client.set_tag(run.info.run_id, tag, values[number])

        self._connection.attempt(mark)

    def log_rejections(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record the proposals that were never trained: how many for each `reason`, and the table `rejections.csv`.

        Replaces what was recorded before. A mapping inside a row, such as its hyperparameters, becomes columns.
        """
        counts = Counter(row["reason"] for row in rows)
        metrics = {f"rejected_{reason}": counts[reason] for reason in (*REJECTIONS, *counts)}

        def log(client: MlflowClient) -> None:
            log_batch(client, self.run_id, metrics=[(0, metrics)])
            if rows:
                client.log_text(self.run_id, _csv(rows), "rejections.csv")

        self._connection.attempt(log)

    def log_files(self, folder: Path, to: str) -> None:
        """Log the files of `folder` under the artifact path `to` of the parent run, in place of those of the same name.

        Warns, and raises nothing, when the store fails.
        """
        self._connection.resume()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            place = posixpath.join(to, *path.relative_to(folder).parent.parts)
            self._connection.attempt(partial(_log_file, run_id=self.run_id, path=path, to=place))

    def log_text(self, run_id: str, text: str, name: str) -> None:
        """Log a text as the file `name` of a run, in place of the one that it has."""
        self._connection.attempt(lambda client: client.log_text(run_id, text, name))

    def log_data(self, parts: Sequence[DataPart], run_id: str | None = None) -> None:
        """Log data sets as the inputs of a run, of the study's by default."""
        self._connection.attempt(lambda client: log_parts(client, run_id or self.run_id, parts))

    def finish_study(
        self, status: Literal["FINISHED", "KILLED", "FAILED"] | None, metrics: Metrics, tags: Mapping[str, Any]
    ) -> None:
        """End the parent run; with None, this process ends, and others go on with the study."""
        self._system.stop()

        def finish(client: MlflowClient) -> None:
            log_batch(client, self.run_id, metrics=[(0, metrics)], tags=tags)
            if status is not None:
                client.set_terminated(self.run_id, status)

        self._connection.resume()
        self._connection.attempt(finish)

    def reconcile(self, trials: Sequence[Mapping[str, Any]]) -> tuple[int, bool]:
        """Bring the nested runs in line with the study; returns how many trials were repaired, and if nothing failed.

        `kerastuna.search.tracking.reconcile` describes the form of `trials`. Warns again if the store still fails.
        """
        self._connection.restart()
        tags = as_tags(self.study_run.tags)
        joins = self._connection.attempt(lambda client: joined(client, self.study_run, tags))
        self._study_run = joins or self._study_run
        return reconcile(self._connection, self.study_run, trials)

    def agreed(self, study: str) -> int:
        """The runs of all trials below this number were noted to be in line with the study that `study` tells."""
        number, _, noted = self._agreed.partition(" ")
        return int(number) if noted == study and number.isdigit() else 0

    def note_agreed(self, number: int, study: str) -> None:
        """Note it with the parent run, for a later search; `study` tells the study from another one of its name."""
        noted = f"{number} {study}"
        if noted != self._agreed and self._connection.attempt(self._noting(noted)):
            self._agreed = noted

    def _noting(self, noted: str) -> Callable[[MlflowClient], bool]:
        def note(client: MlflowClient) -> bool:
            shared(lambda: client.set_tag(self.run_id, AGREED_TAG, noted))
            return True

        return note


def _log_file(client: MlflowClient, run_id: str, path: Path, to: str) -> None:
    client.log_artifact(run_id, str(path), to)


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
