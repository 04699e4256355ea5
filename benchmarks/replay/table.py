"""The table of trained networks: a file with a header line, and a line for each training.

A line may also tell where a replayed search ended; the trainings of that network after the search judge it.
"""

import json
import statistics
from collections import Counter
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
        hardware: the machine where it is another one than the header's; its seconds tell nothing of that one.
    """

    source: str
    values: Mapping[str, Any]
    seed: int
    curve: Sequence[float]
    params: int
    macs: int
    epoch_seconds: float
    first_seconds: float
    hardware: str = ""


@final
@dataclass(frozen=True)
class End:
    """Where a replayed search ended.

    Attributes:
        contender, search_seed: of the search.
        trainings: of the table that it was replayed on: the first ones of the table. Later ones judge it.
        told: the accuracy after all epochs, without noise, as the replay told it.
        values: of the network's active hyperparameters.
    """

    contender: str
    search_seed: int
    trainings: int
    told: float
    values: Mapping[str, Any]


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
        ends: of replayed searches, once the networks were trained.
    """

    def __init__(self, header: Mapping[str, Any], trainings: Iterable[Training] = (), ends: Iterable[End] = ()) -> None:
        self.header = dict(header)
        self.trainings: list[Training] = []
        self.ends = list(ends)
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

    @property
    def sources(self) -> dict[str, int]:
        """The number of trainings from each source, the largest first."""
        return counted(training.source for training in self.trainings)

    @property
    def machines(self) -> dict[str, int]:
        """The number of trainings on each machine, the header's first."""
        own = self.header["hardware"]
        others = counted(training.hardware for training in self.trainings if training.hardware)
        return {own: len(self.trainings) - sum(others.values()), **others}


def counted(names: Iterable[str]) -> dict[str, int]:
    """How often each name comes, the most frequent first."""
    return dict(Counter(names).most_common())


def mean_curve(trainings: Sequence[Training]) -> tuple[float, ...]:
    """The mean accuracies of several trainings of one network, at least one."""
    curves = zip(*(training.curve for training in trainings), strict=True)
    return tuple(statistics.fmean(values) for values in curves)


def seconds_of(trainings: Sequence[Training]) -> tuple[float, float] | None:
    """The median seconds of an epoch, and of compiling, on the header's machine; None where none was trained there."""
    own = [training for training in trainings if not training.hardware]
    if not own:
        return None
    return (
        statistics.median(training.epoch_seconds for training in own),
        statistics.median(training.first_seconds for training in own),
    )


def read_table(path: Path) -> Table:
    """The table in a file; raises ValueError where it is none.

    A last line without its end was cut when the process that wrote it was killed: it does not count.
    """
    lines = path.read_text().rpartition("\n")[0].splitlines()
    entries: list[Any] = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(json.loads(line) if number == 1 else _entry(line))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is no table of trained networks: line {number}: {error}") from error
    if not entries or "epochs" not in entries[0]:
        raise ValueError(f"{path} is no table of trained networks: its first line has no epochs")
    header, *rest = entries
    return Table(
        header,
        (entry for entry in rest if isinstance(entry, Training)),
        (entry for entry in rest if isinstance(entry, End)),
    )


def _entry(line: str) -> Training | End:
    values = json.loads(line)
    return End(**values) if "contender" in values else Training(**values)


def write_header(path: Path, header: Mapping[str, Any]) -> None:
    """Begin a table in a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(header) + "\n")


def append(path: Path, entry: Training | End) -> None:
    """Add a line to the file of a table, in place of one that was cut."""
    values = asdict(entry)
    if not values.get("hardware", True):
        del values["hardware"]
    with path.open("r+b") as file:
        file.seek(file.read().rfind(b"\n") + 1)
        file.truncate()
        file.write(json.dumps(values).encode() + b"\n")
