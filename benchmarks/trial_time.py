"""Where the time of a trial goes, from its proposal to its recorded end.

    python benchmarks/trial_time.py [--trials 12] [--images 1000] [--epochs 3] [--mlflow]

Trains networks of `ConvNet` under 15,000 parameters on MNIST, without a pruner, and prints for each part the median
over the trials, the range of the middle 80 %, and its share of the whole. The first trial is left out: it pays for what
a process does once. KERAS_BACKEND chooses the backend. "First steps" are what the first step of an epoch, or the first
validation, takes longer than the later ones: tracing and compiling.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from kerastuna.search import Dataset, OptunaTuner, load_dataset
from kerastuna.search.study.events import SearchObserver, TrialRecord
from kerastuna.search.training.device import software
from kerastuna.spaces.convnet import ConvNet

PARTS = (
    "proposal",
    "building",
    "before the first step",
    "first training step",
    "training steps",
    "first validation",
    "validation",
    "after the last epoch",
    "whole trial",
)


class Laps:
    """Seconds by part, of one trial after the other."""

    def __init__(self) -> None:
        self.trials: list[dict[str, float]] = [defaultdict(float)]
        self._began = time.perf_counter()

    def lap(self, part: str) -> None:
        """What passed since the last lap belongs to `part`."""
        now = time.perf_counter()
        self.trials[-1][part] += now - self._began
        self._began = now

    def next_trial(self) -> None:
        self.trials.append(defaultdict(float))


class Watch(keras.callbacks.Callback):
    """Laps within a training."""

    def __init__(self, laps: Laps) -> None:
        super().__init__()
        self._laps = laps
        self._steps: list[float] = []
        self._validations = 0

    def __deepcopy__(self, memo: Any) -> Self:  # KerasTuner copies callbacks for every trial
        return type(self)(self._laps)

    def on_train_begin(self, logs: Any = None) -> None:
        self._laps.lap("before the first step")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._laps.lap("first training step" if not self._steps else "training steps")
        self._steps.append(0.0)

    def on_test_begin(self, logs: Any = None) -> None:
        self._laps.lap("training steps")

    def on_test_end(self, logs: Any = None) -> None:
        self._laps.lap("validation" if self._validations else "first validation")
        self._validations += 1


class Ends(SearchObserver):
    """Laps around a training."""

    def __init__(self, laps: Laps) -> None:
        self._laps = laps

    def trial_started(self, record: TrialRecord) -> Mapping[str, Any] | None:
        self._laps.lap("proposal")
        return None

    def trial_ended(self, record: TrialRecord) -> None:
        self._laps.lap("after the last epoch")
        self._laps.next_trial()


class WatchedTuner(OptunaTuner):
    """Laps around the building of a model."""

    laps: Laps

    def on_trial_begin(self, trial: Any) -> None:
        self.laps.lap("proposal")
        super().on_trial_begin(trial)

    def _try_build(self, hp: Any) -> Any:
        model = super()._try_build(hp)
        self.laps.lap("building")
        return model


def measured(data: Dataset, trials: int, epochs: int, mlflow: bool, folder: Path) -> list[dict[str, float]]:
    """Seconds by part for each trial but the first."""
    laps = Laps()
    tuner = WatchedTuner(
        ConvNet(),
        "val_accuracy",
        trials + 1,
        budget=15_000,
        pruner="none",
        seed=0,
        observers=[Ends(laps)],
        tracking_uri=f"sqlite:///{folder}/mlflow.db" if mlflow else "",
        directory=folder,
    )
    tuner.laps = laps
    validation = (data.x_validation, data.y_validation)
    tuner.search(
        data.x_train, data.y_train, epochs=epochs, validation_data=validation, callbacks=[Watch(laps)], verbose=0
    )
    return laps.trials[1 : trials + 1]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--mlflow", action="store_true", help="record the trials in MLflow (sqlite)")
    options = parser.parse_args(arguments)
    data = load_dataset("mnist", images=options.images)
    with tempfile.TemporaryDirectory() as folder:
        trials = measured(data, options.trials, options.epochs, options.mlflow, Path(folder))
    for seconds in trials:
        seconds["whole trial"] = sum(seconds.values())
    print(
        f"{software()['backend']}, Keras {keras.__version__}; {len(trials)} trials of {options.epochs} epochs, ", end=""
    )
    print(f"{len(data.x_train):,} training and {len(data.x_validation):,} validation images; ", end="")
    print(f"MLflow {'on' if options.mlflow else 'off'}")
    whole = statistics.median(seconds["whole trial"] for seconds in trials)
    print(f"{'part':24}{'seconds':>9}   middle 80 %      share")
    for part in PARTS:
        values = sorted(seconds[part] for seconds in trials)
        low, high = values[len(values) // 10], values[-1 - len(values) // 10]
        median = statistics.median(values)
        print(f"{part:24}{median:9.3f}   {low:.3f} to {high:.3f}   {median / whole:6.1%}")


if __name__ == "__main__":
    main()
