"""What every space inherits: building, training by its recipe, declaring its hyperparameters."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from kerastuna.spaces.architecture import (
    Activation,
    Architecture,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    SameShape,
)
from kerastuna.spaces.errors import InfeasibleArchitecture, InputError
from kerastuna.spaces.recipe import Recipe
from kerastuna.spaces.space import SearchSpace, build_model


@final
class Minimal(SearchSpace):
    """What a user writes."""

    def architecture(self, hp: Any) -> Architecture:
        layers = (Conv2D(hp.Int("filters", 2, 6), activation="relu"), GlobalAveragePooling2D())
        return Architecture(self.input_shape, (*layers, Dense(self.classes, activation="softmax")))

    def recipe(self, hp: Any) -> Recipe:
        return Recipe(hp.Float("learning_rate", 0.01, 0.1), batch_size=8, decay="exponential", decay_rate=0.5)


@final
class Nested(SearchSpace):
    """Conditions inside conditions, reached from branches and loops of plain Python."""

    def architecture(self, hp: Any) -> Architecture:
        layers: list[Layer] = []
        body = hp.Choice("body", ["plain", "deep"])
        with hp.conditional_scope("body", ["deep"]):
            if body == "deep":
                layers += [Conv2D(hp.Int(f"width_{number}", 4, 8)) for number in range(hp.Int("depth", 2, 5))]
                pool = hp.Boolean("pool")
                with hp.conditional_scope("pool", [True]):
                    if pool:
                        layers.append(MaxPooling2D(hp.Choice("pool_size", [2, 16], default=16)))
        layers.append(Flatten())
        Architecture(self.input_shape, tuple(layers)).shapes  # noqa: B018  raises where a map is too small
        return Architecture(self.input_shape, (*layers, Dense(self.classes), Activation("softmax")))

    def recipe(self, hp: Any) -> Recipe:
        return Recipe(0.01, hp.Choice("batch_size", [16, 32]))


DEEP = {"body": "deep", "depth": 2, "width_0": 4, "width_1": 4, "batch_size": 16}


def declared(space: SearchSpace) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    return hp


def images(count: int = 20) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    return generator.random((count, 6, 5, 2), dtype=np.float32), generator.integers(0, 3, count)


def train(**arguments: Any) -> tuple[keras.callbacks.History, keras.Model]:
    space = Minimal((6, 5, 2), classes=3)
    hp = declared(space)
    model = space.build(hp)
    return space.fit(hp, model, verbose=0, **arguments), model


def test_a_space_of_a_user_is_described_counted_and_built() -> None:
    space = Minimal((6, 5, 2), classes=3)
    hp = declared(space)

    model = space.build(hp)

    assert hp.values == {"filters": 2, "learning_rate": 0.01}
    assert space.cost(hp).params == model.count_params() == (9 * 2 + 1) * 2 + (2 + 1) * 3
    assert [layer.name for layer in model.layers] == ["conv2d_1", "globalaveragepooling2d_1", "dense_1"]
    assert model.input_shape == (None, 6, 5, 2)
    assert model.output_shape == (None, 3)
    assert space.starting_points() == {}


def test_the_model_is_compiled_with_the_first_learning_rate_of_the_recipe() -> None:
    space = Minimal((6, 5, 2), classes=3)
    hp = declared(space)
    hp.values["learning_rate"] = 0.07

    model = space.build(hp)

    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.07)
    assert model.loss == "sparse_categorical_crossentropy"


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")  # a best model is fresh
@pytest.mark.usefixtures("eager")
def test_any_keras_tuner_can_search_it(tmp_path: Path) -> None:
    x, y = images()
    tuner = WithoutTensorBoard(
        Minimal((6, 5, 2), classes=3),
        objective="val_accuracy",
        max_trials=2,
        seed=5,
        directory=tmp_path,
    )

    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)

    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED", "COMPLETED"]
    assert tuner.get_best_models()[0].output_shape == (None, 3)


class WithoutTensorBoard(keras_tuner.RandomSearch):
    """KerasTuner 1.4.8 imports tensorboard for every trial, which TensorFlow 2.21 no longer brings."""

    def _configure_tensorboard_dir(self, callbacks: Any, trial: Any, execution: int = 0) -> None:
        pass


def test_training_follows_the_recipe_from_epoch_to_epoch() -> None:
    x, y = images(20)

    history, model = train(x=x, y=y, epochs=3)

    assert history.history["learning_rate"] == pytest.approx([0.01 * np.exp(-0.5 * epoch) for epoch in range(3)])
    assert int(model.optimizer.iterations) == 3 * 3  # twenty images in batches of eight


def test_a_cosine_schedule_spans_the_epochs_asked_for() -> None:
    @final
    class Cosine(SearchSpace):
        def architecture(self, hp: Any) -> Architecture:
            return Architecture(self.input_shape, (Flatten(), Dense(self.classes, activation="softmax")))

        def recipe(self, hp: Any) -> Recipe:
            return Recipe(0.01, 10, "cosine")

    space = Cosine((6, 5, 2), classes=3)
    hp = declared(space)
    x, y = images(10)

    history = space.fit(hp, space.build(hp), x, y, epochs=4, verbose=0)

    assert history.history["learning_rate"] == pytest.approx([0.01, 0.00853553, 0.005, 0.00146447], rel=1e-5)


@pytest.mark.usefixtures("eager")
def test_images_and_labels_may_be_given_by_position() -> None:
    space = Minimal((6, 5, 2), classes=3)
    hp = declared(space)
    model = space.build(hp)

    space.fit(hp, model, *images(20), epochs=2, verbose=0)

    assert int(model.optimizer.iterations) == 2 * 3


@pytest.mark.parametrize("labelled", ["together", "without validation"])
@pytest.mark.usefixtures("eager")
def test_a_dataset_brings_its_own_batches(labelled: str) -> None:
    dataset = tf.data.Dataset.from_tensor_slices(images(20)).batch(5)
    validation = {"validation_data": dataset} if labelled == "together" else {}

    history, model = train(x=dataset, epochs=2, shuffle=False, **validation)

    assert int(model.optimizer.iterations) == 2 * 4
    assert history.history["learning_rate"] == pytest.approx([0.01, 0.01 * np.exp(-0.5)])


@pytest.mark.usefixtures("eager")
def test_arrays_may_be_validated_on_a_dataset() -> None:
    x, y = images(20)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(5)

    history, model = train(x=x, y=y, validation_data=dataset, epochs=1)

    assert len(history.history["val_accuracy"]) == 1
    assert int(model.optimizer.iterations) == 3


@pytest.mark.usefixtures("eager")
def test_validation_is_read_in_batches_of_its_own() -> None:
    seen: list[int] = []
    counting = keras.callbacks.LambdaCallback(on_test_batch_begin=lambda batch, logs: seen.append(batch))
    x, y = images(20)

    train(x=x, y=y, validation_data=(x, y), epochs=1, callbacks=[counting])
    at_once = len(seen)
    train(x=x, y=y, validation_data=(x, y), validation_batch_size=5, epochs=1, callbacks=[counting])

    assert (at_once, len(seen) - at_once) == (1, 4)


@pytest.mark.usefixtures("eager")
def test_callbacks_see_the_learning_rate_of_the_epoch() -> None:
    space = Minimal((6, 5, 2), classes=3)
    hp = declared(space)
    model: Any = space.build(hp)
    seen: list[float] = []
    given = [
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: seen.append(float(model.optimizer.learning_rate))
        )
    ]

    space.fit(hp, model, *images(), epochs=2, verbose=0, callbacks=given)

    assert seen == pytest.approx([0.01, 0.01 * np.exp(-0.5)])
    assert len(given) == 1, "the caller's list is its own"


@pytest.mark.parametrize("position", [True, False])
def test_a_batch_size_is_refused(position: bool) -> None:
    space = Minimal((6, 5, 2), classes=3)
    hp = declared(space)
    model = space.build(hp)
    positional, named = ((48,), {}) if position else ((), {"batch_size": 48})

    with pytest.raises(InputError, match=r"^batch_size=48: .*recipe.*$"):
        space.fit(hp, model, *images(), *positional, **named)

    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize("form", [np.asarray, tf.constant])
@pytest.mark.parametrize("where", ["second", "y", "validation_data"])
def test_one_hot_labels_are_refused_before_anything_is_trained(where: str, form: Any) -> None:
    space = Minimal((6, 5, 2), classes=3)
    hp = declared(space)
    model = space.build(hp)
    x, y = images()
    rows = form(np.eye(3, dtype=np.float32)[y])
    named = {"second": {}, "y": {"y": rows}, "validation_data": {"y": y, "validation_data": (x, rows)}}[where]
    told = r"has shape \(20, 3\), .* give class numbers: data\.with_class_numbers\(\), or y\.argmax\(axis=1\)$"

    with pytest.raises(InputError, match=f"^y{' of validation_data' if where == 'validation_data' else ''} {told}"):
        space.fit(hp, model, x, *([rows] if where == "second" else []), **named)

    assert int(model.optimizer.iterations) == 0


@pytest.mark.usefixtures("eager")
def test_a_column_of_class_numbers_is_none_of_one_hot_rows() -> None:
    x, y = images()

    history, _ = train(x=x, y=y[:, None], validation_data=[x, y[:, None]])

    assert set(history.history) >= {"accuracy", "val_accuracy"}


@pytest.mark.parametrize(
    ("input_shape", "classes", "given"),
    [
        ((6, 5, 2), 1, "classes=1"),
        ((6, 5), 3, "input_shape=(6, 5)"),
        ((6, 0, 1), 3, "input_shape=(6, 0, 1)"),
        ((None, None, 3), 3, "input_shape=(None, None, 3)"),
    ],
)
def test_a_space_refuses_what_cannot_be_classified(input_shape: Any, classes: int, given: str) -> None:
    with pytest.raises(InputError) as caught:
        Minimal(input_shape, classes)

    assert given in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_input_shape_read_from_json_will_do() -> None:
    from_json: Any = [6, 5, 2]

    assert Minimal(from_json, 3).input_shape == (6, 5, 2)


def test_a_space_without_a_recipe_is_not_one() -> None:
    class Incomplete(SearchSpace):
        def architecture(self, hp: Any) -> Architecture:
            raise NotImplementedError

    with pytest.raises(TypeError, match="recipe"):
        Incomplete((6, 5, 2), 3)  # pyright: ignore[reportAbstractUsage]


def test_declaring_reaches_what_lies_behind_branches_and_infeasible_points() -> None:
    hp = declared(Nested((12, 12, 1), classes=3))

    assert {hyperparameter.name for hyperparameter in hp.space} == {
        "body",
        "depth",
        "width_0",
        "width_1",
        "pool",
        "pool_size",
        "batch_size",
    }
    assert hp.values == {"body": "plain", "batch_size": 16}


def test_declaring_finds_the_same_in_every_process() -> None:
    # an unseeded draw of "depth" on the way would reveal as many widths
    found = {tuple(hyperparameter.name for hyperparameter in declared(Nested((12, 12, 1), 3)).space) for _ in range(20)}

    assert len(found) == 1


def test_declaring_keeps_what_the_user_has_declared() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Fixed("filters", 5)
    hp.values["learning_rate"] = 0.05

    Minimal((6, 5, 2), 3).declare_hyperparameters(hp)

    assert [hyperparameter.name for hyperparameter in hp.space] == ["filters", "learning_rate"]
    assert hp.values == {"filters": 5, "learning_rate": 0.05}


def test_declaring_twice_declares_once() -> None:
    space = Nested((12, 12, 1), 3)
    hp = declared(space)
    before = hp.get_config()

    space.declare_hyperparameters(hp)

    assert hp.get_config() == before


def test_building_leaves_no_conditions_for_keras_tuner_to_build_its_way_through() -> None:
    space = Nested((12, 12, 1), 3)
    hp = declared(space)
    hp.values = DEEP | {"pool": False}
    space.architecture(hp)
    assert (len(hp.active_scopes), len(hp.inactive_scopes)) == (1, 1)

    space.build(hp)

    assert hp.active_scopes == []
    assert hp.inactive_scopes == []


def test_an_infeasible_point_is_refused_before_keras_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    space = Nested((12, 12, 1), 3)
    hp = declared(space)
    hp.values = DEEP | {"pool": True, "pool_size": 16}
    monkeypatch.setattr(keras, "Sequential", None)

    with pytest.raises(InfeasibleArchitecture, match="16x16 window of MaxPooling2D"):
        space.build(hp)
    with pytest.raises(InfeasibleArchitecture, match="16x16 window of MaxPooling2D"):
        space.cost(hp)


def test_a_layer_of_another_kind_is_refused_by_name() -> None:
    @final
    @dataclass(frozen=True)
    class Whiten(SameShape):
        pass

    with pytest.raises(InputError, match="Whiten is not a layer"):
        build_model(Architecture((6, 5, 2), (Whiten(), Flatten())))
