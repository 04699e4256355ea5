"""The compiled epoch on JAX does what Keras's `fit` does; all of it in one process of its own."""

import json
import math
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support import script_environment

from kerastuna.search.workers.plan import compilation_environment

EPOCHS = 4
BATCH = 16


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process with Keras on JAX saw."""
    folder = tmp_path_factory.mktemp("jax")
    result = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env=script_environment(
            KERAS_BACKEND="jax", JAX_PLATFORMS="cpu", **compilation_environment(folder / "same programs")
        ),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr
    return json.loads((folder / "seen.json").read_text())


def largest_difference(first: Any, second: Any) -> float:
    """Between two trees of numbers of the same structure."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        return max(largest_difference(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return max((largest_difference(*pair) for pair in zip(first, second, strict=True)), default=0.0)
    return abs(first - second)


@pytest.mark.parametrize("network", ["convolutions", "depthwise", "dense"])
def test_every_step_has_the_metrics_of_fit(seen, network: str):
    fit, engine = seen["steps"][network]["fit"], seen["steps"][network]["engine"]
    assert len(fit["history"]["loss"]) == EPOCHS  # an epoch is one step here
    assert set(fit["history"]) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert largest_difference(fit["history"], engine["history"]) < 1e-5
    assert len(set(fit["history"]["loss"])) == EPOCHS
    assert largest_difference(fit["weights"], engine["weights"]) < 1e-4  # Adam divides by gradients near 0


def test_these_networks_have_every_layer_of_the_spaces(seen):
    import kerastuna.spaces.layers as layers
    from kerastuna.spaces.layer_base import Layer

    kinds = {name for name, kind in vars(layers).items() if isinstance(kind, type) and issubclass(kind, Layer)}
    kinds -= {"Layer", "Window", "SameShape", "_Pooling"}
    assert {kind for network in seen["steps"].values() for kind in network["layers"]} == kinds - {"Dropout"}


def test_an_epoch_with_a_smaller_last_batch_and_its_validation_are_those_of_fit(seen):
    fit, engine = seen["rest"]["fit"], seen["rest"]["engine"]
    assert largest_difference(fit["history"], engine["history"]) < 1e-5
    assert largest_difference(fit["weights"], engine["weights"]) < 1e-4
    assert fit["iterations"] == engine["iterations"] == EPOCHS * 4


@pytest.mark.parametrize("name", ["adamw", "sgd", "averaged", "smoothed"])
def test_every_recipe_has_the_numbers_of_fit(seen, name: str):
    fit, engine = seen["recipes"][name]["fit"], seen["recipes"][name]["engine"]
    assert largest_difference(fit["history"], engine["history"]) < 1e-5
    assert largest_difference(fit["weights"], engine["weights"]) < 1e-5
    assert fit["history"] != seen["recipes"]["plain"]["engine"]["history"]
    assert seen["recipes"][name]["evaluated"] == pytest.approx(engine["history"]["val_loss"][-1], abs=1e-5)


def test_weights_are_averaged_for_validation_alone(seen):
    plain, averaged = (seen["recipes"][name]["engine"]["history"] for name in ("plain", "averaged"))
    assert averaged["loss"] == pytest.approx(plain["loss"], abs=1e-6)
    assert all(abs(one - other) > 1e-4 for one, other in zip(averaged["val_loss"], plain["val_loss"], strict=True))


def test_the_learning_rate_of_an_epoch_is_that_of_its_last_step(seen):
    rates = seen["recipes"]["sgd"]["engine"]["history"]["learning_rate"]
    assert rates == pytest.approx(seen["recipes"]["sgd"]["last_rates"])
    assert rates.index(max(rates)) == 1


def test_an_augmentation_changes_training_images_by_the_seed(seen):
    found = seen["augmented"]
    assert found["engine"] == found["again"] != found["other"]
    assert found["engine"]["loss"] != found["plain"]["loss"]
    for by in ("engine", "fit"):
        assert len(set(found[by]["loss"])) == EPOCHS  # other changes in every epoch, at a learning rate of nearly 0
        assert found[by]["val_loss"] == pytest.approx(found["plain"]["val_loss"], abs=1e-5)


