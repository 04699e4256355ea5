"""What a call costs, and `eip_3` trained by JAX alone."""

import statistics
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from common import batch_size, hyperparameters, images, machine, seconds_of

from kerastuna.spaces.architecture import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dropout,
    Flatten,
    MaxPooling2D,
)
from kerastuna.spaces.convnet import ConvNet

import jax  # isort: skip
import jax.numpy as jnp  # isort: skip
from jax import lax  # isort: skip

EPSILON = 1e-3  # of BatchNormalization


def measurements(small: bool, out: Path) -> Iterator[dict[str, Any]]:
    yield machine()
    yield from _calls(50 if small else 1000)
    number, epochs = (128, 2) if small else (60_000, 20)
    x, y, source = images(number)
    training = BareTraining(x, y, batch_size())
    tracing, compiling = training.compile()
    epochs_seconds = [seconds_of(training.epoch) for _ in range(epochs)]
    yield {
        "what": "eip_3 in JAX alone, without validation",
        "images": number,
        "data": source,
        "trace_seconds": tracing,
        "compile_seconds": compiling,
        "epochs": epochs,
        "seconds": sum(epochs_seconds),
        "seconds_of_an_epoch": statistics.median(epochs_seconds),
        "last_loss": float(training.loss),
    }


def _calls(calls: int) -> Iterator[dict[str, Any]]:
    add = jax.jit(lambda value: value + 1)
    value = jax.block_until_ready(add(jnp.float32(0)))
    waited = [seconds_of(partial(add, value)) for _ in range(calls)]

    def in_a_row() -> Any:
        result = value
        for _ in range(calls):
            result = add(result)
        return result

    turns = 1000
    loop = jax.jit(lambda value: lax.scan(lambda carry, _: (carry * 1.0001 + 1, None), value, None, length=turns)[0])
    vector = jnp.ones(64)
    jax.block_until_ready(loop(vector))
    loops = [seconds_of(partial(loop, vector)) for _ in range(10)]
    yield {
        "what": "an empty call",
        "microseconds": 1e6 * statistics.median(waited),
        "microseconds_in_a_row": 1e6 * seconds_of(in_a_row) / calls,
        "microseconds_of_a_turn_of_scan": 1e6 * statistics.median(loops) / turns,
        "n": calls,
    }


class BareTraining:
    """`eip_3` with Adam, its layers written by hand; an epoch is one call."""

    def __init__(self, x: Any, y: Any, batch: int) -> None:
        self._layers = ConvNet().architecture(hyperparameters()).layers
        self._data = jax.device_put((x * 255).round().astype("uint8")), jax.device_put(y.astype("int32"))
        self._batch = batch
        self._state = self._start()
        self._number = 0
        self.loss: Any = None

    def compile(self) -> tuple[float, float]:
        """The seconds that tracing takes, and those that compiling takes."""
        began = time.perf_counter()
        lowered = jax.jit(self._epoch, donate_argnums=0).lower(self._state, 0, *self._data)
        traced = time.perf_counter()
        self._run = lowered.compile()
        return traced - began, time.perf_counter() - traced

    def epoch(self) -> Any:
        self._state, self.loss = self._run(self._state, self._number, *self._data)
        self._number += 1
        return self.loss

    def _start(self) -> Any:
        generator, weights, statistics_, channels = jax.random.key(0), [], [], 1
        for layer in self._layers:
            match layer:
                case Conv2D():
                    generator, key = jax.random.split(generator)
                    height, width = (
                        layer.kernel_size if isinstance(layer.kernel_size, tuple) else [layer.kernel_size] * 2
                    )
                    shape = (height, width, channels, layer.filters)
                    weights.append((jax.nn.initializers.glorot_uniform()(key, shape), jnp.zeros(layer.filters)))
                    channels = layer.filters
                case BatchNormalization():
                    weights.append((jnp.ones(channels), jnp.zeros(channels)))
                    statistics_.append((jnp.zeros(channels), jnp.ones(channels)))
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        return weights, statistics_, *zeros, jnp.int32(0)

    def _forward(self, weights: Any, means: Any, x: Any, key: Any) -> Any:
        weights, means, moved = iter(weights), iter(means), []
        for number, layer in enumerate(self._layers):
            match layer:
                case Conv2D():
                    kernel, bias = next(weights)
                    x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
                    x = x + bias
                    x = jax.nn.relu(x) if layer.activation == "relu" else x
                case BatchNormalization():
                    scale, offset = next(weights)
                    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
                    momentum, (old_mean, old_variance) = layer.momentum, next(means)
                    mixed = (
                        old_mean * momentum + mean * (1 - momentum),
                        old_variance * momentum + variance * (1 - momentum),
                    )
                    moved.append(mixed)
                    x = (x - mean) * lax.rsqrt(variance + EPSILON) * scale + offset
                case Dropout():
                    kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - layer.rate, x.shape)
                    x = jnp.where(kept, x / (1 - layer.rate), 0)
                case MaxPooling2D():
                    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
                case Flatten():
                    x = x.reshape(len(x), -1)
                case Activation():  # the softmax is in the loss
                    pass
                case _:
                    raise TypeError(f"{layer.kind} is not in eip_3")
        return x, moved

    def _epoch(self, state: Any, number: Any, images: Any, labels: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(1), number)
        steps = len(images) // self._batch
        order = jax.random.permutation(key, len(images))[: steps * self._batch].reshape(steps, self._batch)

        def step(state: Any, chosen: Any) -> Any:
            weights, means, first, second, done = state

            def loss_of(weights: Any) -> Any:
                x = images[chosen].astype(jnp.float32) / 255
                logits, moved = self._forward(weights, means, x, jax.random.fold_in(key, done))
                chances = jax.nn.log_softmax(logits)
                return -jnp.take_along_axis(chances, labels[chosen][:, None], 1).mean(), moved

            (loss, means), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights)
            done = done + 1
            first = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, first, gradients)
            second = jax.tree.map(lambda old, new: 0.999 * old + 0.001 * new * new, second, gradients)
            rate = 0.003 * jnp.sqrt(1 - 0.999**done) / (1 - 0.9**done)
            weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, first, second)
            return (weights, means, first, second, done), loss

        state, losses = lax.scan(step, state, order)
        return state, losses.mean()
