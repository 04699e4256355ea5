"""How the memory of a search grows with its trials.

    KERAS_BACKEND=jax python benchmarks/memory.py [--trials 200] [--images 100] [--marks 20 50 100 200]

Trains different networks of `ConvNet` under 15,000 parameters for one epoch through `OptunaTuner`, and prints after
some trials the resident memory of the process, once garbage is collected. The goal: after 200 trials at most 10 % more
than after 20.
"""

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from kerastuna.search.training.device import prepare_environment, software

prepare_environment("auto")  # before Keras is imported

import keras  # noqa: E402

from kerastuna.search import OptunaTuner, load_dataset  # noqa: E402
from kerastuna.search.study.events import SearchObserver, TrialRecord  # noqa: E402
from kerastuna.spaces.convnet import ConvNet  # noqa: E402


class Memory(SearchObserver):
    """Notes the memory of the process after some trials."""

    def __init__(self, marks: Sequence[int]) -> None:
        self._marks = frozenset(marks)
        self._trained = 0
        self._began = time.perf_counter()
        self.seen: dict[int, float] = {}

    def trial_ended(self, record: TrialRecord) -> None:
        self._trained += 1
        if self._trained in self._marks:
            gc.collect()
            mebibytes, seconds = resident(), time.perf_counter() - self._began
            self.seen[self._trained] = mebibytes
            more = mebibytes / next(iter(self.seen.values())) - 1
            print(f"{self._trained:6} trials{mebibytes:9.0f} MiB{more:+8.1%}   after {seconds:.0f} s", flush=True)


def resident() -> float:
    """The resident memory of this process, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Search, and print the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--marks", type=int, nargs="+", default=[20, 50, 100, 150, 200])
    options = parser.parse_args()
    found = software()
    print(f"{found['backend']}, Keras {keras.__version__}; networks of ConvNet, {options.images} images, one epoch")
    data, memory = load_dataset("mnist", images=options.images), Memory([*options.marks, options.trials])
    with tempfile.TemporaryDirectory() as folder:
        tuner = OptunaTuner(
            ConvNet(),
            "val_accuracy",
            options.trials,
            budget=15_000,
            sampler="random",
            pruner="none",
            seed=0,
            observers=[memory],
            tracking_uri="",
            directory=folder,
        )
        validation = (data.x_validation[: options.images], data.y_validation[: options.images])
        tuner.search(data.x_train, data.y_train, epochs=1, validation_data=validation, verbose=0)
    marks = [trials for trials in memory.seen if trials >= 20]
    if len(marks) > 1:
        each = (memory.seen[marks[-1]] - memory.seen[marks[0]]) / (marks[-1] - marks[0])
        print(f"from trial {marks[0]} to {marks[-1]}: {each:.2f} MiB a trial")


if __name__ == "__main__":
    main()
