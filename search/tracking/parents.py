"""The parent run of a study, of which there is one, however many processes begin at the same time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from .runs import KIND_TAG, STUDY_TAG, StudyRun, search_runs, trial_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SETTLING_SECONDS = 0.2
"""After this time, what another process created at the same moment can be seen. MLflow has no lock for it."""


def parent_of(client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str]) -> tuple[Run, bool]:
    """The parent run of the study that `tags` name, and whether it was created: with these tags, called `name`."""
    found = _parents(client, experiment_id, tags[STUDY_TAG])
    if found:
        return found[0], False
    created = client.create_run(experiment_id, run_name=name, tags=dict(tags))
    time.sleep(SETTLING_SECONDS)
    oldest = _parents(client, experiment_id, tags[STUDY_TAG])[0]
    if oldest.info.run_id == created.info.run_id:
        return created, True
    client.delete_run(created.info.run_id)  # nothing is below it yet
    return oldest, False


def joined(client: MlflowClient, study_run: StudyRun, study_tag: str) -> StudyRun:
    """`study_run`, or the older parent run where two processes made one each; all trials are below it afterwards."""
    parents = _parents(client, study_run.experiment_id, study_tag)
    if not parents:
        return study_run
    kept, *others = (run.info.run_id for run in parents)
    for other in {*others, study_run.run_id} - {kept}:
        for runs in trial_runs(client, replace(study_run, run_id=other)).values():
            for run in runs:
                client.set_tag(run.info.run_id, "mlflow.parentRunId", kept)
    for other in others:
        client.delete_run(other)
    return replace(study_run, run_id=kept)


def _parents(client: MlflowClient, experiment_id: str, study_tag: str) -> list[Run]:
    """The parent runs of a study, the oldest first."""
    runs = search_runs(client, experiment_id, f"tags.`{KIND_TAG}` = 'study'")
    own = [run for run in runs if run.data.tags[STUDY_TAG] == study_tag]
    return sorted(own, key=lambda run: (run.info.start_time, run.info.run_id))
