"""Seconds of an epoch with its validation: Keras's `fit` beside what a search does, on the backend in KERAS_BACKEND.

    KERAS_BACKEND=jax python benchmarks/epoch.py [--images 4000] [--epochs 4] [--batch 64] [--networks small eip_3]
        [--validation 6000]

On JAX a search has the compiled epoch. On TensorFlow it has `fit` with quicker layers: two lines compare them with
Keras's, both by the whole recipe of the network, with its augmentation and its own batches.

"small" is a network of two convolutions with 8 channels, without dropout; `kerastuna reproduce` has the others. A
fourth as many images are validated; with `--validation`, as many as it says, and what validation adds to an epoch is
printed. Each way trains a network of its own from the same start. What comes before the second epoch of `fit` counts
as compiling; the compiled epoch counts it apart (tracing is the first part of it), so that its first epoch is measured
too. Times are medians over the epochs: of the clock, and of the processor, on which other programs have less influence.
"""

import argparse
import math
import os
import statistics
import time
from functools import partial
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

from kerastuna.search.training.device import prepare_environment, software, use_device

prepare_environment("auto")  # before Keras is imported

import keras  # noqa: E402
import keras_tuner  # noqa: E402

from kerastuna.search.datasets.data import load_dataset  # noqa: E402
from kerastuna.search.training import engine as engines  # noqa: E402
from kerastuna.search.tuning.hyperparameters import declared_hyperparameters  # noqa: E402
from kerastuna.spaces.champions import NETWORKS  # noqa: E402
from kerastuna.spaces.convnet import ConvNet  # noqa: E402
from kerastuna.spaces.space import SearchSpace  # noqa: E402
from kerastuna.spaces.space_of_network import space_of  # noqa: E402


class Clock(keras.callbacks.Callback):
    """Measures every epoch: the seconds of the clock and of the processor."""

    def __init__(self) -> None:
        super().__init__()
        self.wall: list[float] = []
        self.processor: list[float] = []
        self.validating: list[float] = []  # of the clock, by `fit` alone

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.perf_counter(), time.process_time()

    def on_test_begin(self, logs: Any = None) -> None:
        self._test_began = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        self.validating.append(time.perf_counter() - self._test_began)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.wall.append(time.perf_counter() - self._began[0])
        self.processor.append(time.process_time() - self._began[1])


def point(network: str) -> tuple[SearchSpace, keras_tuner.HyperParameters]:
    """The space of a network, and its place in it."""
    if network != "small":
        known = space_of(NETWORKS[network])
        return known, declared_hyperparameters(known, NETWORKS[network].values)
    space, hyperparameters = ConvNet(), keras_tuner.HyperParameters()
    space.declare_hyperparameters(hyperparameters)
    values = {"blocks": 2, "block1_conv1": 8, "block2_conv1": 8, "head": "gap", "dropout": 0.0}
    hyperparameters.values = {hp.name: hp.default for hp in hyperparameters.space} | values
    return space, hyperparameters


def build(network: str) -> keras.Model:
    """The network from its first weights."""
    space, hyperparameters = point(network)
    keras.utils.set_random_seed(0)
    return space.build(hyperparameters)


def row(way: str, clock: Clock, first: int, compiling: str, history: keras.callbacks.History) -> None:
    """Print one line; the epochs before `first` are left out."""
    wall, processor = clock.wall[first:], clock.processor[first:]
    print(
        f"  {way:28}{statistics.median(wall):8.2f} s  ({min(wall):.2f} to {max(wall):.2f}, n {len(wall)})"
        f"{statistics.median(processor):10.2f} s processor   compiling {compiling:18}"
        f"loss {history.history['loss'][-1]:.3f}, val_accuracy {history.history['val_accuracy'][-1]:.3f}",
        flush=True,
    )


def price(validating: float, epoch: float, images: int) -> None:
    """Print what validating after every epoch costs, and how exact an accuracy it gives."""
    error = 100 * math.sqrt(0.98 * 0.02 / images)
    print(
        f"    validation {validating:.2f} s, {validating / epoch:.0%} of it; standard error {error:.2f} points at 98 %"
    )


