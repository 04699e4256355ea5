"""20 epochs of `eip_3` by the engine, and what compiling costs; then Keras's own `fit` on JAX."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Form, batch_size, convolutions_as, images, machine, network

from kerastuna.search.training.engine import keep_compiled_programs
from kerastuna.search.training.jax_engine import JaxEngine
from kerastuna.spaces.space import VALIDATION_BATCH_SIZE

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
    data = {"images": number, "data": source}
    validation = (x[:validated], y[:validated])
    with tempfile.TemporaryDirectory() as folder:
        keep_compiled_programs("jax", Path(folder))
        runs: tuple[tuple[str, Form, Any, int], ...] = (
            ("cold", "convolution", None, epochs),
            ("cold", "convolution", validation, epochs),
            ("warm", "convolution", validation, 2),
            ("cold", "product", validation, epochs),
        )
        for cache, form, seen, number_of_epochs in runs:
            told = {"validated": 0 if seen is None else validated, "compiled_programs": cache}
            yield data | told | by_the_engine(x, y, seen, number_of_epochs, form, small)
            jax.clear_caches()
    yield data | _by_fit(x, y, validation, small) | {"validated": validated}


def by_the_engine(x: Any, y: Any, validation: Any, epochs: int, form: Form, small: bool) -> dict[str, Any]:
    """What the engine takes for the network."""
    clock, began = Clock(), time.perf_counter()
    model = network(small=small)
    building = time.perf_counter() - began
    with convolutions_as(form):
        history = JaxEngine().fit(
            model, x, y, batch_size=batch_size(), epochs=epochs, validation_data=validation, callbacks=[clock]
        )
    params: Any = history.params
    return {
        "what": f"{_name(small)} by the engine",
        "form": form,
        "build_seconds": building,
        "trace_seconds": params["trace_seconds"],
        "compile_seconds": params["compile_seconds"],
        "epochs": epochs,
        "seconds": sum(clock.seconds),
        "seconds_of_an_epoch": statistics.median(clock.seconds),
        "last_loss": history.history["loss"][-1],
    }


def _by_fit(x: Any, y: Any, validation: Any, small: bool) -> dict[str, Any]:
    """Keras's `fit`: its first epoch compiles, the others are measured. It validates in batches as the engine does."""
    clock, model = Clock(), network(small=small)
    model.fit(
        x,
        y,
        batch_size=batch_size(),
        epochs=4,
        validation_data=validation,
        validation_batch_size=VALIDATION_BATCH_SIZE,
        verbose="0",
        callbacks=[clock],
    )
    first, *others = clock.seconds
    return {
        "what": f"{_name(small)} by Keras's fit",
        "first_epoch_seconds": first,
        "epochs": len(others),
        "seconds_of_an_epoch": statistics.median(others),
    }


def _name(small: bool) -> str:
    return "a small network" if small else "eip_3"
