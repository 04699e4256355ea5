"""An epoch with its validation as one function that JAX compiles, with loops on the device."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, final

import jax  # an extra
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax

from ...spaces.augmentation import Augmentation
from ...spaces.changed_images import changed
from ...spaces.recipe_in_keras import (
    STATISTICS_BATCH_SIZE,
    averages_of,
    averaging_batches,
    draws_of,
    images_for_statistics,
    leaving_out_samples,
    normalizations_of,
)
from ...spaces.space import VALIDATION_BATCH_SIZE
from .jax_convolutions import with_canonical_convolutions
from .jax_data import OnDevice

State = dict[str, list[Any]]
"""The values of a model's variables: "trainable", "non_trainable" (moving statistics and seeds) and "optimizer"."""
Pair = tuple[OnDevice, OnDevice]
"""Samples and targets."""


@final
@dataclass(frozen=True)
class EpochProgram:
    """The function that is compiled: from the state of a model to its state after an epoch, and the metrics.

    All steps run the same code, since a second copy for the last batch would take as long to compile. So the last
    batch, of what is left, is filled up with samples that its loss, its metrics and its normalizations leave out.
    """

    model: keras.Model
    batch_size: int
    shuffle: bool
    augmentation: Augmentation | None = None

    def epoch(
        self, state: State, seed: Any, number: Any, train: Pair, validation: Pair | None, rates: Any = None
    ) -> Any:
        """One epoch, of this number from 0; `rates` are the learning rates of its steps."""
        samples = len(train[0])
        order = jnp.arange(samples)
        if self.shuffle:
            order = jax.random.permutation(jax.random.fold_in(jax.random.key(seed), number), order)
        size = min(self.batch_size, samples)
        batches, counts = _filled_up(order, size)
        steps = len(batches)
        step = self._step(size, every_batch_is_full=samples % size == 0)

        def train_on(state: State, given: Any) -> Any:
            chosen, count, done = given
            x, y = (part[chosen] for part in train)
            if self.augmentation is not None:
                x = changed(x, self.augmentation, draws_of(seed, number * steps + done, len(x)))
            if rates is not None:
                state = _with_rate(self.model.optimizer, state, rates[done])
            return step(state, x, y, count)

        state, (losses, answers) = lax.scan(train_on, state, (batches, counts, jnp.arange(steps)))
        loss = jnp.sum(losses * counts) / samples
        metrics = _metrics(self.model, train[1][order], _joined(answers, samples), loss)
        if averages := _averages(self.model, state):
            state = _with_statistics(self.model, averages, state, train[0])
        if validation is not None:
            found = _validate(self.model, averages or state["trainable"], state["non_trainable"], validation)
            metrics |= {f"val_{name}": value for name, value in found.items()}
        return state, metrics

    def _step(self, size: int, every_batch_is_full: bool) -> Callable[..., Any]:
        """A training step: from a state, a batch and the number of its samples to a state, the loss and the answers."""
        model = self.model
        layers = normalizations_of(model)

        def step(state: State, x: Any, y: Any, count: Any) -> Any:
            in_use = jnp.arange(size) < count
            # With these weights, the mean of the whole batch is that of the samples in use.
            weights = None if every_batch_is_full else jnp.where(in_use, size / count, 0)

            def loss_of(trainable: Any, others: Any) -> Any:
                with nullcontext() if every_batch_is_full else leaving_out_samples(layers, in_use):
                    answers, others, *_ = model.stateless_call(trainable, others, x, training=True)
                loss, *_ = model.stateless_compute_loss(
                    trainable,
                    others,
                    _metrics_variables(model),
                    x=x,
                    y=y,
                    y_pred=answers,
                    sample_weight=weights,
                    training=True,
                )
                with keras.StatelessScope(list(zip(model.optimizer.variables, state["optimizer"], strict=True))):
                    scaled = model.optimizer.scale_loss(loss)  # in half precision; it divides the gradients again
                return scaled, (loss, others, answers)

            gradient_of = jax.grad(loss_of, has_aux=True)
            gradients, (loss, others, answers) = gradient_of(state["trainable"], state["non_trainable"])
            trainable, optimizer = model.optimizer.stateless_apply(state["optimizer"], gradients, state["trainable"])
            return {"trainable": trainable, "non_trainable": others, "optimizer": optimizer}, (loss, answers)

        return with_canonical_convolutions(step) if jax.default_backend() == "cpu" else step


def _filled_up(order: Any, size: int) -> tuple[Any, Any]:
    """`order` in batches, the last one filled up with its first samples, and the number of samples of each."""
    steps = -(-len(order) // size)
    counts = np.full(steps, size, np.int32)
    counts[-1] -= steps * size - len(order)
    return jnp.resize(order, (steps, size)), jnp.asarray(counts)


def _joined(batches: Any, samples: int) -> Any:
    return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:])[:samples], batches)


def _with_rate(optimizer: Any, state: State, rate: Any) -> State:
    """The state of a model with this learning rate."""
    values = zip(optimizer.variables, state["optimizer"], strict=True)
    rated = [rate if variable is optimizer.learning_rate else value for variable, value in values]
    return {**state, "optimizer": rated}


def _metrics_variables(model: keras.Model) -> list[Any]:
    """Of metrics that have not seen a sample."""
    return [np.asarray(variable.value) for variable in model.metrics_variables]


def _metrics(model: keras.Model, y: Any, answers: Any, loss: Any) -> dict[str, Any]:
    """The metrics as Keras reports them, with the loss."""
    with keras.StatelessScope(list(zip(model.metrics_variables, _metrics_variables(model), strict=True))):
        return model.compute_metrics(None, y, answers) | {"loss": loss}


def _averages(model: keras.Model, state: State) -> list[Any]:
    """The values of the averaged weights; none where the optimizer has none."""
    averages = {id(average) for average in averages_of(model.optimizer)}
    values = zip(model.optimizer.variables, state["optimizer"], strict=True)
    return [value for variable, value in values if id(variable) in averages]


def _with_statistics(model: keras.Model, weights: list[Any], state: State, images: OnDevice) -> State:
    """The state of a model with the moving statistics that these weights have on training images."""
    if not (layers := normalizations_of(model)):
        return state
    chosen = jnp.asarray(images_for_statistics(len(images)))
    batches = chosen.reshape(-1, min(STATISTICS_BATCH_SIZE, len(chosen)))

    def see(others: Any, given: Any) -> Any:
        batch, done = given
        with averaging_batches(layers, done):
            return model.stateless_call(weights, others, images[batch], training=True)[1], None

    before = state["non_trainable"]
    after, _ = lax.scan(see, before, (batches, jnp.arange(len(batches))))
    moving = {id(variable) for layer in layers for variable in layer.non_trainable_variables}
    values = zip(model.non_trainable_variables, before, after, strict=True)
    return {**state, "non_trainable": [new if id(variable) in moving else old for variable, old, new in values]}


def _validate(model: keras.Model, weights: list[Any], others: list[Any], data: Pair) -> dict[str, Any]:
    x, y = data
    samples = len(x)
    batches, _ = _filled_up(jnp.arange(samples), min(VALIDATION_BATCH_SIZE, samples))
    answers = lax.map(lambda batch: model.stateless_call(weights, others, x[batch], training=False)[0], batches)
    answers, targets = _joined(answers, samples), y[jnp.arange(samples)]
    loss, *_ = model.stateless_compute_loss(
        weights, others, _metrics_variables(model), y=targets, y_pred=answers, training=False
    )
    return _metrics(model, targets, answers, loss)
