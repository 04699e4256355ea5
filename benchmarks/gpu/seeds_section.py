"""Several seeds of one network in one program, with grouped convolutions and with products of matrices."""

import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Form, batch_size, convolutions_as, images, machine, network

from kerastuna.search.training.jax_engine import make_variables, put, state_of
from kerastuna.search.training.jax_epoch import EpochProgram

import jax  # isort: skip
import jax.numpy as jnp  # isort: skip
import numpy as np  # isort: skip

FORMS: tuple[Form, ...] = ("convolution", "product")


def measurements(small: bool, out: Path) -> Iterator[dict[str, Any]]:
    yield machine()
    number, epochs = (200, 1) if small else (60_000, 2)
    x, y, source = images(number)
    for seeds, form in itertools.product((1, 2) if small else (1, 8), FORMS):
        told = {
            "what": "seeds of one network in one program",
            "seeds": seeds,
            "form": form,
            "images": number,
            "data": source,
        }
        try:
            yield told | _measured(x, y, seeds, form, epochs, small)
        except Exception as error:
            yield told | {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}


def _measured(x: Any, y: Any, seeds: int, form: Form, epochs: int, small: bool) -> dict[str, Any]:
    models = [network(seed, small) for seed in range(seeds)]
    for model in models:
        make_variables(model, x, y)
    states = [state_of(model) for model in models]
    state = jax.tree.map(lambda *parts: jnp.stack(parts), *states)
    data = put(x, y)
    program = EpochProgram(models[0], batch_size(), shuffle=True)
    every = jax.vmap(program.epoch, in_axes=(0, 0, None, None, None))
    numbers = np.arange(seeds, dtype=np.uint32)
    with convolutions_as(form):
        began = time.perf_counter()
        lowered = jax.jit(every, donate_argnums=0).lower(state, numbers, np.int32(0), data, None)
        traced = time.perf_counter()
        run = lowered.compile()
        compiled = time.perf_counter()
    spent: list[float] = []
    losses: Any = ()
    for epoch in range(epochs):
        began_epoch = time.perf_counter()
        state, metrics = run(state, numbers, np.int32(epoch), data, None)
        losses = jax.device_get(metrics["loss"])
        spent.append(time.perf_counter() - began_epoch)
    return {
        "trace_seconds": traced - began,
        "compile_seconds": compiled - traced,
        "seconds_of_an_epoch": statistics.median(spent),
        "images_a_second": seeds * len(x) / statistics.median(spent),
        "losses": [float(loss) for loss in np.ravel(losses)],
    }
