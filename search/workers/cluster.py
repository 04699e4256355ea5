"""A Ray cluster: how one is found or started, and how many workers it has room for."""

import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from ..compat.ray import quiet_ray
from ..errors import InputError
from ..messages import cause, redact
from .plan import WORKERS_PER_GPU, Workers, check_workers

ANSWER_SECONDS = 5.0
"""An address that does not answer within this time is refused. Ray itself waits for a minute, and ends the process."""
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How HTTP/2, and so gRPC, begins: the preface and empty settings, which are answered by settings."""
_SETTINGS = 4
_EXACT = 1e-4
"""Ray counts resources in steps of this size."""


def check_ray(address: str | None, gpus_per_trial: float | None) -> None:
    """Check the options of the command, without a look at the cluster; raises InputError."""
    if address is None:
        if gpus_per_trial is not None:
            raise InputError(
                f"--gpus-per-trial {gpus_per_trial:g} is for a Ray cluster: give --ray auto or --ray HOST:PORT too, or "
                "--workers-per-gpu instead"
            )
        return
    if not _is_address(address):
        raise InputError(
            f"--ray {redact(address)}: give auto, or HOST:PORT of the head of a cluster that this machine is part of"
        )
    if gpus_per_trial is not None and not _is_share(gpus_per_trial):
        raise InputError(
            f"--gpus-per-trial {gpus_per_trial:g}: give a part of a GPU, such as 0.25, or a whole number of GPUs"
        )
    if find_spec("ray") is None:
        raise InputError("--ray needs Ray, which is not installed: pip install 'PATH/TO/kerastuna[ray]'")


def _is_address(address: str) -> bool:
    host, _, port = address.rpartition(":")
    return address == "auto" or ("/" not in address and host != "" and port.isdigit() and 0 < int(port) < 65536)


def _is_share(gpus: float) -> bool:
    return _EXACT <= gpus <= 1 or (1 < gpus < math.inf and gpus == int(gpus))


@final
@dataclass(frozen=True)
class Cluster:
    """A Ray cluster that this process has joined.

    Attributes:
        nodes: those that are alive, as `ray.nodes` describes them.
    """

    nodes: Sequence[Mapping[str, Any]]

    @property
    def is_here(self) -> bool:
        """Whether all nodes are this machine."""
        return {node["NodeManagerHostname"] for node in self.nodes} <= {socket.gethostname()}

    def gpus_per_worker(self, asked: float | None, device: str) -> float:
        """The GPUs of each worker, a fraction or a whole number; 0 where a CPU trains.

        Args:
            asked: for; None for half a GPU where there is one.
            device: "auto", "gpu" or "cpu".

        Raises InputError where no node has as many.
        """
        most = max((_amount(node, "GPU") for node in self.nodes), default=0)
        if device == "cpu":
            if asked is not None:
                raise InputError(f"--gpus-per-trial {asked:g} and --device cpu exclude each other: give one of them")
            return 0
        if asked is None:
            if device == "gpu" and most == 0:
                raise InputError(
                    "device 'gpu' was asked for, but no node of the Ray cluster has one: use --device auto or cpu"
                )
            return 1 / WORKERS_PER_GPU if most else 0
        if asked > most:
            raise InputError(
                f"--gpus-per-trial {asked:g}: no node of the Ray cluster has more than {most:g} GPUs; give fewer, or "
                "leave it out"
            )
        return asked

    def places(self, gpus: float) -> int:
        """How many workers with one core and `gpus` GPUs each the nodes have room for."""
        return sum(int(min(_amount(node, "CPU"), _shares(_amount(node, "GPU"), gpus))) for node in self.nodes)

    def workers(self, asked: Workers, gpus: float, at_most: int | None = None) -> int:
        """Their number: those that were asked for, or as many as there is room for; `at_most` have something to do.

        Those for which there is no room wait until there is. Raises InputError for a number below 1, and where there
        is no room for one.
        """
        check_workers(asked)
        places = self.places(gpus)
        if places == 0:
            need = "a CPU" + (f" and {gpus:g} GPUs" if gpus else "")
            raise InputError(f"no node of the Ray cluster has room for a worker, which takes {need}: add such a node")
        count = places if asked == "auto" else asked
        return count if at_most is None else max(1, min(count, at_most))


def _amount(node: Mapping[str, Any], resource: str) -> float:
    return node["Resources"].get(resource, 0.0)


def _shares(have: float, each: float) -> float:
    if each == 0:
        return math.inf
    return int(have) * int(1 / each + _EXACT) if each < 1 else int(have / each)  # no worker has parts of two GPUs


@contextmanager
def joined(address: str, cores: int | None = None) -> Iterator[Cluster]:
    """Join a cluster, and leave it with the block.

    "auto" is the one of the variable RAY_ADDRESS, else that of `ray start` on this machine, else a new one of this
    machine alone, which ends with the block. A process that has joined one by itself stays in that.

    Args:
        address: "auto", or HOST:PORT of its head.
        cores: of a new one, at least those of this machine.

    Raises InputError where the cluster does not answer or does not take this process.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is reported to Ray's makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # otherwise it warns of a change to come
    import ray

    if ray.is_initialized():
        yield _cluster()
        return
    known = (os.environ.get("RAY_ADDRESS") or None) if address == "auto" else address
    if known is not None:
        _check_answer(known)
    started = _started_here() if known is None else None
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _init(known or ("auto" if started else None), cores)
    except Exception as error:
        ray.shutdown()
        raise InputError(f"--ray {redact(known or address)}: Ray refuses ({cause(error)})") from error
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, handler)  # Ray would end this process in the middle of everything
    with quiet_ray():
        try:
            yield _cluster()
        finally:
            ray.shutdown()


def _init(address: str | None, cores: int | None) -> None:
    import logging

    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is not None:
        ray.init(address=address, **quiet)
    else:
        import joblib

        ray.init(address="local", num_cpus=max(joblib.cpu_count(), cores or 1), include_dashboard=False, **quiet)


def _cluster() -> Cluster:
    import ray

    return Cluster([node for node in ray.nodes() if node["Alive"]])


def _started_here() -> bool:
    """Whether a cluster of `ray start` runs on this machine: it leaves its address, also when it ended badly."""
    try:
        _check_answer(Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster").read_text().strip())
    except (OSError, InputError):
        return False
    return True


def _check_answer(address: str) -> None:
    """Raise InputError unless something that speaks gRPC answers at HOST:PORT."""
    if not _is_address(address) or address == "auto":
        raise InputError(f"RAY_ADDRESS {redact(address)}: give HOST:PORT of the head of a cluster, or leave it out")
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS) as there:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return
            there.settimeout(ANSWER_SECONDS)
            there.sendall(_GREETING)
            answer = there.recv(9)
    except OSError as error:
        raise InputError(
            f"--ray {address}: nothing answers there ({error.strerror or 'timed out'}); start Ray's head with ray "
            "start --head, or correct the address"
        ) from error
    if answer[3:4] != bytes([_SETTINGS]):
        raise InputError(f"--ray {address}: what answers there is no Ray cluster; correct the address")
