"""The cost of built models: against the closed form, against multiplications counted by experiment, and by hand."""

from collections.abc import Iterator
from random import Random
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from architectures import BUILDS, FEASIBLE
from hypothesis import given
from keras import layers
from optuna.distributions import CategoricalDistribution, IntDistribution

from kerastuna.search import Budget, OptunaTuner
from kerastuna.search.errors import SpaceError
from kerastuna.search.proposals.distributions import Parameter, ParameterSpace, Values
from kerastuna.search.study.budget import Size
from kerastuna.search.tuning.model_size import model_size
from kerastuna.spaces import ConvNet
from kerastuna.spaces.architecture import Architecture
from kerastuna.spaces.cost import cost
from kerastuna.spaces.errors import InfeasibleArchitecture, InputError
from kerastuna.spaces.space import build_model

ALL = ("params", "macs", "activations")


@pytest.fixture(scope="module", autouse=True)
def _clear_session() -> Iterator[None]:
    yield
    keras.backend.clear_session()


def closed_form(architecture: Architecture) -> Size:
    counted = cost(architecture)
    return Size(counted.params, counted.macs, activations=counted.peak_activation_bytes)


@BUILDS
@given(architecture=FEASIBLE)
def test_every_kind_of_layer_costs_what_the_closed_form_says(architecture: Architecture) -> None:
    assert model_size(build_model(architecture), limits=ALL) == closed_form(architecture)


def point(space: ParameterSpace, random: Random) -> Values:
    def drawn(parameter: Parameter) -> Any:
        match parameter.distribution:
            case CategoricalDistribution(choices=choices):
                return random.choice(choices)
            case IntDistribution(low=low, high=high, step=step):
                return random.randrange(low, high + 1, step)
            case other:
                return other.low  # type: ignore[attr-defined]

    return space.fill(drawn)


def test_points_of_convnet_cost_what_the_closed_form_says() -> None:
    space, random, built = ConvNet(), Random(0), 0
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    declared = ParameterSpace(hp.space)
    while built < 20:
        hp.values = dict(point(declared, random))
        try:
            architecture = space.architecture(hp)
            expected = closed_form(architecture)
        except InfeasibleArchitecture:
            continue
        assert model_size(build_model(architecture), limits=ALL) == expected
        built += 1


def multiplications(model: keras.Model) -> int:
    """By experiment: inputs and kernels are 1 and biases 0, so that the outputs add up the products."""
    for layer in model.layers:
        layer.set_weights([np.full(weight.shape, weight.ndim > 1) for weight in layer.get_weights()])
    return round(float(np.asarray(model(np.ones((1, *model.input_shape[1:]), "float32"))).sum()))


