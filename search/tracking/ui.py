"""MLflow's user interface: how to start it, and where in it a study's trials are."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from .store import ENVIRONMENT, STUDY_TAG, StudyRun, safe_name


def ui_command(tracking_uri: str, port: int, host: str = "127.0.0.1") -> tuple[list[str], dict[str, str]]:
    """The command that serves MLflow's UI over a database, and its environment, which keeps passwords out of it."""
    command = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port), "--workers", "1"]
    return command, {**ENVIRONMENT, **os.environ, "MLFLOW_BACKEND_STORE_URI": tracking_uri}


def ui_path(study_run: StudyRun) -> str:
    """Path and fragment, below the address of MLflow's UI, of a study's trials, the best first, with useful columns."""
    runs = f"/#/experiments/{study_run.experiment_id}/runs"
    return f"{runs}?workflowType=machine_learning&viewStateShareKey={study_run.run_id}"


def _view(study: str, objective: str, best_by: str, direction: str, costs: Sequence[str], mark: str | None) -> str:
    """A view of the trials in MLflow's UI, in the form in which its "Share" button keeps one."""
    names = dict.fromkeys((best_by, "value", *costs, "seconds", safe_name(objective)))
    metrics = [f"metrics.`{name}`" for name in names]
    columns = [*metrics, *([f"tags.`{mark}`"] if mark else []), "tags.`trial.state`", "tags.`trial.reason`"]
    quote = '"' if "'" in study else "'"
    view = {
        "searchFilter": f"tags.`{STUDY_TAG}` = {quote}{study}{quote}",
        "orderByKey": metrics[0],
        "orderByAsc": direction == "minimize",
        "selectedColumns": columns,
        "columnOrder": columns,
    }
    return json.dumps(view)
