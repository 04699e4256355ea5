"""Optuna's gRPC storage proxy: a server between many workers and one database. Its errors are told in one line."""

import warnings
from types import FunctionType
from typing import final
from urllib.parse import urlsplit

import grpc
from optuna.exceptions import ExperimentalWarning
from optuna.storages import GrpcStorageProxy
from optuna.trial import FrozenTrial

from ..compat.optuna_storages import limit_calls
from ..errors import StudyError
from ..messages import redact, shortened
from .patient_storage import PatientStorage, make_patient
from .repeats import MARK
from .waiting import is_joining, longest_call

SCHEME = "grpc://"
READY_SECONDS = 10.0
"""How long the proxy may take to answer the first time."""
_LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""There is no proxy, or one that hangs."""
_OF_THE_DATABASE = "An exception is raised during the commit"
"""What Optuna's server says of a lost connection to its database, and of every other error of it."""


def open_proxy(location: str, patience: float = 0.0) -> GrpcStorageProxy:
    """A storage behind the proxy at `location`, such as "grpc://host:13000".

    Each operation waits for `patience` seconds for a proxy that restarts or hangs. It is opened without waiting, but
    where this process joins a study.

    Raises StudyError for a location of another form, and when nothing answers there or something else does; later on,
    too, when the proxy fails or its database does.
    """
    host, port = _address(location)
    seconds = max(READY_SECONDS, patience) if is_joining() else READY_SECONDS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            proxy = _Proxy(patience, host=host, port=port)
        proxy.wait_server_ready(seconds)
    except ConnectionError as error:
        raise StudyError(
            f"storage {location!r} does not answer within {seconds:g} seconds: start Optuna's gRPC proxy there, "
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
class _Proxy(PatientStorage, GrpcStorageProxy):
    """Waits for a proxy that restarts or hangs, and raises StudyError in place of what gRPC raises."""

    def __init__(self, patience: float, *, host: str, port: int) -> None:
        self.patience = patience
        self.location = f"{SCHEME}{host}:{port}"
        self._begun: set[str] = set()  # the marks of the trials that are being added
        super().__init__(host=host, port=port)
        limit_calls(self, lambda: longest_call(patience))

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        mark = "" if template_trial is None else template_trial.system_attrs.get(MARK, "")
        if mark in self._begun:
            trials = self.get_all_trials(study_id, deepcopy=False)
            for trial in reversed(trials):
                if trial.system_attrs.get(MARK) == mark:
                    return self.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        self._begun.add(mark)
        added = super().create_new_trial(study_id, template_trial)
        self._begun.discard(mark)
        return added

    def lost(self, error: Exception) -> str | None:
        if not isinstance(error, grpc.RpcError):
            return None
        is_lost = error.code() in _LOST or _OF_THE_DATABASE in str(error.details())
        return _reason(error, 120) if is_lost else None

    def told(self, error: Exception) -> StudyError | None:
        if not isinstance(error, grpc.RpcError):
            return None
        return StudyError(
            f"storage {self.location!r} failed ({_reason(error, 200)}): what was stored is kept; see to the gRPC proxy "
            "and its database, and start again to go on"
        )


def _reason(error: grpc.RpcError, longest: int) -> str:
    return f"{error.code().name}: {shortened(redact(' '.join(str(error.details()).split())), longest)}"


make_patient(
    _Proxy,
    {
        name: member
        for name, member in vars(GrpcStorageProxy).items()
        if isinstance(member, FunctionType) and not name.startswith("_") and name not in ("wait_server_ready", "close")
    },
)
