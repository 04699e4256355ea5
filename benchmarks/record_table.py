"""Record the table of trained networks that `kerastuna bench samplers` replays searches on.

    kerastuna bench record_table [--table benchmarks/table/convnet-mnist.jsonl] [--random 70] [--start 30] ...

The networks are those of `ConvNet` under 15,000 parameters, on the first images of MNIST, in one process on one core.
The points are a mixture, so that the surrogate that is fitted on them knows the good regions as well as the common
ones: random ones, those that Kerastuna's start proposals choose, those of searches by TPE (with real trainings), the
reference networks, and neighbours of the best points of all these. Some networks are trained from three seeds, from the
best to the worst, to tell the noise of training. A table whose recording was interrupted lacks the later ones of these:
the note with the results of `samplers` counts what it has.

`--ends FILE` trains the networks where replayed searches ended, as a verdict on the contenders. The file is written by
`kerastuna bench samplers --write-ends JSON SEEDS FILE`, from the results JSON of a run on this table.

Every training is written at once, and the same command goes on where it was interrupted. On another machine than the
table was begun on, trainings carry its name, and their seconds do not count.
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from kerastuna.search.training.device import prepare_environment, software, use_device

prepare_environment("cpu")  # before Keras is imported

from helpers.command import at_least, refused  # noqa: E402
from replay.clock import Clock, World  # noqa: E402
from replay.kerastuna_searches import kerastuna_search, references  # noqa: E402
from replay.networks import LIMITS, PARAMETERS, SPACE, as_plain, declared, neighbour, random_point, size_at  # noqa: E402
from replay.table import END, Course, End, Table, Training, append, read_table, write_header  # noqa: E402

from kerastuna.search.datasets.data import Dataset, load_dataset  # noqa: E402
from kerastuna.search.proposals.distributions import Values, values_key  # noqa: E402
from kerastuna.search.proposals.start import Start  # noqa: E402
from kerastuna.search.study.seeds import derive_seed  # noqa: E402
from kerastuna.search.training.train import train  # noqa: E402
from kerastuna.search.tuning.hyperparameters import hyperparameters_at  # noqa: E402

TABLE = Path(__file__).resolve().parent / "table" / "convnet-mnist.jsonl"
SEED = 1
"""Of the points, and of the trainings by their values."""


class Recorder:
    """Trains networks, and keeps what it trained in a file; what is in it already is not trained again.

    Args:
        path: of the table; a new one is begun where there is none.
        data: the images.
        validated: of the validation images, the first ones.
        epochs: of a training.

    Raises ValueError where the file is of other images, epochs, or versions of what trains.
    """

    def __init__(self, path: Path, data: Dataset, validated: int, epochs: int) -> None:
        self._path, self._data = path, data
        self._validation = data.x_validation[:validated], data.y_validation[:validated]
        self._declared = declared()
        hardware, made_by = f"{use_device('cpu').name}, one thread", software()
        if not path.exists():
            told = {
                "data": data.name,
                "images": [len(data.x_train), len(self._validation[0])],
                "epochs": epochs,
                "hardware": hardware,
                **made_by,
                "date": date.today().isoformat(),
            }
            write_header(path, told)
        self.table = read_table(path)
        asked = [[len(data.x_train), len(self._validation[0])], epochs]
        if asked != [self.table.header["images"], self.table.epochs]:
            raise ValueError(f"{path} is of other images or epochs: give another file")
        if (before := trained_with(self.table.header)) != (now := trained_with(made_by)):
            raise ValueError(
                f"{path} was recorded with {before}, and here is {now}: install those, or give another file"
            )
        self._hardware = "" if hardware == self.table.header["hardware"] else hardware

    def training(self, source: str, values: Values, repeat: int = 0) -> Training:
        """The training at `values`, recorded or made now; `repeat` counts its seeds."""
        values = as_plain(values)
        seed = derive_seed(SEED, "training", values_key(values), repeat)
        if (known := self.table.with_seed(values, seed)) is not None:
            return known
        ended = [time.process_time()]
        _, history = train(
            SPACE,
            hyperparameters_at(self._declared, values),
            seed,
            self._data.x_train,
            self._data.y_train,
            self.table.epochs,
            validation=self._validation,
            report=lambda epoch, metrics: ended.append(time.process_time()),
        )
        seconds = [end - begin for begin, end in pairwise(ended)]
        of_epoch = statistics.median(seconds[1:] or seconds)
        size = size_at(values)
        training = Training(
            source,
            values,
            seed,
            [round(epoch["val_accuracy"], 5) for epoch in history],
            size.params,
            size.macs or 0,
            round(of_epoch, 3),
            round(max(0.0, seconds[0] - of_epoch), 3),
            self._hardware,
        )
        append(self._path, training)
        self.table.add(training)
        print(
            f"{len(self.table.trainings):4} {source:10} {training.curve[-1]:.4f}  {training.params:6,} parameters  "
            f"{sum(seconds):5.1f} s  {size.summary}",
            flush=True,
        )
        return training

    def course(self, source: str, values: Values) -> Course:
        """What training at `values` brings."""
        made = self.training(source, values)
        return Course(tuple(made.curve), made.epoch_seconds, made.first_seconds)

    def end(self, end: End, repeats: int) -> None:
        """Train the network where a search ended, from `repeats` seeds that were not trained before that search."""
        if end.trainings > len(self.table.trainings):
            raise ValueError(f"a search ended on a table of {end.trainings} trainings, and {self._path} has fewer")
        key = values_key(end.values)
        before = sum(values_key(training.values) == key for training in self.table.trainings[: end.trainings])
        for repeat in range(before, before + repeats):
            self.training(END, end.values, repeat)
        if end not in self.table.ends:
            append(self._path, end)
            self.table.ends.append(end)


def trained_with(told: Mapping[str, str]) -> str:
    """What accuracies depend on, of what `software` tells: the backend, and Keras."""
    return ", ".join([told["backend"], *(one for one in told["versions"].split(", ") if one.startswith("keras "))])


def read_ends(path: Path) -> list[End]:
    """The ends of searches in a file; raises ValueError where it has none."""
    try:
        return [End(**values) for values in json.loads(path.read_text())]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} was not written by samplers --write-ends: {error}") from error


def record(recorder: Recorder, counts: argparse.Namespace) -> None:
    """Record all points, one source after the other."""
    for values in references().values():
        for repeat in range(3):
            recorder.training("reference", values, repeat)
    draw = random.Random(derive_seed(SEED, "table"))
    mixed = [("random", random_point(draw)) for _ in range(counts.random)]
    mixed += [("start", values) for values in start_points(counts.start)]
    random.Random(SEED).shuffle(mixed)  # so that half of a table is one as well
    for source, values in mixed:
        recorder.training(source, values)
    for seed in range(1, counts.searches + 1):
        world = World(lambda values: recorder.course("tpe", values), lambda values: 0.0)
        clock = Clock(world, recorder.table.epochs, sys.maxsize)
        kerastuna_search(clock, seed, pruner="none", max_trials=counts.trials)
    for values in neighbours(best_points(recorder.table, counts.neighbours // 2), counts.neighbours, draw):
        recorder.training("neighbour", values)
    for trainings in spread_points(recorder.table, counts.repeated):
        for repeat in (1, 2):
            recorder.training("repeat", trainings[0].values, repeat)


def start_points(count: int) -> Iterator[Values]:
    """The first proposals of Kerastuna, ten of each seed."""
    for seed in range(count // 10):
        start = Start(seed, LIMITS, size_at, looks_for_small=False)
        points = (start.point(number, PARAMETERS) for number in range(10))
        yield from (point for point in points if point is not None)


def best_points(table: Table, count: int) -> list[Values]:
    """The best points of the mixture and of the searches."""
    known = [training for training in table.trainings if training.source in ("reference", "random", "start", "tpe")]
    unique = {values_key(training.values): training for training in known}
    ranked = sorted(unique.values(), key=lambda training: training.curve[-1], reverse=True)
    return [training.values for training in ranked[:count]]


def neighbours(points: Sequence[Values], count: int, draw: random.Random) -> list[Values]:
    """`count` neighbours of the points in turn."""
    return [neighbour(points[number % len(points)], draw) for number in range(count)] if points else []


def spread_points(table: Table, count: int) -> list[list[Training]]:
    """Points from the best to the worst, half of them of the best quarter; the choice is the same after a restart."""
    first = [trainings for trainings in table.points if trainings[0].source in ("random", "start", "tpe", "neighbour")]
    ranked = sorted(first, key=lambda trainings: trainings[0].curve[-1], reverse=True)
    if len(ranked) <= count or count < 2:
        return ranked[:count]
    quarter, half = len(ranked) // 4, count // 2
    good = [ranked[place * quarter // half] for place in range(half)]
    others = [ranked[quarter + place * (len(ranked) - quarter) // (count - half)] for place in range(count - half)]
    return good + others


def one_thread() -> None:
    """Let TensorFlow compute on one thread, so that the processor's seconds are those of one core."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        set_threads: list[Callable[[int], Any]] = [
            tf.config.threading.set_intra_op_parallelism_threads,
            tf.config.threading.set_inter_op_parallelism_threads,
        ]
        for set_number in set_threads:
            set_number(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Record, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE, help="the file (%(default)s)")
    some, any_number = at_least(1), at_least(0)
    parser.add_argument("--images", type=some, default=2000, help="for training (%(default)s)")
    parser.add_argument("--validated", type=some, default=2000, help="validation images (%(default)s)")
    parser.add_argument("--epochs", type=some, default=5, help="of a training (%(default)s)")
    parser.add_argument("--random", type=any_number, default=70, help="random points (%(default)s)")
    parser.add_argument("--start", type=any_number, default=30, help="points of start proposals (%(default)s)")
    parser.add_argument("--searches", type=any_number, default=2, help="searches by TPE (%(default)s)")
    parser.add_argument("--trials", type=some, default=30, help="of each of these searches (%(default)s)")
    parser.add_argument("--neighbours", type=any_number, default=50, help="of the best points (%(default)s)")
    parser.add_argument(
        "--repeated", type=any_number, default=15, help="points that are trained from three seeds (%(default)s)"
    )
    parser.add_argument("--ends", type=Path, metavar="JSON", help="train only these, as --repeats says")
    parser.add_argument(
        "--repeats", type=some, default=3, help="new seeds that each of these is trained from (%(default)s)"
    )
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    one_thread()
    try:
        ends = None if options.ends is None else read_ends(options.ends)
        data = load_dataset("mnist", images=options.images)
        recorder = Recorder(options.table, data, options.validated, options.epochs)
        if ends is None:
            record(recorder, options)
        for end in ends or ():
            recorder.end(end, options.repeats)
    except (ValueError, OSError) as error:
        return refused(error)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
