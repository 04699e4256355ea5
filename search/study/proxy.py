"""Optuna's gRPC storage proxy: a server between many workers and one database. Its errors are told in one line."""

import functools
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any, final
from urllib.parse import urlsplit

import grpc
from optuna.exceptions import ExperimentalWarning
from optuna.storages import GrpcStorageProxy

from ..errors import StudyError
from ..messages import redact, shortened

SCHEME = "grpc://"
READY_SECONDS = 10.0
"""How long the proxy may take to answer the first time."""


def open_proxy(location: str) -> GrpcStorageProxy:
    """A storage behind the proxy at `location`, such as "grpc://host:13000".

    Raises StudyError for a location of another form, and when nothing answers there or something else does; later on,
    too, when the proxy fails or its database does.
    """
    host, port = _address(location)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            proxy = _Proxy(host=host, port=port)
        proxy.wait_server_ready(READY_SECONDS)
    except ConnectionError as error:
        raise StudyError(
            f"storage {location!r} does not answer within {READY_SECONDS:g} seconds: start Optuna's gRPC proxy there, "
            "see docs/many_machines.md, or give the address of one that runs"
        ) from error
    proxy.get_all_studies()
    return proxy


def _address(location: str) -> tuple[str, int]:
    try:
        parts = urlsplit(location)
        host, port = parts.hostname, parts.port
    except ValueError:  # of the port
        host = port = None
    if not host or not port or location != f"{SCHEME}{parts.netloc}" or "@" in location:
        raise StudyError(f"storage {redact(location)!r}: give the address of a gRPC proxy as grpc://HOST:PORT")
    return (f"[{host}]" if ":" in host else host), port


@final
class _Proxy(GrpcStorageProxy):
    """Raises StudyError in place of what gRPC raises."""

    def __init__(self, *, host: str, port: int) -> None:
        super().__init__(host=host, port=port)
        self.location = f"{SCHEME}{host}:{port}"


def _telling(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: _Proxy, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except grpc.RpcError as error:
            code, details = error.code().name, shortened(redact(" ".join(str(error.details()).split())), 200)
            raise StudyError(
                f"storage {self.location!r} failed ({code}: {details}): what was stored is kept; see to the gRPC proxy "
                "and its database, and start again to go on"
            ) from error

    return call


for _name, _member in vars(GrpcStorageProxy).items():
    if isinstance(_member, FunctionType) and not _name.startswith("_") and _name not in ("wait_server_ready", "close"):
        setattr(_Proxy, _name, _telling(_member))
