"""The device that a command trains on, and the workers that train there."""

import contextlib
import logging
import warnings
from dataclasses import replace
from typing import Any

from ..compat.imports import backend_to_be
from ..display.progress import Progress
from ..training.device import Device, gpus, prepare_environment, trains_on_cpu, use_device
from ..workers.cluster import joined
from ..workers.plan import cluster_environments, compilation_environment, environments
from ..workers.pool import WorkerPool
from ..workers.tasks import Pool
from .common import quiet_optuna_for_good
from .options import SearchOptions

WORKER_MODULES = ("kerastuna.search.champion.trainings",)
"""What a worker imports before its first task."""


def open_workers(
    options: SearchOptions, progress: Progress, stack: contextlib.ExitStack, trainings: int | None = None
) -> tuple[Device, Pool[Any] | None]:
    """The device that trains, and the workers, which end with `stack`; None for this process.

    There are no more workers than `trainings`; None stands for the trials of the search.

    Raises InputError for options that cannot be used.
    """
    prepare_environment(options.own_device)
    # Where a CPU is certain, or others know the GPUs, the workers import Keras while this process does.
    at_once = options.ray is not None or trains_on_cpu(options.device)
    pool = _start_workers(options, 0, trainings, progress, stack) if at_once else None
    device = use_device(options.own_device)
    if not at_once:
        pool = _start_workers(options, gpus() if device.kind == "gpu" else 0, trainings, progress, stack)
    if options.ray is not None and pool is not None:
        device = replace(device, kind="gpu" if pool.gpus else "cpu", name=f"a Ray cluster, driven by {device.name}")
    _quiet_libraries()
    from ..training.engine import keep_compiled_programs

    keep_compiled_programs(device.backend.partition(" ")[0], options.folder / "compiled")
    return device, pool


def _start_workers(
    options: SearchOptions, gpus: int, trainings: int | None, progress: Progress, stack: contextlib.ExitStack
) -> Pool[Any] | None:
    if options.ray is not None:
        return _start_ray_workers(options, options.ray, trainings, progress, stack)
    at_most = trainings or options.resolved(gpus > 0).trials
    each = environments(options.workers, gpus=gpus, per_gpu=options.workers_per_gpu, at_most=at_most)
    if len(each) == 1:
        return None
    own = compilation_environment(options.folder / "compiled")
    pool = WorkerPool(
        [{**environment, **own} for environment in each],
        device=options.device,
        modules=WORKER_MODULES,
        warn=progress.message,
    )
    return stack.enter_context(pool)


def _start_ray_workers(
    options: SearchOptions, address: str, trainings: int | None, progress: Progress, stack: contextlib.ExitStack
) -> Pool[Any]:
    cores = options.workers if options.workers != "auto" else None
    cluster = stack.enter_context(joined(address, cores))
    gpus = cluster.gpus_per_worker(options.gpus_per_trial, options.device)
    count = cluster.workers(options.workers, gpus, trainings or options.resolved(gpus > 0).trials)
    from ..workers.ray import RayPool

    own = {"KERAS_BACKEND": backend_to_be()}
    own |= compilation_environment(options.folder / "compiled")
    pool = RayPool(
        [{**environment, **own} for environment in cluster_environments(count)],
        gpus=gpus,
        is_here=cluster.is_here,
        device=options.device,
        modules=WORKER_MODULES,
        warn=progress.message,
    )
    return stack.enter_context(pool)


def _quiet_libraries() -> None:
    """Turn off the messages and warnings that are known and harmless; others are still shown."""
    for name in ("absl", "tensorflow"):  # TensorFlow takes the first epoch of each model for needless retracing
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="currentThread", category=DeprecationWarning)
    # After a study was deleted: its weights are still in the folder that a new study of that name uses.
    warnings.filterwarnings("ignore", message=".* holds trials of another tuner", category=UserWarning)
    quiet_optuna_for_good()
