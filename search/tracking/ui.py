"""MLflow's user interface: the command that starts it, and the page that shows a study's trials."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

from .runs import ID_TAG, KIND_TAG, STUDY_TAG, StudyRun, search_runs
from .store import ENVIRONMENT, open_client


def ui_command(tracking_uri: str, port: int, host: str = "127.0.0.1") -> tuple[list[str], dict[str, str]]:
    """The command that serves MLflow's UI for a database, and its environment.

    The URI is in the environment because other users of the machine can read a command and the passwords in it.
    """
    command = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port), "--workers", "1"]
    command += ["--uvicorn-opts", "--log-level warning"]  # no line for each request
    return command, {**ENVIRONMENT, **os.environ, "MLFLOW_BACKEND_STORE_URI": tracking_uri}


def ui_path(study_run: StudyRun) -> str:
    """Path and fragment of the page of a study's trials, best first, to append to the address of MLflow's UI."""
    runs = f"/#/experiments/{study_run.experiment_id}/runs"
    return f"{runs}?workflowType=machine_learning&viewStateShareKey={study_run.run_id}"


def studies_in(tracking_uri: str) -> list[StudyRun]:
    """The studies that are recorded at `tracking_uri`, those that began last first."""
    client = open_client(tracking_uri)
    found = [
        (run.info.start_time, StudyRun(experiment.experiment_id, run.info.run_id, run.data.tags[STUDY_TAG]))
        for experiment in client.search_experiments()
        for run in search_runs(client, experiment.experiment_id, f"tags.`{KIND_TAG}` = 'study'")
    ]
    return [study for _, study in sorted(found, key=lambda item: item[0], reverse=True)]


def view_of_trials(
    tags: Mapping[str, str], best_by: str, direction: str, costs: Sequence[str], mark: str | None
) -> str:
    """A view of the trials in MLflow's UI as JSON, in the format that its "Share" button stores.

    Args:
        tags: of the study's runs.
        best_by: the metric that orders the trials; `direction`: "maximize" or "minimize".
        costs: metrics, and `mark` a tag, of a trial that are shown as columns.
    """
    names = dict.fromkeys((best_by, "value", *costs))
    metrics = [f"metrics.`{name}`" for name in names]
    shown = ["architecture", *([mark] if mark else []), "trial.ended"]
    columns = [*metrics, *(f"tags.`{name}`" for name in shown)]
    trainings = f"tags.`{KIND_TAG}` != 'training'"  # those of the confirmation are below the study, with their curves
    tag = ID_TAG if ID_TAG in tags else STUDY_TAG
    quote = '"' if "'" in tags[tag] else "'"
    view = {
        "searchFilter": f"tags.`{tag}` = {quote}{tags[tag]}{quote} AND {trainings}",
        "orderByKey": metrics[0],
        "orderByAsc": direction == "minimize",
        "selectedColumns": columns,
        "columnOrder": columns,
    }
    return json.dumps(view)
