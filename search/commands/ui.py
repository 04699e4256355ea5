"""`kerastuna ui`: MLflow's user interface."""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from ..errors import InputError
from ..messages import redact
from .common import program


def ui(options: argparse.Namespace) -> NoReturn:
    """Start MLflow's user interface in place of this process."""
    if not 1 <= options.port <= 65535:
        raise InputError(f"--port {options.port}: give a number from 1 to 65535")
    from ..tracking.store import check_tracking_uri, default_tracking_uri, is_database
    from ..tracking.ui import ui_command

    uri = (
        options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(options.folder.resolve())
    )
    if uri.startswith("http"):
        raise InputError(f"the tracking server {uri.rpartition('@')[2]} has a user interface of its own: open it there")
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise InputError(
            f"there is nothing to show yet in {uri.removeprefix('sqlite:///')}: run {program()} search first"
        )
    check_tracking_uri(uri)
    if not is_database(uri):
        raise InputError(f"--tracking-uri {redact(uri)} is no database: give one, such as sqlite:////folder/mlflow.db")
    command, environment = ui_command(uri, options.port)
    print(f"MLflow on http://127.0.0.1:{options.port}  (Ctrl-C ends it)", file=sys.stderr, flush=True)
    os.execve(command[0], command, environment)
