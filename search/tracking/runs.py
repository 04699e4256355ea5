"""The runs of a study in MLflow: one parent run, and one nested run for each trained trial."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from ..study.reasons import ending
from .store import as_tags, log_batch

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Metrics = Mapping[str, float | None]
"""Values by name; None for what is not known."""

STUDY_TAG, KIND_TAG = "kerastuna.study", "kerastuna.kind"
ID_TAG = "kerastuna.study_id"
"""The id of the study that a run or a registered model belongs to. Those of earlier versions have none."""

AGREED_TAG = "kerastuna.agreed"
"""Of a parent run: the runs of all trials below this number are complete, and need not be looked at again.

It is followed by what tells the study from another one of its name that was deleted.
"""

FEW_TRIALS = 50
"""Up to this number runs are asked for trial by trial: MLflow takes a second for 1,000 runs with all that they hold."""

SOURCE = {"mlflow.source.name": "kerastuna", "mlflow.source.type": "LOCAL"}
"""Tags that MLflow's UI shows as the source of a run."""

RUN_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED"}
"""Optuna's state of a trial that has ended -> MLflow's status of its run. MLflow marks KILLED like FAILED."""


@final
@dataclass(frozen=True)
class StudyRun:
    """The parent run of a study: what a worker needs to record its trials below it.

    Attributes:
        experiment_id, run_id: of the run.
        study: the name of the study.
        study_id: its id; empty where it has none.
    """

    experiment_id: str
    run_id: str
    study: str
    study_id: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """Those by which a run belongs to the study."""
        return {STUDY_TAG: self.study, **({ID_TAG: self.study_id} if self.study_id else {})}


def search_runs(client: MlflowClient, experiment_id: str, condition: str) -> Iterator[Run]:
    """Every run of the experiment that meets `condition`, in MLflow's filter language."""
    token = None
    while token != "":
        page = client.search_runs([experiment_id], condition, max_results=1000, page_token=token)
        yield from page
        token = page.token or ""


def trial_runs(
    client: MlflowClient, study_run: StudyRun, numbers: Collection[int] | None = None
) -> dict[int, list[Run]]:
    """The nested runs by the number of their trial. A trial may have several runs, or none.

    With `numbers`, those of these trials at least.
    """
    runs: dict[int, list[Run]] = defaultdict(list)
    condition = f"tags.`mlflow.parentRunId` = '{study_run.run_id}' AND tags.`{KIND_TAG}` = 'trial'"
    conditions = [condition]
    if numbers is not None and len(numbers) <= FEW_TRIALS:
        conditions = [f"{condition} AND tags.`trial.number` = '{number}'" for number in numbers]
    for condition in conditions:
        for run in search_runs(client, study_run.experiment_id, condition):
            runs[int(run.data.tags["trial.number"])].append(run)
    return runs


def create_trial_run(
    client: MlflowClient,
    study_run: StudyRun,
    number: int,
    *,
    params: Mapping[str, Any],
    metrics: Metrics,
    tags: Mapping[str, Any],
    start: int | None = None,
) -> str:
    """Create the nested run of trial `number`; returns its id.

    `start` is in milliseconds since 1970, None for now.
    """
    own = {
        "mlflow.parentRunId": study_run.run_id,
        **study_run.tags,
        KIND_TAG: "trial",
        "trial.number": number,
        "trial.state": "RUNNING",
        **SOURCE,
    }
    run = client.create_run(
        study_run.experiment_id, start_time=start, run_name=f"trial-{number:04d}", tags=as_tags({**tags, **own})
    )
    log_batch(client, run.info.run_id, metrics=[(0, metrics)], params=params)
    return run.info.run_id


def create_training_run(client: MlflowClient, study_run: StudyRun, name: str, tags: Mapping[str, Any]) -> str:
    """Create the nested run of a training that is no trial; returns its id."""
    own = {"mlflow.parentRunId": study_run.run_id, **study_run.tags, KIND_TAG: "training", **SOURCE}
    run = client.create_run(study_run.experiment_id, run_name=name, tags=as_tags({**tags, **own}))
    return run.info.run_id


def end_lost_trainings(client: MlflowClient, study_run: StudyRun) -> None:
    """End the trainings below the study's run that seem to be running."""
    condition = (
        f"tags.`mlflow.parentRunId` = '{study_run.run_id}' AND tags.`{KIND_TAG}` = 'training' "
        "AND attributes.status = 'RUNNING'"
    )
    for run in list(search_runs(client, study_run.experiment_id, condition)):
        client.set_terminated(run.info.run_id, "KILLED")


def is_kept(client: MlflowClient, study_run: StudyRun, number: int, run_id: str) -> bool:
    """Whether the run that was just created for a trial stays: another process may have created one, too.

    The one that sees both deletes one of them, and both would choose the same.
    """
    condition = (
        f"tags.`mlflow.parentRunId` = '{study_run.run_id}' AND tags.`{KIND_TAG}` = 'trial' "
        f"AND tags.`trial.number` = '{number}'"
    )
    kept, *others = sorted(
        {run_id, *(run.info.run_id for run in search_runs(client, study_run.experiment_id, condition))}
    )
    for other in others:
        client.delete_run(other)
    return kept == run_id


def end_trial_run(
    client: MlflowClient,
    run_id: str,
    state: str,
    *,
    reason: str | None = None,
    metrics: Metrics,
    message: str | None = None,
    tags: Mapping[str, Any] | None = None,
    end: int | None = None,
) -> None:
    """End the nested run of a trial with Optuna's `state`; `end` is in milliseconds since 1970, None for now."""
    outcome = {
        "trial.state": state,
        "trial.ended": ending(state, reason),
        "trial.reason": reason,
        "trial.message": message,
        **(tags or {}),
    }
    known = {key: value for key, value in outcome.items() if value is not None}
    log_batch(client, run_id, metrics=[(0, metrics)], tags=known)
    client.set_terminated(run_id, RUN_STATUS[state], end)
