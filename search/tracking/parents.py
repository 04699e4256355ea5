"""The parent run of a study, of which there is one, however many processes begin at the same time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from .runs import ID_TAG, KIND_TAG, STUDY_TAG, StudyRun, search_runs, trial_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SETTLING_SECONDS = 0.2
"""After this time, what another process created at the same moment can be seen. MLflow has no lock for it."""


def parent_of(
    client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str], *, adopts: bool = False
) -> tuple[Run, bool]:
    """The parent run of the study that `tags` name, and whether it was created: with these tags, called `name`.

    With `adopts`, a run of the study's name that belongs to no id becomes its own, with the runs below it.
    """
    found = _parents(client, experiment_id, tags)
    if not found and adopts:
        for run in _parents(client, experiment_id, {STUDY_TAG: tags[STUDY_TAG]}):
            _adopt(client, experiment_id, run, tags[ID_TAG])
        found = _parents(client, experiment_id, tags)
    if found:
        return found[0], False
    created = client.create_run(experiment_id, run_name=name, tags=dict(tags))
    time.sleep(SETTLING_SECONDS)
    oldest = _parents(client, experiment_id, tags)[0]
    if oldest.info.run_id == created.info.run_id:
        return created, True
    client.delete_run(created.info.run_id)  # nothing is below it yet
    return oldest, False


def joined(client: MlflowClient, study_run: StudyRun, tags: Mapping[str, str]) -> StudyRun:
    """`study_run`, or the older parent run where two processes made one each; all trials are below it afterwards.

    `tags` are those of `study_run`, as MLflow has them.
    """
    parents = _parents(client, study_run.experiment_id, tags)
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


def _adopt(client: MlflowClient, experiment_id: str, run: Run, study_id: str) -> None:
    """Let a parent run belong to a study, last of all, with all runs below it."""
    below = search_runs(client, experiment_id, f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    for each in (*below, run):
        client.set_tag(each.info.run_id, ID_TAG, study_id)


def _parents(client: MlflowClient, experiment_id: str, tags: Mapping[str, str]) -> list[Run]:
    """The parent runs of a study, the oldest first: of its id, or, where it has none, of its name and no id."""
    name, study_id = tags[STUDY_TAG], tags.get(ID_TAG)
    runs = search_runs(client, experiment_id, f"tags.`{KIND_TAG}` = 'study'")
    own = [run for run in runs if run.data.tags.get(ID_TAG) == study_id and run.data.tags[STUDY_TAG] == name]
    return sorted(own, key=lambda run: (run.info.start_time, run.info.run_id))
