"""`kerastuna dashboard`: the studies in optuna-dashboard, with Optuna's interactive plots."""

import argparse
import importlib.util
import sys
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from ..errors import InputError
from .common import open_storage_of, say


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass  # no line for each request


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def dashboard(options: argparse.Namespace) -> int:
    """Serve the studies of a storage until Ctrl-C; raises InputError without the extra, and for a port in use."""
    if not 1 <= options.port <= 65535:
        raise InputError(f"--port {options.port}: give a number from 1 to 65535")
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise InputError(f"the dashboard is an extra: {sys.executable} -m pip install 'PATH/TO/kerastuna[dashboard]'")
    storage = open_storage_of(options)
    from optuna_dashboard import wsgi

    try:
        server = make_server("127.0.0.1", options.port, wsgi(storage), _Server, _Quiet)
    except OSError as error:
        raise InputError(f"--port {options.port} cannot be used ({error.strerror}): give another") from error
    with server:
        say(f"Optuna's dashboard on http://127.0.0.1:{options.port}/dashboard  (Ctrl-C ends it)")
        server.serve_forever()
    return 0
