"""A recipe in Keras: the optimizer, the callbacks, and what a model does otherwise while it is trained by it.

Nothing of it is in a trained model: its file holds a Keras optimizer and the plain loss.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import floor
from typing import Any, final

import keras
import numpy as np

from .augmentation import DRAWS, Augmentation
from .changed_images import changed
from .errors import InputError
from .recipe import Recipe

LOSS = "sparse_categorical_crossentropy"


def optimizer_of(recipe: Recipe, model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer that trains `model`, which is built, by `recipe`."""
    averaging: dict[str, Any] = {"use_ema": True, "ema_momentum": recipe.averaging} if recipe.averaging else {}
    match recipe.optimizer:
        case "adam":
            return keras.optimizers.Adam(recipe.learning_rate, **averaging)
        case "adamw":
            optimizer = keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay, **averaging)
        case "sgd":
            decay = recipe.weight_decay or None
            optimizer = keras.optimizers.SGD(recipe.learning_rate, 0.9, nesterov=True, weight_decay=decay, **averaging)
    optimizer.exclude_from_weight_decay([weight for weight in model.trainable_variables if weight.name != "kernel"])
    return optimizer


def callbacks_of(recipe: Recipe, epochs: int, images: Any = None) -> list[keras.callbacks.Callback]:
    """What sets the learning rate, and puts averaged weights in their place, in a training of `epochs`.

    They come before all others, which then see the learning rate of an epoch and the weights that were validated.

    Args:
        images: of the training, an array, for the statistics of averaged weights; None where they are not needed.
    """
    averaged = [AveragedWeights(images)] if recipe.averaging else []
    return [*averaged, scheduler(recipe, epochs)]


def scheduler(recipe: Recipe, epochs: int) -> keras.callbacks.Callback:
    """Sets the learning rate of every epoch, or of every step, of a training of `epochs`."""
    if recipe.changes_within_epochs:
        return StepRates(recipe, epochs)
    return keras.callbacks.LearningRateScheduler(lambda epoch, _: recipe.learning_rate_at(epoch, epochs))


@final
class StepRates(keras.callbacks.Callback):
    """Sets the learning rate of every step. The one of an epoch, in its metrics, is that of its last step.

    The optimizer keeps a plain number, as without it: a schedule of our own would be part of the saved model.
    """

    def __init__(self, recipe: Recipe, epochs: int) -> None:
        super().__init__()
        self._recipe, self._epochs = recipe, epochs
        self._rates: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        steps = (self.params or {}).get("steps")
        if not steps:
            raise InputError(
                "the learning rate changes from step to step, and nobody knows how many steps an epoch has: give "
                "steps_per_epoch=, or data of a known length"
            )
        self._rates = self._recipe.learning_rates_in(epoch, self._epochs, steps)
        self.on_train_batch_begin(0)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        model: Any = self.model
        model.optimizer.learning_rate = self._rates[batch]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        model: Any = self.model
        if logs is not None:
            logs["learning_rate"] = float(np.asarray(model.optimizer.learning_rate))