def test_a_training_in_half_precision_is_that_of_fit(seen):
    fit, engine = seen["half"]["fit"], seen["half"]["engine"]
    assert fit["history"]["loss"][-1] < 0.99 * fit["history"]["loss"][0]
    assert largest_difference(fit["history"], engine["history"]) < 5e-3
    assert largest_difference(fit["weights"], engine["weights"]) < 5e-3
    losses = seen["half"]["augmented"]
    assert max(losses) - min(losses) > 1e-3  # fit draws anew in every epoch


def test_the_model_can_be_evaluated_and_trained_on_by_keras(seen):
    assert largest_difference(seen["rest"]["evaluated"], seen["rest"]["last"]) < 1e-5
    assert seen["rest"]["iterations_later"] == EPOCHS * 4 + 4


def test_dropout_draws_anew_in_every_step(seen):
    dropout = seen["dropout"]
    assert dropout["seeds_fit"] == dropout["seeds_engine"] != dropout["seeds_before"]
    assert len(set(dropout["losses"])) == EPOCHS  # at a learning rate of nearly 0
    assert max(dropout["losses"]) - min(dropout["losses"]) > 1e-3


def test_one_seed_gives_one_training(seen):
    assert seen["seeds"]["first"] == seen["seeds"]["again"]
    assert seen["seeds"]["first"] != seen["seeds"]["other"]
    assert seen["seeds"]["global"] == seen["seeds"]["global_again"]


def test_every_epoch_sees_every_sample_once_in_an_order_of_its_own(seen):
    assert seen["order"]["losses"] == pytest.approx([seen["order"]["loss"]] * EPOCHS, abs=1e-6)
    assert len({tuple(epoch) for epoch in seen["order"]["gradients"]}) == EPOCHS


def test_callbacks_are_called_at_every_epoch_and_can_stop(seen):
    logs = ["accuracy", "learning_rate", "loss", "val_accuracy", "val_loss"]
    assert seen["callbacks"]["events"] == [
        ["train begin", {"epochs": EPOCHS, "steps": 4, "verbose": 0}],
        ["epoch begin", 0],
        ["epoch end", 0, logs],
        ["epoch begin", 1],
        ["epoch end", 1, logs],
        ["train end", ["accuracy", "loss", "val_accuracy", "val_loss"]],
    ]
    assert seen["callbacks"]["epoch"] == [0, 1]
    assert seen["callbacks"]["rates"] == pytest.approx([0.01, 0.01 / 1.5])


def test_a_callback_sees_the_weights_of_its_epoch(seen):
    assert seen["callbacks"]["evaluated"] == pytest.approx(seen["callbacks"]["val_loss"], abs=1e-5)


def test_a_space_is_trained_by_the_engine_unless_a_callback_asks_for_batches(seen):
    assert seen["by_space"] == {"engine": True, "recipe": seen["callbacks"]["rates"], "batches": False}


def test_compiling_is_measured(seen):
    assert all(0 < seconds < 600 for seconds in seen["callbacks"]["seconds"])


def test_without_validation_data_nothing_is_validated(seen):
    assert set(seen["no_validation"]) == {"accuracy", "loss"}


def test_a_loss_that_is_not_finite_is_told(seen):
    assert not math.isfinite(seen["not_finite"])


def test_compiled_programs_are_kept_in_the_folder(seen):
    assert seen["cache"]["files"] > 0
    assert seen["cache"]["files_after_the_same"] == seen["cache"]["files"]


def test_what_was_trained_can_be_forgotten(seen):
    assert seen["forgotten"]["executables"][0] > 0
    assert seen["forgotten"]["executables"][1] == 0
    assert seen["forgotten"]["alive"] == [False, False, False]


# What follows runs in the process of its own.


