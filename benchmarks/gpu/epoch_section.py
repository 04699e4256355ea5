"""20 epochs of `eip_3` by the engine, and what compiling costs."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import batch_size, images, machine, network

from kerastuna.search.training.engine import keep_compiled_programs
from kerastuna.search.training.jax_engine import JaxEngine

import jax  # isort: skip
import keras  # isort: skip


class Clock(keras.callbacks.Callback):
    """The seconds of every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._began)


def measurements(small: bool, out: Path) -> Iterator[dict[str, Any]]:
    yield machine()
    number, epochs, validated = (200, 2, 100) if small else (60_000, 20, 10_000)
    x, y, source = images(number)
    with tempfile.TemporaryDirectory() as folder:
        keep_compiled_programs("jax", Path(folder))
        for cache in ("cold", "warm"):
            for validation in (None, (x[:validated], y[:validated])):
                clock, began = Clock(), time.perf_counter()
                model = network(small=small)
                building = time.perf_counter() - began
                history = JaxEngine().fit(
                    model, x, y, batch_size=batch_size(), epochs=epochs, validation_data=validation, callbacks=[clock]
                )
                params: Any = history.params
                yield {
                    "what": f"{'a small network' if small else 'eip_3'} by the engine",
                    "images": number,
                    "data": source,
                    "validated": 0 if validation is None else validated,
                    "compiled_programs": cache,
                    "build_seconds": building,
                    "trace_seconds": params["trace_seconds"],
                    "compile_seconds": params["compile_seconds"],
                    "epochs": epochs,
                    "seconds": sum(clock.seconds),
                    "seconds_of_an_epoch": statistics.median(clock.seconds),
                    "last_loss": history.history["loss"][-1],
                }
            jax.clear_caches()
