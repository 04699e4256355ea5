"""`kerastuna ui`: MLflow's user interface."""

import argparse
import os
import socket
from typing import NoReturn

from ..errors import InputError
from ..messages import redact
from .common import program, say

MOST_STUDIES = 10
"""Of so many studies the address is printed, of those that began last."""


def ui(options: argparse.Namespace) -> NoReturn:
    """Start MLflow's user interface in place of this process."""
    if not 1 <= options.port <= 65535:
        raise InputError(f"--port {options.port}: give a number from 1 to 65535")
    from ..tracking.store import check_tracking_uri, default_tracking_uri, file_of, is_database
    from ..tracking.ui import studies_in, ui_command, ui_path

    uri = (
        options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(options.folder.resolve())
    )
    if uri.startswith("http"):
        raise InputError(f"the tracking server {uri.rpartition('@')[2]} has a user interface of its own: open it there")
    check_tracking_uri(uri)
    if (file := file_of(uri)) is not None and not file.exists():
        raise InputError(f"there is nothing to show yet in {file}: run {program()} search first")
    if not is_database(uri):
        raise InputError(f"--tracking-uri {redact(uri)} is no database: give one, such as sqlite:////folder/mlflow.db")
    _check_port(options.port)
    command, environment = ui_command(uri, options.port)
    address = f"http://127.0.0.1:{options.port}"
    studies = studies_in(uri)
    for study in studies[:MOST_STUDIES]:
        say(f"trials of {study.study}:\n  {address}{ui_path(study)}")
    if len(studies) > MOST_STUDIES:
        say(f"{len(studies) - MOST_STUDIES} older: {address}/#/experiments")
    say(f"MLflow on {address} answers in a few seconds (Ctrl-C ends it)")
    os.execve(command[0], command, environment)


def _check_port(port: int) -> None:
    """Raises InputError where nothing can be served on `port`. MLflow would end with status 0 there."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"--port {port} cannot be used ({error.strerror}): give another one") from error