def observe(folder: Path) -> dict[str, Any]:
    """Train small networks by `fit` and by the engine."""
    from kerastuna.search.training.device import prepare_environment

    prepare_environment("cpu")
    import jax
    import keras
    import keras_tuner
    import numpy as np

    from kerastuna.search.training.engine import engine_for, fit
    from kerastuna.search.training.garbage import forget_trained_networks
    from kerastuna.search.training.jax_engine import JaxEngine, use_compilation_cache
    from kerastuna.spaces.architecture import (
        Activation,
        Add,
        Architecture,
        AveragePooling2D,
        BatchNormalization,
        Conv2D,
        Dense,
        DepthwiseConv2D,
        Dropout,
        Flatten,
        GlobalAveragePooling2D,
        GlobalMaxPooling2D,
        Layer,
        MaxPooling2D,
    )
    from kerastuna.spaces.augmentation import Augmentation
    from kerastuna.spaces.recipe import Recipe
    from kerastuna.spaces.space import SearchSpace

    class Fixed(SearchSpace):
        """One network."""

        def __init__(self, layers: Sequence[Layer], rate: float = 0.01, recipe: Recipe | None = None) -> None:
            super().__init__((9, 8, 2), 3)
            self._layers, self._recipe = tuple(layers), recipe or Recipe(rate, BATCH, "inverse_time", 0.5)

        def architecture(self, hp: Any) -> Architecture:
            return Architecture(self.input_shape, self._layers)

        def recipe(self, hp: Any) -> Recipe:
            return self._recipe

    hp = keras_tuner.HyperParameters()
    engine = engine_for(keras.backend.backend())
    assert isinstance(engine, JaxEngine)
    generator = np.random.default_rng(0)
    x = np.divide(generator.integers(0, 256, (50, 9, 8, 2)), np.float32(255), dtype=np.float32)
    y = generator.integers(0, 3, 50).astype(np.int32)
    validation = generator.normal(size=(30, 9, 8, 2)).astype(np.float32), y[:30]
    head = (Flatten(), Dense(3, activation="softmax"))
    networks: dict[str, Sequence[Layer]] = {
        "convolutions": (
            Conv2D(4, (2, 3), padding="same", activation="relu"),
            BatchNormalization(0.9),
            MaxPooling2D(),
            Conv2D(3, strides=2, use_bias=False),
            Activation("softmax"),
            *head,
        ),
        "depthwise": (
            DepthwiseConv2D(depth_multiplier=2, activation="relu"),
            AveragePooling2D((2, 1), strides=2),
            Conv2D(4, 1, activation="tanh"),
            BatchNormalization(),
            Conv2D(4, 3, padding="same"),
            Add(over=1),
            GlobalMaxPooling2D(),
            Dense(3, activation="softmax"),
        ),
        "dense": (GlobalAveragePooling2D(), Dense(4, activation="relu"), *head[1:]),
    }

    def build(space: SearchSpace, seed: int = 1) -> Any:
        keras.utils.set_random_seed(seed)
        return space.build(hp)

    def listening(space: SearchSpace, epochs: int, *callbacks: Any) -> list[Any]:
        recipe = space.recipe(hp)
        rate = keras.callbacks.LearningRateScheduler(lambda epoch, _: recipe.learning_rate_at(epoch, epochs))
        return [rate, *callbacks]

    def train(space: SearchSpace, model: Any, images: Any, labels: Any, *callbacks: Any, **given: Any) -> Any:
        options = {"validation_data": validation, "shuffle": False, "epochs": EPOCHS} | given
        heard = listening(space, options["epochs"], *callbacks)
        return engine.fit(model, images, labels, batch_size=BATCH, callbacks=heard, **options)

    def state(model: Any, history: Any) -> dict[str, Any]:
        return {
            "history": {name: [float(value) for value in values] for name, values in history.history.items()},
            "weights": [weight.tolist() for weight in model.get_weights()],
            "iterations": int(model.optimizer.iterations),
        }

    def seeds(model: Any) -> list[Any]:
        return [np.asarray(each).tolist() for each in model.non_trainable_variables if "seed" in each.path]

    found: dict[str, Any] = {"steps": {}}

    def both(space: SearchSpace, images: Any, labels: Any) -> tuple[dict[str, Any], Any]:
        by_fit, by_engine = build(space), build(space)
        options = {"validation_data": validation, "shuffle": False, "epochs": EPOCHS, "verbose": 0}
        history = space.fit(hp, by_fit, images, labels, **options)
        return {
            "fit": state(by_fit, history),
            "engine": state(by_engine, train(space, by_engine, images, labels)),
            "layers": [layer.kind for layer in space.architecture(hp).layers],
        }, by_engine

    for name, layers in networks.items():
        found["steps"][name], _ = both(Fixed(layers), x[:BATCH], y[:BATCH])

    space = Fixed(networks["convolutions"])
    found["rest"], model = both(space, x, y)
    evaluated = model.evaluate(*validation, verbose=0, return_dict=True)
    found["rest"]["evaluated"] = evaluated
    found["rest"]["last"] = {name: found["rest"]["engine"]["history"][f"val_{name}"][-1] for name in evaluated}
    space.fit(hp, model, x, y, verbose=0)
    found["rest"]["iterations_later"] = int(model.optimizer.iterations)

    # The search's own `fit` trains by the engine, unless a callback asks for batches.
    batches = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)

    normalized = (
        GlobalAveragePooling2D(),
        BatchNormalization(0.9),
        Dense(3, activation="tanh"),
        Dropout(0.0),
        *head[1:],
    )

    def by_recipe(recipe: Recipe, **given: Any) -> tuple[Any, ...]:
        model = build(trained := Fixed(normalized, recipe=recipe))
        options = {"validation_data": validation, "shuffle": False, "epochs": EPOCHS, "verbose": 0} | given
        history: Any = fit(trained, hp, model, x, y, **options)
        assert ("compile_seconds" in history.params) == ("callbacks" not in given)
        return model, history

    changes: dict[str, dict[str, Any]] = {
        "plain": {},
        "adamw": {"optimizer": "adamw", "weight_decay": 0.1, "decay": "cosine", "warm_up": 0.4},
        "sgd": {"optimizer": "sgd", "weight_decay": 0.1, "decay": "one_cycle", "warm_up": 0.3, "end_factor": 0.1},
        "averaged": {"averaging": 0.9},
        "smoothed": {"label_smoothing": 0.1, "averaging": 0.8, "optimizer": "adamw", "decay": "cosine"},
    }
    found["recipes"] = {}
    for name, changed in changes.items():
        recipe = Recipe(0.01, BATCH, **changed)
        model, history = by_recipe(recipe)
        result: dict[str, Any] = {"engine": state(model, history)}
        found["recipes"][name] = result
        result["evaluated"] = model.evaluate(*validation, verbose=0, return_dict=True)["loss"]
        result["last_rates"] = [recipe.learning_rates_in(epoch, EPOCHS, 4)[-1] for epoch in range(EPOCHS)]
        if name != "plain":
            result["fit"] = state(*by_recipe(recipe, callbacks=[batches]))

    augmented = found["augmented"] = dict[str, Any]()
    turning: dict[str, Any] = {
        "augmentation": Augmentation(rotation=90, shift=0.3, zoom=0.2, brightness=0.2, contrast=0.2)
    }
    for name, changed, given in [
        ("plain", {}, {}),
        ("engine", turning, {}),
        ("again", turning, {}),
        ("other", turning, {"seed": 5}),
        ("fit", turning, {"callbacks": [batches]}),
    ]:
        model = build(slow := Fixed(head, recipe=Recipe(1e-9, BATCH, **changed)))
        options = {"validation_data": validation, "shuffle": False, "epochs": EPOCHS, "verbose": 0} | given
        np.random.seed(options.pop("seed", 4))  # of the engine
        augmented[name] = fit(slow, hp, model, x, y, **options).history

    keras.config.set_dtype_policy("mixed_float16")
    recipe = Recipe(0.1, BATCH, optimizer="sgd", averaging=0.9)
    found["half"] = {"engine": state(*by_recipe(recipe)), "fit": state(*by_recipe(recipe, callbacks=[batches]))}
    model = build(slow := Fixed(head, recipe=Recipe(1e-9, BATCH, **turning)))
    told = fit(slow, hp, model, x, y, shuffle=False, epochs=EPOCHS, verbose=0, callbacks=[batches])
    found["half"]["augmented"] = told.history["loss"]
    keras.config.set_dtype_policy("float32")

    still = Fixed((Dropout(0.5), *head), rate=1e-12)
    by_fit, by_engine = build(still), build(still)
    found["dropout"] = {"seeds_before": seeds(by_fit)}
    still.fit(hp, by_fit, x, y, epochs=EPOCHS, verbose=0)
    history = train(still, by_engine, x, y)
    found["dropout"] |= {"seeds_fit": seeds(by_fit), "seeds_engine": seeds(by_engine)}
    found["dropout"]["losses"] = history.history["loss"]

    learning = Fixed((Dropout(0.2), *head))
    found["seeds"] = {}
    for name, seed in {"first": 7, "again": 7, "other": 8, "global": None, "global_again": None}.items():
        model = build(learning)
        found["seeds"][name] = state(model, train(learning, model, x, y, seed=seed, shuffle=True))

    # The loss of an epoch does not tell its order, since the network stands still; Adam's mean of gradients does.
    model, means_of_gradients = build(plain := Fixed(head, rate=1e-12)), []

    def forget(epoch: int, logs: Any) -> None:
        for variable in model.optimizer.variables[2:]:
            variable.assign(np.zeros(variable.shape))

    def note(epoch: int, logs: Any) -> None:
        means_of_gradients.append(np.asarray(model.optimizer.variables[2]).ravel().tolist())

    ears = keras.callbacks.LambdaCallback(on_epoch_begin=forget, on_epoch_end=note)
    losses = train(plain, model, x, y, ears, shuffle=True, seed=3).history["loss"]
    loss = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    found["order"] = {"losses": losses, "loss": loss, "gradients": means_of_gradients}

    events: list[Any] = []

    class Listener(keras.callbacks.Callback):
        params: Any
        model: Any

        def on_train_begin(self, logs: Any = None) -> None:
            seconds = ("trace_seconds", "compile_seconds")
            found["callbacks"] = {"seconds": [self.params[name] for name in seconds]}
            events.append(["train begin", {name: self.params[name] for name in self.params if name not in seconds}])

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            events.append(["epoch begin", epoch])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            events.append(["epoch end", epoch, sorted(logs)])
            self.model.stop_training = epoch == 1
            found["callbacks"]["evaluated"] = self.model.evaluate(*validation, verbose=0, return_dict=True)["loss"]

        def on_train_end(self, logs: Any = None) -> None:
            events.append(["train end", sorted(logs)])

    model = build(space)
    history = train(space, model, x, y, Listener())
    found["callbacks"] |= {"events": events, "epoch": history.epoch, "rates": history.history["learning_rate"]}
    found["callbacks"]["val_loss"] = history.history["val_loss"][-1]

    own, heard = build(space), keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    by_engine: Any = fit(space, hp, own, x, y, epochs=2, verbose=0)
    by_fit: Any = fit(space, hp, own, x, y, epochs=1, verbose=0, callbacks=[heard])
    found["by_space"] = {
        "engine": "compile_seconds" in by_engine.params,
        "recipe": by_engine.history["learning_rate"],
        "batches": "compile_seconds" in by_fit.params,
    }

    model = build(plain)
    history = engine.fit(model, x, y, batch_size=64, validation_data=None)  # less than a batch
    found["no_validation"] = list(history.history)
    x_infinite = np.full_like(x, np.inf)
    found["not_finite"] = engine.fit(build(plain), x_infinite, y, batch_size=BATCH).history["loss"][-1]

    def passing() -> list[weakref.ref[Any]]:
        model = build(space)
        train(space, model, x, y)
        return [weakref.ref(part) for part in (model, model.optimizer, model.trainable_variables[0])]

    parts, client = passing(), jax.devices()[0].client
    executables = [len(client.live_executables())]
    forget_trained_networks()
    keras.backend.clear_session()
    executables.append(len(client.live_executables()))
    found["forgotten"] = {"executables": executables, "alive": [part() is not None for part in parts]}

    cache = folder / "programs"
    use_compilation_cache(cache)
    found["cache"] = {}
    for name in ("files", "files_after_the_same"):
        train(plain, build(plain), x, y)
        found["cache"][name] = len([path for path in cache.iterdir() if path.name.startswith("jit_epoch")])
    return found


if __name__ == "__main__":
    target = Path(sys.argv[1])
    (target / "seen.json").write_text(json.dumps(observe(target)))