@final
class AveragedWeights(keras.callbacks.Callback):
    """Exchanges the trained weights and their averages, which the optimizer has, after every epoch.

    From the validation of an epoch to the beginning of the next, and at the end, the model has the averages and the
    optimizer the trained weights. So nothing is lost for a training that goes on: its first epoch exchanges them back.

    Args:
        images: of the training, an array, which averages get their moving statistics from; None to leave these.
    """

    def __init__(self, images: Any = None) -> None:
        super().__init__()
        self._images = images
        self._has_averages: bool | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        model: Any = self.model
        if self._has_averages is None:
            self._has_averages = int(model.optimizer.iterations) > 0
        self._exchange(False)

    def on_test_begin(self, logs: Any = None) -> None:
        self._exchange(True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._exchange(True)

    def _exchange(self, averages: bool) -> None:
        if self._has_averages == averages:
            return
        model: Any = self.model
        for weight, average in zip(model.trainable_variables, averages_of(model.optimizer), strict=True):
            trained = np.array(weight)
            weight.assign(np.array(average))
            average.assign(trained)
        self._has_averages = averages
        if averages and self._images is not None:
            _see(model, self._images)


def averages_of(optimizer: Any) -> list[Any]:
    """The variables in which an optimizer keeps the averages of the weights, in their order; none without averages."""
    return [variable for variable in optimizer.variables if variable.name.endswith("_average")]


STATISTICS_BATCH_SIZE = 512


def images_for_statistics(count: int) -> np.ndarray:
    """Which of `count` training images averaged weights get their moving statistics from: 2,048, or all if fewer.

    Those of the trained weights do not fit the averages. The images are evenly spaced, since they may be sorted.
    """
    whole = min(count, 4 * STATISTICS_BATCH_SIZE)
    chosen = whole if whole < STATISTICS_BATCH_SIZE else whole // STATISTICS_BATCH_SIZE * STATISTICS_BATCH_SIZE
    return np.linspace(0, count, chosen, endpoint=False).astype(np.int32)


def samples_trained_on(samples: int, validation_split: float) -> int:
    """How many samples Keras's `fit` trains on with this `validation_split`: the first ones."""
    return floor(samples * (1.0 - validation_split))


def normalizations_of(model: keras.Model) -> list[Any]:
    """The layers with moving statistics."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


@contextmanager
def averaging_batches(layers: Sequence[Any], batches: Any) -> Iterator[None]:
    """Within the block, moving statistics become the mean of those of `batches` batches and of the next one."""
    before = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = batches / (batches + 1)
    try:
        yield
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum


@contextmanager
def leaving_out_samples(layers: Sequence[Any], in_use: Any) -> Iterator[None]:
    """Within the block, normalizations take the statistics of a batch from some of its samples alone.

    Args:
        layers: the normalizations, of the last axis.
        in_use: (batch,), whether a sample counts.
    """
    shares: Any = keras.ops.cast(in_use, "float32")
    shares = keras.ops.reshape(shares / keras.ops.sum(shares), (-1, 1))

    # In place of a private method: a mask, which is Keras's way, costs a pass over every activation.
    def moments(inputs: Any, mask: Any) -> tuple[Any, Any]:
        def mean(values: Any) -> Any:  # first of each sample, which costs as much as without `in_use`
            return keras.ops.sum(shares * keras.ops.mean(values, axis=range(1, len(inputs.shape) - 1)), axis=0)

        center = mean(inputs)
        return center, mean(keras.ops.square(inputs - center))

    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_replaced(layer, {"_moments": moments}))
        yield


def _see(model: Any, images: Any) -> None:
    """Give `model` the moving statistics that its weights have on `images`, and leave all else as it is."""
    if not (layers := normalizations_of(model)):
        return
    moving = {id(variable) for layer in layers for variable in layer.non_trainable_variables}
    others = [variable for variable in model.non_trainable_variables if id(variable) not in moving]
    before = [np.array(variable) for variable in others]
    chosen = images_for_statistics(len(images))
    for batches, start in enumerate(range(0, len(chosen), STATISTICS_BATCH_SIZE)):
        with averaging_batches(layers, batches):
            part = chosen[start : start + STATISTICS_BATCH_SIZE]
            is_array = isinstance(images, np.ndarray)  # tensors of TensorFlow take no array of indices
            model(images[part] if is_array else keras.ops.take(images, part, axis=0), training=True)
    for variable, value in zip(others, before, strict=True):  # seeds of dropout
        variable.assign(value)


@contextmanager
def trained_by(recipe: Recipe, model: keras.Model, augmentation: Augmentation | None) -> Iterator[None]:
    """Within the block, `model` is trained with the loss of `recipe`, and its averaged weights are left to a callback.

    Args:
        augmentation: what a training step of Keras's `fit` does to its images; None for nothing.

    Raises InputError where the recipe averages weights and the optimizer of `model` is another one, which does not.
    """
    optimizer: Any = model.optimizer
    if recipe.averaging and not getattr(getattr(optimizer, "inner_optimizer", optimizer), "use_ema", False):
        raise InputError(
            f"averaging={recipe.averaging}: the optimizer {type(optimizer).__name__}, which replaces the recipe's, "
            "averages no weights: give it use_ema=True, or leave it out"
        )
    methods: dict[str, Any] = {}
    if recipe.label_smoothing:
        methods["compute_loss"] = _smoothed_loss(model, recipe.label_smoothing)
    if augmentation is not None and (augmentation.moves or augmentation.lights):
        # As for the engine: a seed of the whole training, from the generator that `set_random_seed` sets.
        methods["train_step"] = _augmented_step(model, augmentation, int(np.random.randint(2**31)))
    of_optimizer = {"finalize_variable_values": lambda variables: None} if recipe.averaging else {}
    with _replaced(model, methods), _replaced(optimizer, of_optimizer):
        if methods:
            model.train_function = None  # compiled with other methods
        try:
            yield
        finally:
            if methods:
                model.train_function = None


@contextmanager
def _replaced(owner: Any, methods: Mapping[str, Any]) -> Iterator[None]:
    """Within the block, `owner` has these methods in place of those of its own or of its class."""
    before = {name: vars(owner)[name] for name in methods if name in vars(owner)}
    for name, method in methods.items():
        setattr(owner, name, method)
    try:
        yield
    finally:
        for name in methods:
            if name in before:
                setattr(owner, name, before[name])
            else:
                delattr(owner, name)


def _smoothed_loss(model: Any, share: float) -> Callable[..., Any]:
    """`compute_loss` with smoothed labels in training, and with plain ones in validation."""
    plain = model.compute_loss
    smoothed = keras.losses.CategoricalCrossentropy(label_smoothing=share)

    def compute_loss(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ):
        if not training:
            return plain(x, y, y_pred, sample_weight, training=False)
        labels = keras.ops.cast(keras.ops.reshape(y, (-1,)), "int32")
        return smoothed(keras.ops.one_hot(labels, y_pred.shape[-1]), y_pred, sample_weight)

    return compute_loss


def _augmented_step(model: Any, augmentation: Augmentation, seed: int) -> Callable[..., Any]:
    """`train_step` with changed images. What it draws is a function of the seed and of the steps that were done."""
    plain, optimizer = model.train_step, model.optimizer

    def train_step(*arguments: Any) -> Any:
        *state, data = arguments  # on JAX, the first argument is the state of the model
        steps = optimizer.iterations
        if state:
            of_optimizer = zip(optimizer.variables, state[0][2], strict=True)
            steps = next(value for variable, value in of_optimizer if variable is steps)
        x, *rest = data
        shape: Any = keras.ops.shape(x)
        return plain(*state, (changed(x, augmentation, draws_of(seed, steps, shape[0])), *rest))

    return train_step


def draws_of(seed: Any, step: Any, images: Any) -> Any:
    """float32 (images, DRAWS), evenly from 0 to 1: a function of the seed and the number of the step.

    Raises InputError on other backends than TensorFlow and JAX.
    """
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return tf.random.stateless_uniform((images, DRAWS), tf.stack([seed, tf.cast(step, tf.int32)]))
        case "jax":
            import jax

            key = jax.random.fold_in(jax.random.key(seed), 2**32 - 1)  # the first ones are those of the orders
            return jax.random.uniform(jax.random.fold_in(key, step), (images, DRAWS))
        case other:
            raise InputError(f"an augmentation runs on TensorFlow and JAX, not on {other}: use one of these backends")
