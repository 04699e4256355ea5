"""The private names of Keras that are used still mean what they did."""

from typing import Any

import keras

from kerastuna.search.compat.keras import all_layers, graph_of, run_through_graph

INNER = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="inner_dense")], name="inner")


class Own(keras.Model):
    def call(self, inputs: Any) -> Any:
        return inputs


def functional() -> Any:
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.ReLU(name="relu")(INNER(inputs)))


def test_layers_inside_layers_are_found() -> None:
    names = {layer.name for layer in all_layers(functional())}
    assert {"inner", "inner_dense", "relu"} <= names


def test_sequential_and_functional_models_have_a_graph_and_others_have_none() -> None:
    assert graph_of(INNER) is not None
    model = functional()
    assert graph_of(model) is model
    assert graph_of(Own()) is None
    assert graph_of(keras.layers.Dense(2)) is None


def test_every_operation_of_a_graph_is_run_in_order() -> None:
    ran: list[str] = []

    def noted(operation: Any) -> Any:
        ran.append(operation.name)
        return operation.compute_output_spec

    output = run_through_graph(graph_of(functional()), [keras.KerasTensor((None, 4))], noted)
    assert [name for name in ran if name in ("inner", "relu")] == ["inner", "relu"]
    assert keras.tree.flatten(output)[0].shape == (None, 2)
