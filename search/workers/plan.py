"""How many workers a machine gets, and the variables of the environment that give each its share of it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from ..errors import InputError

WORKERS_PER_GPU = 2
"""By default: one worker builds and compiles while another trains."""
WORKER_BYTES = 1 << 30
"""Memory that a worker takes at least: Keras with its backend, and its data."""

Workers = int | Literal["auto"]


def check_workers(workers: Workers, per_gpu: Workers = "auto") -> None:
    """Raise InputError unless both are "auto" or at least 1."""
    for name, given in (("workers", workers), ("workers-per-gpu", per_gpu)):
        if given != "auto" and not (isinstance(given, int) and not isinstance(given, bool) and given >= 1):
            raise InputError(f"--{name} {given}: give a whole number of at least 1, or auto")


def environments(
    workers: Workers, *, gpus: int = 0, per_gpu: Workers = "auto", at_most: int | None = None
) -> list[Mapping[str, str]]:
    """The environment of each worker, in place of the variables of this process.

    On a CPU "auto" is a worker for each core that this process may use, as far as the memory goes; a worker gets its
    share of the threads, since a small network gains nothing from a second one. On GPUs it is `per_gpu` for each; a
    worker sees its own GPU alone.

    Args:
        workers: their number, or "auto".
        gpus: that Keras finds.
        per_gpu: workers for each of them; "auto" is `WORKERS_PER_GPU`.
        at_most: the most that have something to do; None where that is not known.

    Raises InputError for numbers below 1, and for more workers than `per_gpu` allows.
    """
    check_workers(workers, per_gpu)
    import joblib  # and NumPy with it, for which --help need not wait

    cores = joblib.cpu_count()
    if gpus:
        places = gpus * (WORKERS_PER_GPU if per_gpu == "auto" else per_gpu)
        if workers != "auto" and per_gpu != "auto" and workers > places:
            raise InputError(
                f"--workers {workers}: {per_gpu} for each of {gpus} GPUs are {places}; give fewer workers, or more for "
                "each GPU"
            )
        count = places if workers == "auto" else workers
    else:
        if per_gpu != "auto":
            raise InputError(f"--workers-per-gpu {per_gpu}: Keras finds no GPU; leave it out, or give --workers")
        count = max(1, min(cores, _available_bytes() // WORKER_BYTES)) if workers == "auto" else workers
    count = count if at_most is None else max(1, min(count, at_most))
    threads = max(1, cores // count)
    return [
        {"KERASTUNER_TUNER_ID": f"worker{number}", **_threads(threads), **_gpu(number % gpus if gpus else None)}
        for number in range(count)
    ]


def cluster_environments(count: int) -> list[Mapping[str, str]]:
    """The environment of each of `count` workers that get one core from a cluster, which chooses their GPUs too."""
    return [{"KERASTUNER_TUNER_ID": f"worker{number}", **_threads(1)} for number in range(count)]


def compilation_environment(folder: Path | str) -> dict[str, str]:
    """The variables by which JAX keeps every compiled program in `folder`; other backends do not look at them."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }


def _threads(threads: int) -> dict[str, str]:
    """The number of threads in the terms of TensorFlow, JAX, and PyTorch; what the user has set stays."""
    wanted = {
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "NPROC": threads,  # XLA's thread pool on a CPU
    }
    return {name: os.environ.get(name, str(count)) for name, count in wanted.items()}


def _gpu(index: int | None) -> dict[str, str]:
    if index is None:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[index].strip() if visible else str(index)}


def _available_bytes() -> int:
    """Memory that is free or can be freed, also of what a container may have; where nothing is told, all of it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([free, *_left_to_containers()])


CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = ("memory.max", "memory.current", "inactive_file")


def _left_to_containers() -> Iterator[int]:
    """What is left of each limit on the memory of this process, by Linux's control groups of either version.

    Pages of files that were not used for long count as used, and can be freed.
    """
    try:
        groups = [line.split(":", 2) for line in OWN_CGROUPS.read_text().splitlines()]
    except OSError:
        return
    for _, kinds, path in groups:
        if kinds and "memory" not in kinds.split(","):
            continue
        top, names = (CGROUPS / "memory", _VERSION_1) if kinds else (CGROUPS, _VERSION_2)
        limit, used, idle = names
        own = top / path.lstrip("/")
        parents = own.parents[: len(own.relative_to(top).parts)]
        for folder in (own, *parents):  # a container may see but its own, as `top`
            with suppress(OSError, ValueError, KeyError):  # not there, or no limit
                most, now = (int((folder / name).read_text()) for name in (limit, used))
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                yield most - now + int(stat[idle])