def compare(network: str, data: dict[str, Any], batch: int, epochs: int, priced: bool) -> None:
    """Print a line for each way to train `network`; if `priced`, another for the price of validation."""
    validated = len(data["validation_data"][0])
    print(f"{network}, {build(network).count_params():,} parameters")
    clocks: list[Clock] = []
    for way, executions in (("fit", 1), ("fit, 10 steps an execution", 10)):
        model, clock = build(network), Clock()
        model.steps_per_execution = executions
        history = model.fit(
            **data,
            batch_size=batch,
            epochs=epochs,
            validation_batch_size=512,
            callbacks=[clock],
            verbose=0,  # pyright: ignore[reportArgumentType]
        )
        clocks.append(clock)
        compiling = clock.wall[0] - statistics.median(clock.wall[1:])
        row(way, clock, 1, f"{compiling:.1f} s", history)
        if priced:
            price(statistics.median(clock.validating[1:]), statistics.median(clock.wall[1:]), validated)
    engine = engines.engine_for(keras.backend.backend())
    if engine is None:
        if keras.backend.backend() == "tensorflow":
            compare_layers(network, data, epochs)
        return
    clock = Clock()
    history = engine.fit(build(network), **data, batch_size=batch, epochs=epochs, callbacks=[clock])
    params: Any = history.params
    seconds = params["trace_seconds"], params["compile_seconds"]
    row("compiled epoch", clock, 0, f"{seconds[0]:.1f} + {seconds[1]:.1f} s", history)
    if priced:
        without = Clock()
        engine.fit(build(network), data["x"], data["y"], batch_size=batch, epochs=epochs, callbacks=[without])
        whole = statistics.median(clock.wall)
        price(whole - statistics.median(without.wall), whole, validated)
    times = statistics.median(clocks[0].wall[1:]) / statistics.median(clock.wall)
    work = statistics.median(clocks[0].processor[1:]) / statistics.median(clock.processor)
    print(f"  the compiled epoch is {times:.2f} times as fast as fit; processor time {work:.2f} times less")


def compare_layers(network: str, data: dict[str, Any], epochs: int) -> None:
    """Print a line for `fit` by the recipe of `network` with Keras's layers, and one for `fit` as in a search."""
    space, hyperparameters = point(network)
    clocks: list[Clock] = []
    for way, train in (("recipe, Keras's layers", space.fit), ("recipe, as in a search", partial(engines.fit, space))):
        model, clock = build(network), Clock()
        history = train(hyperparameters, model, **data, epochs=epochs, callbacks=[clock], verbose=0)
        clocks.append(clock)
        row(way, clock, 1, f"{clock.wall[0] - statistics.median(clock.wall[1:]):.1f} s", history)
    wall, work = (
        statistics.median(kept[1:]) / statistics.median(quick[1:])
        for kept, quick in zip(*((clock.wall, clock.processor) for clock in clocks), strict=True)
    )
    print(f"  as in a search it is {wall:.2f} times as fast; processor time {work:.2f} times less")


def main() -> None:
    """Measure, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=4, help="of each way, at least 2")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--networks", nargs="+", default=["small", "eip_3"], help="small, or those of reproduce")
    parser.add_argument("--validation", type=int, help="images; prints what validating them costs")
    options = parser.parse_args()
    device = use_device("auto")
    print(f"{device.backend} on {device.name}; load of the machine {os.getloadavg()[0]:.1f}")
    print(software()["versions"])
    dataset = load_dataset("mnist", images=options.images)
    validated = options.validation or options.images // 4
    validation = dataset.x_validation[:validated], dataset.y_validation[:validated]
    data = {"x": dataset.x_train, "y": dataset.y_train, "validation_data": validation}
    print(f"{options.images:,} images, batches of {options.batch}, then {len(validation[0]):,} validated\n")
    for network in options.networks:
        compare(network, data, options.batch, options.epochs, options.validation is not None)


if __name__ == "__main__":
    main()
