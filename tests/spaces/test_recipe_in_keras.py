"""Training by a recipe: what Keras's `fit` does, what it tells, and what is left in the model."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, final

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from kerastuna.spaces.architecture import Architecture, BatchNormalization, Conv2D, Dense, Flatten
from kerastuna.spaces.augmentation import DRAWS, Augmentation
from kerastuna.spaces.errors import InputError
from kerastuna.spaces.recipe import Recipe
from kerastuna.spaces.recipe_in_keras import (
    AveragedWeights,
    averages_of,
    draws_of,
    images_for_statistics,
    leaving_out_samples,
)
from kerastuna.spaces.space import SearchSpace

HP = keras_tuner.HyperParameters()
X = np.random.default_rng(0).random((20, 6, 5, 1), np.float32)
Y = np.arange(20) % 3
EVERYTHING = Recipe(
    learning_rate=0.01,
    batch_size=8,
    decay="one_cycle",
    warm_up=0.3,
    optimizer="sgd",
    weight_decay=0.01,
    label_smoothing=0.1,
    averaging=0.9,
    augmentation=Augmentation(rotation=20, shift=0.1, contrast=0.2),
)


@final
class Fixed(SearchSpace):
    """One small network, and a recipe."""

    def __init__(self, recipe: Recipe, convolution: bool = False) -> None:
        super().__init__((6, 5, 1), 3)
        self._recipe, self._convolution = recipe, convolution

    def architecture(self, hp: Any) -> Architecture:
        body = (Conv2D(2), BatchNormalization()) if self._convolution else ()
        return Architecture(self.input_shape, (*body, Flatten(), Dense(3, activation="softmax")))

    def recipe(self, hp: Any) -> Recipe:
        return self._recipe


def built(recipe: Recipe, convolution: bool = False) -> Any:
    keras.utils.set_random_seed(3)
    return Fixed(recipe, convolution).build(HP)


def trained(recipe: Recipe, model: Any = None, **given: Any) -> tuple[Any, dict[str, list[float]]]:
    model = model or built(recipe)
    arguments: dict[str, Any] = {"epochs": 2, "verbose": 0, "shuffle": False, "validation_data": (X, Y)} | given
    return model, Fixed(recipe).fit(HP, model, X, Y, **arguments).history


@pytest.mark.parametrize(
    ("recipe", "kind", "config"),
    [
        (Recipe(0.01, 8), keras.optimizers.Adam, {"weight_decay": None, "use_ema": False}),
        (Recipe(0.01, 8, optimizer="adamw", weight_decay=0.02), keras.optimizers.AdamW, {"weight_decay": 0.02}),
        (Recipe(0.01, 8, optimizer="sgd"), keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
        (Recipe(0.01, 8, averaging=0.95), keras.optimizers.Adam, {"use_ema": True, "ema_momentum": 0.95}),
    ],
)
def test_the_optimizer_of_a_recipe(recipe: Recipe, kind: type, config: dict[str, Any]):
    optimizer = built(recipe).optimizer
    assert type(optimizer) is kind
    assert optimizer.get_config().items() >= config.items()


@pytest.mark.usefixtures("eager")
def test_kernels_decay_and_nothing_else():
    recipe = Recipe(0.1, 8, optimizer="sgd", weight_decay=0.5)
    model = built(recipe, convolution=True)
    before = {variable.path: np.array(variable) for variable in model.trainable_variables}
    zeros = [keras.ops.zeros(variable.shape) for variable in model.trainable_variables]
    for variable in model.trainable_variables:
        variable.assign(np.array(variable) + 1)
    model.optimizer.apply(zeros, model.trainable_variables)
    for variable in model.trainable_variables:
        factor = 0.95 if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable, factor * (before[variable.path] + 1), rtol=1e-6)
    assert {variable.name for variable in model.trainable_variables} == {"kernel", "bias", "gamma", "beta"}


@pytest.mark.usefixtures("eager")
def test_the_learning_rate_of_every_step():
    recipe = Recipe(0.01, 8, "one_cycle", warm_up=0.5, end_factor=0.1)
    seen: list[float] = []
    model = built(recipe)
    noting = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(float(model.optimizer.learning_rate))
    )
    _, history = trained(recipe, model, callbacks=[noting])
    assert seen == pytest.approx([rate for epoch in (0, 1) for rate in recipe.learning_rates_in(epoch, 2, steps=3)])
    assert len(set(seen)) == 6
    assert history["learning_rate"] == pytest.approx([seen[2], seen[5]])


@pytest.mark.usefixtures("eager")
def test_a_training_that_goes_on_has_the_learning_rates_of_its_epochs():
    recipe = Recipe(0.01, 8, "one_cycle", warm_up=0.5)
    _, history = trained(recipe, initial_epoch=1)
    assert history["learning_rate"] == pytest.approx([recipe.learning_rates_in(1, 2, steps=3)[-1]])


@pytest.mark.usefixtures("eager")
def test_steps_that_nobody_can_count_are_refused_in_one_line():
    recipe = Recipe(0.01, 8, "one_cycle", warm_up=0.5)
    endless = tf.data.Dataset.from_generator(
        lambda: iter([(X, Y)]), output_signature=(tf.TensorSpec((20, 6, 5, 1)), tf.TensorSpec((20,), tf.int64))
    )
    with pytest.raises(InputError, match=r"^the learning rate changes from step to step.*steps_per_epoch=.*$"):
        Fixed(recipe).fit(HP, built(recipe), endless, shuffle=False, verbose=0)


@pytest.mark.parametrize("weights", [None, np.linspace(0, 2, 20).astype(np.float32)])
def test_labels_are_smoothed_in_training_alone(weights: Any):
    recipe = Recipe(1e-9, 20, label_smoothing=0.3)
    model, history = trained(recipe, epochs=1, sample_weight=weights)
    answers = np.log(model.predict(X, verbose=0))
    smoothed = -(0.7 * answers[np.arange(20), Y] + 0.3 * answers.mean(axis=1))
    assert history["loss"] == pytest.approx([np.mean(smoothed * (1 if weights is None else weights))], rel=1e-5)
    assert history["val_loss"] == pytest.approx([-np.mean(answers[np.arange(20), Y])], rel=1e-5)
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(history["val_loss"][0], rel=1e-5)


def test_averages_are_validated_seen_by_callbacks_and_kept():
    recipe = Recipe(0.05, 8, averaging=0.9)
    plain = Recipe(0.05, 8)
    steps: list[list[np.ndarray]] = []

    def noting(model: Any, then: list[list[np.ndarray]]) -> keras.callbacks.Callback:
        return keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: then.append(model.get_weights()))

    raw = built(plain)
    trained(plain, raw, callbacks=[noting(raw, steps)])
    expected = steps[0]
    losses = []
    for step, weights in enumerate(steps):
        expected = [0.9 * mean + 0.1 * new for mean, new in zip(expected, weights, strict=True)] if step else weights
        if step in (2, 5):  # the last one of an epoch
            other = built(plain)
            other.set_weights(expected)
            losses.append(other.evaluate(X, Y, verbose=0)[0])

    model, seen, own = built(recipe), [], list[list[np.ndarray]]()
    ends = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))
    _, history = trained(recipe, model, callbacks=[ends, noting(model, own)])

    assert history["val_loss"] == pytest.approx(losses, rel=1e-5)
    for found, means in ((own[-1], steps[-1]), (model.get_weights(), expected), (seen[-1], expected)):
        for one, other in zip(found, means, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.usefixtures("eager")
def test_a_training_with_averages_can_go_on_from_its_variables():
    recipe = Recipe(0.05, 8, averaging=0.9)
    whole, _ = trained(recipe, epochs=3)
    first, _ = trained(recipe, epochs=2)
    second = built(recipe)
    second.optimizer.build(second.trainable_variables)
    for one, other in ((first, second), (first.optimizer, second.optimizer)):
        for variable, same in zip(one.variables, other.variables, strict=True):
            same.assign(np.array(variable))
    trained(recipe, second, epochs=3, initial_epoch=2)
    for one, other in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_moving_statistics_fit_the_averages():
    recipe = Recipe(0.05, 8, averaging=0.9)
    model = built(recipe, convolution=True)
    Fixed(recipe).fit(HP, model, X, Y, epochs=1, verbose=0)
    convolution, normalization = model.layers[:2]
    seen = np.asarray(convolution(X))
    np.testing.assert_allclose(normalization.moving_mean, seen.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(normalization.moving_variance, seen.var(axis=(0, 1, 2)), rtol=0.01)
    assert normalization.momentum == built(recipe, convolution=True).layers[1].momentum


@pytest.mark.parametrize("kind", [np.asarray, tf.constant])
def test_moving_statistics_have_nothing_of_images_that_are_held_out(kind: Any):
    recipe = Recipe(0.05, 8, averaging=0.9)
    far = np.concatenate([X[:14], X[14:] + 50])
    model = built(recipe, convolution=True)
    Fixed(recipe).fit(HP, model, kind(far), Y, validation_split=0.3, epochs=1, verbose=0)
    convolution, normalization = model.layers[:2]
    seen = np.asarray(convolution(X[:14]))
    np.testing.assert_allclose(normalization.moving_mean, seen.mean(axis=(0, 1, 2)), atol=1e-5)


@pytest.mark.parametrize(("count", "chosen"), [(20, 20), (1_300, 1_024), (60_000, 2_048)])
def test_images_for_statistics_are_evenly_spaced(count: int, chosen: int):
    found = images_for_statistics(count)
    assert len(found) == len(set(found)) == chosen
    assert (found[0], found[-1]) == (0, int((chosen - 1) * count / chosen))


def test_an_optimizer_that_averages_nothing_is_refused():
    model = built(recipe := Recipe(0.05, 8, averaging=0.9))
    model.compile("sgd", model.loss)  # as the tuner does when it is given an optimizer
    with pytest.raises(InputError, match=r"^averaging=0.9: the optimizer SGD, which replaces .*$"):
        trained(recipe, model)


def test_the_averages_are_found_in_the_optimizer():
    model = built(Recipe(0.01, 8, averaging=0.9), convolution=True)
    model.optimizer.build(model.trainable_variables)
    found = averages_of(model.optimizer)
    assert [average.shape for average in found] == [weight.shape for weight in model.trainable_variables]
    assert averages_of(built(Recipe(0.01, 8)).optimizer) == []
    assert isinstance(AveragedWeights(), keras.callbacks.Callback)


def test_images_are_changed_in_training_alone_and_by_the_seed():
    still = Recipe(1e-9, 8)
    turning = Recipe(1e-9, 8, augmentation=Augmentation(rotation=90, shift=0.3, brightness=0.2))
    _, plain = trained(still)
    model, history = trained(turning)
    _, again = trained(turning)
    assert history == again
    assert len({*plain["loss"], *history["loss"]}) >= 3  # anew in every epoch; plain ones differ by rounding at most
    assert abs(history["loss"][0] - history["loss"][1]) > 1e-4
    assert history["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-5)
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(plain["val_loss"][0], rel=1e-5)


def test_what_is_drawn_is_a_function_of_the_seed_and_the_step():
    first = np.asarray(draws_of(3, 5, 4))
    assert first.shape == (4, DRAWS)
    assert np.array_equal(first, draws_of(3, 5, 4))
    assert not np.array_equal(first, draws_of(3, 6, 4))
    assert not np.array_equal(first, draws_of(4, 5, 4))
    assert 0 <= first.min() < first.max() < 1


def test_nothing_of_a_training_is_left_in_the_model_or_its_file(tmp_path: Path):
    model, _ = trained(EVERYTHING, epochs=1)
    before = {"train_step", "compute_loss", "finalize_variable_values"}
    assert not before & (vars(model).keys() | vars(model.optimizer).keys())
    path = tmp_path / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        assert "kerastuna" not in archive.read("config.json").decode()
    np.save(tmp_path / "x.npy", X)
    program = (
        "import sys, json, warnings, keras, numpy as np\nwarnings.simplefilter('error')\n"
        f"model = keras.saving.load_model({str(path)!r}, safe_mode=True)\n"
        f"answers = model.predict(np.load({str(tmp_path / 'x.npy')!r}), verbose=0).tolist()\n"
        "print(json.dumps(['kerastuna' in sys.modules, answers]))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    imported, answers = json.loads(result.stdout.splitlines()[-1])
    assert not imported
    np.testing.assert_allclose(answers, model.predict(X, verbose=0), atol=1e-6)
    model.fit(X, Y, verbose=0)  # by Keras alone, with the plain loss
    assert "compute_loss" not in vars(model)


def test_normalizations_can_leave_out_samples():
    images = np.random.default_rng(0).normal(size=(6, 3, 2, 1)).astype("float32")
    for shape in ((3, 2, 1), (6,)):
        given = images.reshape(6, *shape)
        layers = [keras.layers.BatchNormalization(momentum=0.5) for _ in range(2)]
        for layer in layers:
            layer.build((None, *shape))
        alone = layers[0](given[:4], training=True)
        with leaving_out_samples([layers[1]], np.arange(6) < 4):
            among = layers[1](given, training=True)
        np.testing.assert_allclose(alone, among[:4], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layers[0].get_weights(), layers[1].get_weights(), rtol=1e-5, atol=1e-6)
        assert "_moments" not in vars(layers[1])
