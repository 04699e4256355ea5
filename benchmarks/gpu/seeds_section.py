"""Several seeds of one network in one program, with grouped convolutions and with products of matrices."""

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from common import batch_size, images, machine, network

from kerastuna.search.training import jax_engine

import jax  # isort: skip
import jax.numpy as jnp  # isort: skip
import numpy as np  # isort: skip

_convolution = jax.lax.conv_general_dilated


def measurements(small: bool, out: Path) -> Iterator[dict[str, Any]]:
    yield machine()
    number, epochs = (200, 1) if small else (60_000, 2)
    x, y, source = images(number)
    for seeds, form in itertools.product((1, 2) if small else (1, 4, 16), ("convolution", "product")):
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


def _measured(x: Any, y: Any, seeds: int, form: str, epochs: int, small: bool) -> dict[str, Any]:
    models = [network(seed, small) for seed in range(seeds)]
    for model in models:
        jax_engine.make_variables(model, x, y)
    states = [jax_engine.state_of(model) for model in models]
    state = jax.tree.map(lambda *parts: jnp.stack(parts), *states)
    data = jax_engine.put(x, y)
    program = jax_engine.EpochProgram(models[0], batch_size(), shuffle=True)
    every = jax.vmap(program.epoch, in_axes=(0, 0, None, None, None))
    numbers = np.arange(seeds, dtype=np.uint32)
    with patch.object(jax.lax, "conv_general_dilated", as_product) if form == "product" else nullcontext():
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


def as_product(
    images: Any,
    kernel: Any,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any = None,
    rhs_dilation: Any = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    **parameters: Any,
) -> Any:
    """A convolution as the product of shifted images, side by side, and the kernel as a matrix (im2col).

    Batched over models, it is a product of batches of matrices, forwards and backwards. Takes batch, rows, columns,
    channels and a kernel of rows, columns, inputs, outputs; others are left to XLA.
    """
    rows, columns, inputs, outputs = kernel.shape
    plain = feature_group_count == 1 and set(rhs_dilation or (1, 1)) == {1} and not lhs_dilation
    if not plain or images.shape[-1] != inputs:
        return _convolution(
            images,
            kernel,
            window_strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            dimension_numbers=dimension_numbers,
            feature_group_count=feature_group_count,
            **parameters,
        )
    down, right = window_strides
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(images.shape[1:3], (rows, columns), window_strides, padding)
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    height, width = (
        (side - window) // step + 1
        for side, window, step in zip(padded.shape[1:3], (rows, columns), window_strides, strict=True)
    )
    shifted = [
        padded[:, row : row + down * (height - 1) + 1 : down, column : column + right * (width - 1) + 1 : right]
        for row in range(rows)
        for column in range(columns)
    ]
    return jnp.concatenate(shifted, -1) @ kernel.reshape(rows * columns * inputs, outputs)
