"""`ConvNet` over its whole space: described, counted and built alike, and searched by KerasTuner's own tuners."""

import contextlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, final

import keras
import keras_tuner
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastuna.spaces.architecture import (
    Activation,
    Architecture,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
)
from kerastuna.spaces.convnet import HEADS, ConvNet
from kerastuna.spaces.cost import cost
from kerastuna.spaces.errors import InfeasibleArchitecture
from kerastuna.spaces.recipe import Recipe

MNIST = Path(__file__).parents[2] / "data" / "mnist.npz"
BUILDS = settings(max_examples=30, deadline=None)  # each builds a Keras model

FIRST_BLOCK = {"block1_convs": 1, "block1_conv1": 8, "block1_pointwise": "none"}
REST = {"head_pointwise": False, "dropout": 0.0, "decay": "constant", "learning_rate": 0.003, "batch_size": 64}
SMALLEST = {"blocks": 1, **FIRST_BLOCK, "head": "conv", **REST}


def point(space: ConvNet, values: dict[str, Any]) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    hp.values = dict(values)
    return hp


def drawn(space: ConvNet, seed: int) -> keras_tuner.HyperParameters:
    """A point as KerasTuner's own random search draws it from the declared space."""
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    objective = keras_tuner.Objective("val_accuracy", "max")
    oracle = keras_tuner.oracles.RandomSearchOracle(objective, max_trials=1, seed=seed, hyperparameters=hp)
    hp.values = oracle.populate_space("0")["values"]
    return hp


def values_of(variables: list[Any]) -> int:
    return sum(prod(variable.shape) for variable in variables)


@pytest.fixture(autouse=True, scope="module")
def _clear_session() -> Iterator[None]:
    yield
    keras.backend.clear_session()


def assert_counted_as_built(space: ConvNet, hp: keras_tuner.HyperParameters) -> bool:
    """Whether the point is feasible, after asserting that it is described and built alike, or refused by both."""
    try:
        expected = space.cost(hp)
    except InfeasibleArchitecture:
        with pytest.raises(
            InfeasibleArchitecture, match=r"^the .* window of .* would shrink a .* map below one pixel$"
        ):
            space.build(hp)
        return False
    model = space.build(hp)
    assert model.count_params() == expected.params
    assert values_of(model.trainable_weights) == expected.trainable
    assert values_of(model.non_trainable_weights) == expected.non_trainable
    assert [
        (layer.name, type(layer).__name__, layer.output.shape[1:], layer.count_params()) for layer in model.layers
    ] == [(layer.name, layer.kind, layer.output_shape, layer.params) for layer in expected.layers]
    assert model.output_shape == (None, space.classes)
    return True


@BUILDS
@given(seed=st.integers(0, 2**32 - 1))
def test_a_point_of_the_space_costs_what_keras_counts(seed: int) -> None:
    space = ConvNet()

    assert_counted_as_built(space, drawn(space, seed))


