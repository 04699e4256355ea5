"""The size of a network: in closed form, or by building it."""

from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from kerastuna.search.errors import InputError, SpaceError
from kerastuna.search.tuning.measure import NetworkMeasure
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.references import REFERENCES


def hp(**values: Any) -> keras_tuner.HyperParameters:
    found = keras_tuner.HyperParameters()
    found.values = values
    return found


def dense(hp: keras_tuner.HyperParameters) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 9))])


def shapeless(hp: keras_tuner.HyperParameters) -> keras.Model:
    return keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 9))], name="shapeless")


def test_a_search_space_is_counted_without_building() -> None:
    def build(hp: Any) -> Any:
        raise AssertionError("nothing is built")

    space = ConvNet()
    declared = keras_tuner.HyperParameters()
    space.declare_hyperparameters(declared)
    declared.values = dict(REFERENCES["eip_3"].values)
    size = NetworkMeasure(space, build)(declared, {"params"})
    assert size is not None
    assert (size.params, size.summary) == (14652, "16-32-p16 | 16-32 | p10 | conv")


def test_another_hypermodel_is_built_once_where_something_is_counted() -> None:
    built: list[int] = []

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        built.append(1)
        return dense(hp)

    measure = NetworkMeasure(dense, build)
    assert measure(hp(units=3), set()) is None
    assert built == []
    size = measure(hp(units=3), {"params", "macs"})
    assert size is not None
    assert (size.params, size.macs, size.ram) == (15, 12, None)
    assert built == [1]


def test_a_network_that_gets_its_shape_from_the_data_is_counted_for_them() -> None:
    measure = NetworkMeasure(shapeless, shapeless)
    with pytest.raises(SpaceError, match=r"shapeless has no input shape.*begin it with keras\.Input"):
        measure(hp(units=3), {"params"})
    measure.expect(np.zeros((10, 4), "float32"))
    size = measure(hp(units=3), {"params"})
    assert size is not None
    assert size.params == 15
    measure.expect([np.zeros((10, 4))])  # several inputs tell no shape
    with pytest.raises(SpaceError):
        measure(hp(units=3), {"params"})


def unknown_rank() -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_generator(lambda: iter([np.zeros((2, 4))]), output_types=tf.float32)


class Batches(keras.utils.PyDataset):
    def __getitem__(self, index: int) -> Any:
        return np.zeros((2, 4))


@pytest.mark.parametrize(
    "x",
    [
        *(np.array(["a", "b"], dtype=object), [np.zeros((2, 4))], {"x": np.zeros((2, 4))}, ["a", "b"], "text", None),
        *(np.array(3.0), np.array(["2020-01-01"], "datetime64[D]"), unknown_rank(), Batches()),
        (number for number in range(3)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_data_that_tell_no_shape_are_left_to_the_training(x: Any) -> None:
    measure = NetworkMeasure(shapeless, shapeless)
    measure.expect(x)
    with pytest.raises(SpaceError, match="shapeless has no input shape"):
        measure(hp(units=3), {"params"})


def test_strings_have_a_dtype() -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        words = keras.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4)
        return keras.Sequential([words, keras.layers.Embedding(4, hp.Int("units", 1, 9))])

    measure = NetworkMeasure(build, build)
    measure.expect(np.array(["a b", "b"]))
    size = measure(hp(units=3), {"params"})
    assert size is not None
    assert size.params == 12


def test_layers_without_parameters_of_a_network_with_several_inputs_are_counted() -> None:
    class InTraining(keras.Layer):
        def __init__(self, units: Any) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(units)

        def build(self, input_shape: Any) -> None:
            self.built = True

        def call(self, inputs: Any, training: bool = False) -> Any:
            return inputs * keras.ops.sum(self.dense(inputs)) if training else inputs

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        left, right = keras.Input((4,)), keras.Input((4,))
        return keras.Model([left, right], InTraining(hp.Int("units", 1, 9))(left + right))

    size = NetworkMeasure(build, build)(hp(units=3), {"params"})
    assert size is not None
    assert size.params == 15


def test_what_cannot_be_built_is_left_to_the_trial_and_wrong_input_is_not() -> None:
    def broken(hp: Any) -> Any:
        raise ValueError("no such layer")

    def wrong(hp: Any) -> Any:
        raise InputError("wrong")

    assert NetworkMeasure(broken, broken)(hp(), {"params"}) is None
    assert NetworkMeasure(dense, lambda hp: "no model")(hp(), {"params"}) is None
    with pytest.raises(InputError, match="wrong"):
        NetworkMeasure(wrong, wrong)(hp(), {"params"})
