"""The table of trained networks: a file with a header line and a line for each training."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from kerastuna.search.proposals.distributions import Values, values_key

END = "end"
"""The source of points where replayed searches ended."""


@final
@dataclass(frozen=True)
class Training:
    """One network, trained once.

    Attributes:
        source: how the point was found, such as "random".
        values: of the active hyperparameters.
        seed: of the training.
        curve: validation accuracy after each epoch.
        params, macs: of the network; macs for one image.
        epoch_seconds: of the processor, the median of the epochs after the first, validation included.
        first_seconds: of the processor, from the call to the end of the first epoch, less an epoch: compiling.
    """

    source: str
    values: Mapping[str, Any]
    seed: int
    curve: Sequence[float]
    params: int
    macs: int
    epoch_seconds: float
    first_seconds: float


@final
@dataclass(frozen=True)
class Course:
    """What training a network brings: the accuracy after each epoch, and the seconds of compiling and of an epoch."""

    curve: tuple[float, ...]
    epoch_seconds: float
    first_seconds: float


@final
class Table:
    """Trainings, in the order in which they were recorded.

    Attributes:
        header: what all of them have in common: data, images, epochs, hardware, versions.
        trainings: all of them.
    """

    def __init__(self, header: Mapping[str, Any], trainings: Iterable[Training] = ()) -> None:
        self.header = dict(header)
        self.trainings: list[Training] = []
        self._by_key: dict[str, list[Training]] = {}
        for training in trainings:
            self.add(training)

    @property
    def epochs(self) -> int:
        """Of every training."""
        return int(self.header["epochs"])

    def add(self, training: Training) -> None:
        """Add a training."""
        self.trainings.append(training)
        self._by_key.setdefault(values_key(training.values), []).append(training)

    def of(self, values: Values) -> list[Training]:
        """The trainings of the network at `values`."""
        return self._by_key.get(values_key(values), [])

    def with_seed(self, values: Values, seed: int) -> Training | None:
        """The training at `values` from `seed`; None where it was not recorded."""
        return next((training for training in self.of(values) if training.seed == seed), None)

    @property
    def points(self) -> list[list[Training]]:
        """The trainings, those of one network together."""
        return list(self._by_key.values())


def mean_course(trainings: Sequence[Training]) -> Course:
    """The mean of several trainings of one network, at least one."""
    curves = zip(*(training.curve for training in trainings), strict=True)
    return Course(
        tuple(statistics.fmean(values) for values in curves),
        statistics.median(training.epoch_seconds for training in trainings),
        statistics.median(training.first_seconds for training in trainings),
    )


def read_table(path: Path) -> Table:
    """The table in a file; raises ValueError where it is none."""
    lines = path.read_text().splitlines()
    if not lines or "epochs" not in (header := json.loads(lines[0])):
        raise ValueError(f"{path} is no table of trained networks: its first line has no epochs")
    return Table(header, (Training(**json.loads(line)) for line in lines[1:]))


def write_header(path: Path, header: Mapping[str, Any]) -> None:
    """Begin a table in a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(header) + "\n")


def append(path: Path, training: Training) -> None:
    """Add a training to the file of a table."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(training)) + "\n")