@BUILDS
@given(
    height=st.integers(6, 48),
    width=st.integers(6, 48),
    channels=st.integers(1, 4),
    classes=st.integers(2, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_other_images_and_classes_cost_what_keras_counts(
    height: int, width: int, channels: int, classes: int, seed: int
) -> None:
    space = ConvNet((height, width, channels), classes)

    assert_counted_as_built(space, drawn(space, seed))


@pytest.mark.parametrize("head", HEADS)
def test_a_point_fits_or_not_by_one_pixel(head: str) -> None:
    # two convolutions and a pooling need six pixels; a pointwise convolution after them needs no more
    values = SMALLEST | {"block1_convs": 2, "block1_conv2": 8, "head": head, "block1_pointwise": "after_pool"}
    values |= {"block1_pointwise_width": 4}

    for input_shape, fits in (((6, 6, 1), True), ((6, 5, 1), False), ((5, 6, 1), False), ((1, 6, 1), False)):
        space = ConvNet(input_shape, classes=3)
        assert assert_counted_as_built(space, point(space, values)) is fits


def test_the_declared_space() -> None:
    hp = keras_tuner.HyperParameters()

    ConvNet().declare_hyperparameters(hp)

    conditions = {declared.name: [(c.name, c.values) for c in declared.conditions] for declared in hp.space}
    assert set(conditions) == {
        "blocks",
        *(f"block{number}_{what}" for number in (1, 2, 3) for what in ("convs", "conv1", "conv2", "conv3")),
        *(f"block{number}_{what}" for number in (1, 2, 3) for what in ("pointwise", "pointwise_width")),
        *("head", "head_pointwise", "head_pointwise_width", "dropout"),
        *("learning_rate", "decay", "decay_rate", "batch_size"),
    }
    assert len(hp.space) == len(conditions), "a name stands for one hyperparameter"
    assert conditions["block1_conv1"] == [("blocks", [1, 2, 3])]
    assert conditions["block3_conv2"] == [("blocks", [3]), ("block3_convs", [2, 3])]
    assert conditions["block2_pointwise_width"] == [
        ("blocks", [2, 3]),
        ("block2_pointwise", ["before_pool", "after_pool"]),
    ]
    assert conditions["head_pointwise_width"] == [("head_pointwise", [True])]
    assert conditions["decay_rate"] == [("decay", ["inverse_time", "exponential"])]
    choices = {declared.name: declared.values for declared in hp.space if hasattr(declared, "ordered")}
    assert choices["head"] == ["conv", "gap", "pool_dense", "flatten_dense"]
    assert choices["block1_pointwise"] == ["none", "before_pool", "after_pool"]
    assert choices["decay"] == ["inverse_time", "exponential", "cosine", "constant"]


@pytest.mark.parametrize(("input_shape", "classes"), [((28, 28, 1), 10), ((12, 12, 3), 3), ((2, 2, 1), 2)])
def test_declaring_builds_no_network(
    input_shape: tuple[int, int, int], classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = ConvNet(input_shape, classes)
    full = keras_tuner.HyperParameters()
    ConvNet().declare_hyperparameters(full)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a Keras layer or model was made")

    hp = keras_tuner.HyperParameters()
    with monkeypatch.context() as patch:
        patch.setattr(keras.layers.Layer, "__init__", refuse)  # models are layers too
        with pytest.raises(AssertionError, match="a Keras layer or model was made"):
            ConvNet().build(full.copy())
        space.declare_hyperparameters(hp)

    assert [declared.get_config() for declared in hp.space] == [declared.get_config() for declared in full.space]


@pytest.mark.parametrize("seed", range(30))
def test_no_point_meets_a_hyperparameter_that_was_not_declared(seed: int) -> None:
    space = ConvNet()
    hp = drawn(space, seed)
    declared, values = len(hp.space), dict(hp.values)

    with contextlib.suppress(InfeasibleArchitecture):
        space.architecture(hp)
    space.recipe(hp)

    assert len(hp.space) == declared
    assert hp.values == values


def test_blocks_stand_one_after_the_other_and_a_dropout_of_zero_leaves_no_layer() -> None:
    hp = point(
        ConvNet(),
        {
            **{"blocks": 3, "head": "conv", **REST, "head_pointwise": True, "head_pointwise_width": 6},
            **{"block1_convs": 2, "block1_conv1": 4, "block1_conv2": 8, "block1_pointwise": "none"},
            **{"block2_convs": 1, "block2_conv1": 10, "block2_pointwise": "before_pool", "block2_pointwise_width": 12},
            **{"block3_convs": 1, "block3_conv1": 14, "block3_pointwise": "after_pool", "block3_pointwise_width": 16},
        },
    )
    normalised = BatchNormalization(momentum=0.9)

    architecture = ConvNet().architecture(hp)

    assert architecture == Architecture(
        (28, 28, 1),
        (
            *(Conv2D(4, 3, activation="relu"), normalised),
            *(Conv2D(8, 3, activation="relu"), normalised),
            MaxPooling2D(2),
            *(Conv2D(10, 3, activation="relu"), normalised),
            *(Conv2D(12, 1, activation="relu"), MaxPooling2D(2)),
            *(Conv2D(14, 3, activation="relu"), normalised),
            *(MaxPooling2D(2), Conv2D(16, 1, activation="relu")),
            Conv2D(6, 1, activation="relu"),
            *(Conv2D(10, (1, 1)), normalised, Flatten(), Activation("softmax")),
        ),
        summary="4-8 | 10-p12 | 14 | p16 | p6 | conv",
    )


@pytest.mark.parametrize(
    ("head", "layers"),
    [
        ("conv", (Conv2D(5, (3, 2)), BatchNormalization(momentum=0.9), Dropout(0.2), Flatten())),
        ("gap", (Conv2D(5, 1), BatchNormalization(momentum=0.9), Dropout(0.2), GlobalAveragePooling2D())),
        ("pool_dense", (GlobalAveragePooling2D(), Dense(5))),
        ("flatten_dense", (Flatten(), Dense(5))),
    ],
)
def test_heads(head: str, layers: tuple[Any, ...]) -> None:
    space = ConvNet((8, 7, 2), classes=5)
    hp = point(space, SMALLEST | {"head": head, "dropout": 0.2})

    architecture = space.architecture(hp)

    assert architecture.layers == (
        *(Conv2D(8, 3, activation="relu"), BatchNormalization(momentum=0.9), Dropout(0.2), MaxPooling2D(2)),
        *layers,
        Activation("softmax"),
    )
    assert cost(architecture).layers[-1].output_shape == (5,)
    assert architecture.summary == f"8 | {head.replace('_', '+')}"


@pytest.mark.parametrize(
    ("values", "recipe"),
    [
        ({}, Recipe(0.003, 64)),
        ({"decay": "cosine", "batch_size": 256}, Recipe(0.003, 256, "cosine")),
        ({"decay": "exponential", "decay_rate": 0.2}, Recipe(0.003, 64, "exponential", 0.2)),
        ({"decay": "inverse_time", "decay_rate": 0.9}, Recipe(0.003, 64, "inverse_time", 0.9)),
    ],
)
def test_recipes(values: dict[str, Any], recipe: Recipe) -> None:
    assert ConvNet().recipe(point(ConvNet(), SMALLEST | values)) == recipe


@final
class RandomSearch(keras_tuner.RandomSearch):
    """KerasTuner 1.4.8 imports tensorboard for every trial, which TensorFlow 2.21 no longer brings."""

    def _configure_tensorboard_dir(self, callbacks: Any, trial: Any, execution: int = 0) -> None:
        pass


@final
class BayesianOptimization(keras_tuner.BayesianOptimization):
    """The same."""

    def _configure_tensorboard_dir(self, callbacks: Any, trial: Any, execution: int = 0) -> None:
        pass


def mnist(input_shape: tuple[int, int, int], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """150 training images of the first digits; where smaller, every other pixel, shifted a row for each channel."""
    with np.load(MNIST) as arrays:
        x, y = arrays["x_train"][:2000], arrays["y_train"][:2000]
    x, y = (x[y < classes][:150] / np.float32(255))[..., None], y[y < classes][:150]
    if input_shape != (28, 28, 1):
        side = input_shape[0]
        x = np.concatenate([x[:, 2 + shift :: 2, 2:-2:2][:, :side] for shift in range(input_shape[2])], axis=-1)
    assert x.shape == (150, *input_shape)
    return x, y


def is_feasible(space: ConvNet, hp: keras_tuner.HyperParameters) -> bool:
    try:
        space.cost(hp)
    except InfeasibleArchitecture:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "input_shape", "classes", "seed"),
    [
        (RandomSearch, (28, 28, 1), 10, 7),
        (RandomSearch, (12, 12, 3), 3, 6),
        (BayesianOptimization, (28, 28, 1), 10, 7),
    ],
)
@pytest.mark.usefixtures("eager")
def test_keras_tuners_own_tuners_search_it(
    kind: Any, input_shape: tuple[int, int, int], classes: int, seed: int, tmp_path: Path
) -> None:
    space = ConvNet(input_shape, classes)
    x, y = mnist(input_shape, classes)
    tuner = kind(space, "val_accuracy", max_trials=2, seed=seed, directory=tmp_path)

    tuner.search(x[:100], y[:100], validation_data=(x[100:], y[100:]), epochs=1, verbose=0)

    trials = list(tuner.oracle.trials.values())
    assert len(trials) == 2
    for trial in trials:
        hp = trial.hyperparameters
        if is_feasible(space, hp):
            assert (trial.status, trial.message) == ("COMPLETED", None)
            assert 0 <= trial.score <= 1
            rate = trial.metrics.get_history("learning_rate")[0].value[0]
            assert rate == pytest.approx(hp["learning_rate"], rel=1e-5)
        else:
            assert trial.status == "FAILED"
            assert "InfeasibleArchitecture" in trial.message
    best = tuner.get_best_hyperparameters()[0]
    assert is_feasible(space, best)
    assert set(best.values) == {declared.name for declared in best.space if best.is_active(declared)}
    assert space.build(best).output_shape == (None, classes)