ONE_LAYER = [
    ((9, 4), layers.Conv1D(6, 3, strides=2, groups=2)),
    ((9, 4), layers.Conv1D(6, 3, dilation_rate=2)),
    ((9, 8, 4), layers.Conv2D(6, (3, 2), groups=4 // 2, strides=(2, 1))),
    ((9, 8, 4), layers.Conv2D(6, (3, 2), use_bias=False)),
    ((6, 5, 4, 2), layers.Conv3D(3, (3, 2, 1))),
    ((5, 4), layers.Conv1DTranspose(3, 4, strides=2)),
    ((5, 4, 3), layers.Conv2DTranspose(2, 3, strides=2)),
    ((3, 4, 3, 2), layers.Conv3DTranspose(2, 2)),
    ((9, 4), layers.DepthwiseConv1D(3, depth_multiplier=2)),
    ((9, 8, 4), layers.DepthwiseConv2D(3, strides=2, depth_multiplier=3)),
    ((7,), layers.Dense(5)),
    ((3, 4, 7), layers.Dense(5, use_bias=False)),
    ((3, 7), layers.EinsumDense("...x,xy->...y", 5, bias_axes="y")),
    ((3, 4), layers.EinsumDense("abc,cde->abde", (3, 2, 5))),
    ((3, 4), layers.EinsumDense("abc,bcd->ad", (5,))),
    ((4, 6, 3), layers.TimeDistributed(layers.Conv1D(5, 2))),
    ((4, 6, 3), layers.TimeDistributed(layers.TimeDistributed(layers.Dense(5)))),
    ((6, 5, 3), layers.Conv2D(4, 2, name="inner")),
]


@pytest.mark.parametrize(("shape", "layer"), ONE_LAYER, ids=lambda given: getattr(given, "name", str(given)))
def test_macs_are_the_products_that_are_made(shape: tuple[int, ...], layer: keras.layers.Layer) -> None:
    model = keras.Sequential([keras.Input(shape), layer])
    assert model_size(model, limits=("macs",)).macs == multiplications(model) > 0


def test_by_hand_a_separable_and_a_normalised_convolution() -> None:
    separable = keras.Sequential([keras.Input((9, 8, 4)), layers.SeparableConv2D(6, 3, depth_multiplier=2)])
    positions = 7 * 6
    assert model_size(separable, limits=ALL).macs == positions * (9 * 4 * 2 + 8 * 6)
    inner = layers.Conv2D(4, 2, padding="same")
    normalised = keras.Sequential([keras.Input((5, 6, 7)), layers.SpectralNormalization(inner)])
    counted = model_size(normalised, limits=ALL)
    assert counted == Size(4 * 7 * 4 + 4 + 4, 5 * 6 * 4 * 4 * 7, activations=4 * 5 * 6 * (7 + 4))


def test_what_has_no_kernel_multiplies_nothing() -> None:
    words = keras.Input((6,), dtype="int32")
    x: Any = layers.Embedding(11, 4)(words)
    for layer in (layers.BatchNormalization(), layers.LayerNormalization(), layers.RMSNormalization()):
        x = layer(x)
    x = layers.PReLU()(layers.GroupNormalization(2)(layers.Normalization(mean=0, variance=1)(x)))
    x = keras.ops.tanh(x)
    x = x * 2
    model = keras.Model(words, layers.GlobalAveragePooling1D()(layers.Dropout(0.1)(x)))
    assert model_size(model, limits=ALL).macs == 0


def test_layers_are_counted_at_every_call_and_in_nested_models() -> None:
    shared = layers.Dense(5)
    left, right = keras.Input((3, 5)), keras.Input((5,))
    tower = keras.Sequential([keras.Input((None, 5)), shared, layers.Dense(2)])
    joined = layers.Concatenate()([layers.Flatten()(tower(left)), shared(shared(right))])
    model = keras.Model([left, right], [layers.Dense(7)(joined), joined])
    counted = model_size(model, limits=ALL)
    assert counted.params == (5 + 1) * 5 + (5 + 1) * 2 + (11 + 1) * 7
    assert counted.macs == 3 * (25 + 10) + 2 * 25 + 11 * 7
    assert counted.activations == 4 * (3 * 5 + 3 * 5 + 5)  # the other input waits


def test_what_a_later_layer_still_needs_is_held() -> None:
    image = keras.Input((4,))
    wide = layers.Dense(6)(image)
    model = keras.Model(image, [layers.Add()([layers.Dense(4)(wide), image]), wide])
    assert model_size(model, limits=ALL).activations == 4 * (4 + 4 + 4 + 6)  # the sum, while an output waits
    once = keras.Model(image, layers.Add()([layers.Dense(4)(wide), image]))
    assert model_size(once, limits=ALL).activations == 4 * (6 + 4 + 4)  # narrowing again, while the input waits


def test_inputs_and_outputs_of_a_layer_are_added_up() -> None:
    one, other = keras.Input((3, 2)), keras.Input((3, 7))
    model = keras.Model([one, other], layers.Concatenate()([one, other]))
    assert model_size(model, limits=ALL) == Size(0, 0, activations=4 * (6 + 21 + 27))
    twice = keras.Model(one, layers.Multiply()([one, one]))  # one tensor, given twice
    assert model_size(twice, limits=ALL).activations == 4 * (6 + 6)
    parts = keras.Model(other, keras.ops.split(other, 7, axis=-1))
    assert model_size(parts, limits=ALL).activations == 4 * (21 + 21)
    inner = keras.Sequential([layers.Dense(50), layers.Dense(1)])
    steps = keras.Model(other, layers.TimeDistributed(inner)(other))  # of one step: 50 in, 1 out
    assert model_size(steps, limits=ALL) == Size(8 * 50 + 51, 3 * (7 * 50 + 50), activations=4 * (7 + 50))


class Doubled(layers.Layer):
    """A layer of the user's own, without weights."""

    def call(self, inputs: Any) -> Any:
        return 2 * inputs


class Scaled(layers.Dense):
    """Computes something else than the layer it comes from."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs: Any = super().call(inputs)
        return outputs * keras.ops.sum(self.kernel)


class Wide(layers.Dense):
    """Only another constructor."""

    def __init__(self, **given: Any) -> None:
        super().__init__(4, **given)


class CustomStep(keras.Model):
    """A functional model with its own training."""

    def train_step(self, *arguments: Any) -> Any:
        return super().train_step(*arguments)


class Subclassed(keras.Model):
    """A model without a graph."""

    def __init__(self) -> None:
        super().__init__(name="mine")
        self.dense = layers.Dense(3)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


def test_the_users_own_layers_and_models() -> None:
    x = keras.Input((5,))
    assert model_size(CustomStep(x, Wide()(Doubled()(x))), limits=ALL) == Size(24, 20, activations=4 * 10)
    with pytest.raises(SpaceError, match=r"mine \(Scaled\) has weights whose MACs are not known: .*leave"):
        model_size(keras.Sequential([x, Scaled(2, name="mine")]), limits=ALL)
    with pytest.raises(SpaceError, match=r"mine \(Subclassed\) has weights whose MACs"):
        model_size(keras.Sequential([x, Subclassed()]), limits=ALL)


@pytest.mark.parametrize(
    "layer",
    [layers.LSTM(2), layers.Bidirectional(layers.GRU(2)), layers.SimpleRNN(2), layers.Attention(use_scale=True)],
    ids=lambda layer: layer.name,
)
def test_other_layers_with_weights_are_refused_for_their_macs_alone(layer: keras.layers.Layer) -> None:
    x = keras.Input((4, 3))
    model = keras.Model(x, layer([x, x] if isinstance(layer, layers.Attention) else x))
    with pytest.raises(SpaceError, match=rf"^{layer.name} \({type(layer).__name__}\) has weights whose MACs are not"):
        model_size(model, limits=ALL)
    assert model_size(model, limits=("params", "activations")).activations


def test_a_model_without_a_graph_has_parameters_alone() -> None:
    model = Subclassed()
    model(keras.Input((4,)))
    assert model_size(model, limits=("params",)) == Size(15)
    for limit in ("macs", "activations"):
        with pytest.raises(SpaceError, match=rf"^mine \(Subclassed\) is not a graph of layers, so its {limit} cannot"):
            model_size(model, limits=(limit,))


def test_a_side_that_is_not_known_is_refused_where_it_matters() -> None:
    body = layers.Conv2D(4, 3, name="body")
    model = keras.Sequential([keras.Input((None, None, 3)), body])
    for limit in ("macs", "activations"):
        with pytest.raises(SpaceError, match=r"body \(Conv2D\) works on the shape \(None, None, .\), in which None"):
            model_size(model, limits=(limit,))
    words = keras.Sequential(
        [keras.Input((None,)), layers.Embedding(9, 4), layers.GlobalMaxPooling1D(), layers.Dense(3)]
    )
    assert model_size(words, limits=("macs",)).macs == 12


def convolution(filters: int) -> keras.Model:
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(filters, 3)])
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(2, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


IMAGES, LABELS = np.random.default_rng(0).random((8, 8, 8, 1), "float32"), np.arange(8) % 2


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (Budget(macs=326 * 2), "978 MACs, 652 allowed"),
        (Budget(activations=4 * (64 + 2 * 36)), "688 bytes of activations, 544 allowed"),
        (Budget(params=1000, macs=326 * 2), "978 MACs, 652 allowed"),
        (Budget(params=26, macs=326 * 2), "38 parameters, 26 allowed; 978 MACs, 652 allowed"),
    ],
    ids=str,
)
def test_a_build_function_is_held_to_every_limit(tmp_path: Any, budget: Budget, told: str) -> None:
    def build(hp: Any) -> keras.Model:
        return convolution(hp.Choice("filters", [2, 3]))

    tuner = OptunaTuner(build, "val_accuracy", 9, budget=budget, seed=0, directory=tmp_path, pruner="none")
    tuner.search(IMAGES, LABELS, validation_data=(IMAGES, LABELS), verbose=0)
    kept, refused = sorted(tuner.oracle.study.trials, key=lambda trial: trial.state.name)[:2]
    assert (kept.state.name, kept.params) == ("COMPLETE", {"filters": 2})
    assert (refused.user_attrs["reason"], refused.params) == ("over_budget", {"filters": 3})
    assert refused.user_attrs["message"] == told
    assert refused.constraints == {name: refused.user_attrs[name] - limit for name, limit in budget.limits.items()}
    assert kept.user_attrs["macs"] == (652 if "macs" in budget.limits else None)


def test_a_build_that_differs_from_call_to_call_cannot_slip_past_any_limit(tmp_path: Any) -> None:
    calls: list[int] = []

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Float("x", 0, 1)
        calls.append(1)
        return convolution(1 if len(calls) % 2 == 0 else 100)  # small when it is counted

    tuner = OptunaTuner(build, "val_accuracy", 1, budget=Budget(macs=1000), seed=0, directory=tmp_path)
    with pytest.raises(RuntimeError, match="the model that was built has 32,600 MACs, 1,000 allowed: let build"):
        tuner.search(IMAGES, LABELS, validation_data=(IMAGES, LABELS), verbose=0)


def test_a_model_that_cannot_be_counted_ends_the_search_with_one_line(tmp_path: Any) -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((8, 8)), layers.LSTM(hp.Int("units", 1, 3)), layers.Dense(2)])
        model.compile("sgd", "mse")
        return model

    tuner = OptunaTuner(build, "val_loss", 1, budget=Budget(macs=1000), seed=0, directory=tmp_path)
    with pytest.raises(InputError, match=r"\(LSTM\) has weights whose MACs are not known"):
        tuner.search(IMAGES[..., 0], LABELS, validation_data=(IMAGES[..., 0], LABELS), verbose=0)


def test_flash_and_ram_need_a_closed_form() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="own")
    for limit in ("flash", "ram"):
        with pytest.raises(
            SpaceError, match=f"the {limit} of a network on a chip cannot be told before its training: describe"
        ):
            model_size(model, limits=("params", limit))
