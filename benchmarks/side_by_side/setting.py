"""What every contender is given: the data, the budget, and the seconds of a search."""

import os
from dataclasses import dataclass
from typing import final

BUDGET = 15_000
"""Parameters of a network, for every contender."""


@final
@dataclass(frozen=True)
class Setting:
    """What all searches of a run have in common.

    Attributes:
        name: in the names of the files that are written.
        data: as `kerastuna.search.load_dataset` takes it.
        images: for training; None for all.
        validated: validation images, the first ones; None for all.
        epochs: of a full training.
        seconds: of one search, after importing and loading.
        seeds: the number of search seeds, counted from 1: KerasTuner takes 0 for none.
    """

    name: str
    images: int | None
    validated: int | None
    epochs: int
    seconds: float
    seeds: int
    data: str = "mnist"


SHORT = Setting("short", images=1000, validated=1000, epochs=3, seconds=48.0, seeds=5)
"""30 searches of six contenders: half an hour on two cores, with the seconds for importing and loading before each."""
LONG = Setting("long", images=None, validated=None, epochs=20, seconds=600.0, seeds=5)
"""For a GPU: 30 searches of ten minutes."""


WORKERS_PER_GPU = 2
"""One builds and compiles while the other trains."""


def workers_on(kind: str) -> int:
    """The processes of a contender that trains in several: one for each core, or on a "gpu" `WORKERS_PER_GPU`."""
    return WORKERS_PER_GPU if kind == "gpu" else cores()


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
