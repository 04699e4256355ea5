"""MLflow's user interface: the command that starts it, and the page that shows a study's trials."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

from .runs import ID_TAG, STUDY_TAG, StudyRun
from .store import ENVIRONMENT, safe_name


def ui_command(tracking_uri: str, port: int, host: str = "127.0.0.1") -> tuple[list[str], dict[str, str]]:
    """The command that serves MLflow's UI for a database, and its environment.

    The URI is in the environment because other users of the machine can read a command and the passwords in it.
    """
    command = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port), "--workers", "1"]
    return command, {**ENVIRONMENT, **os.environ, "MLFLOW_BACKEND_STORE_URI": tracking_uri}


def ui_path(study_run: StudyRun) -> str:
    """Path and fragment of the page of a study's trials, best first, to append to the address of MLflow's UI."""
    runs = f"/#/experiments/{study_run.experiment_id}/runs"
    return f"{runs}?workflowType=machine_learning&viewStateShareKey={study_run.run_id}"


def view_of_trials(
    tags: Mapping[str, str], objective: str, best_by: str, direction: str, costs: Sequence[str], mark: str | None
) -> str:
    """A view of the trials in MLflow's UI as JSON, in the format that its "Share" button stores.

    Args:
        tags: of the study's runs.
        objective: the metric of an epoch that becomes a trial's `value`.
        best_by: the metric that orders the trials; `direction`: "maximize" or "minimize".
        costs: metrics, and `mark` a tag, of a trial that are shown as columns.
    """
    names = dict.fromkeys((best_by, "value", *costs, "seconds", safe_name(objective)))
    metrics = [f"metrics.`{name}`" for name in names]
    columns = [*metrics, *([f"tags.`{mark}`"] if mark else []), "tags.`trial.state`", "tags.`trial.reason`"]
    tag = ID_TAG if ID_TAG in tags else STUDY_TAG
    quote = '"' if "'" in tags[tag] else "'"
    view = {
        "searchFilter": f"tags.`{tag}` = {quote}{tags[tag]}{quote}",
        "orderByKey": metrics[0],
        "orderByAsc": direction == "minimize",
        "selectedColumns": columns,
        "columnOrder": columns,
    }
    return json.dumps(view)
