"""The private names of Keras that are used still mean what they did."""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state
from keras.src.backend.common.remat import get_current_remat_mode
from keras.src.saving.serialization_lib import in_safe_mode

from kerastuna.search.compat.keras import (
    SETTINGS,
    all_layers,
    clear_session,
    graph_of,
    random_state_kept,
    run_through_graph,
    set_kept_settings,
    settings_kept,
)

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


DISTRIBUTION: Any = object()


@pytest.fixture
def fresh() -> Iterator[None]:
    """Keras has no settings before and after."""
    keras.utils.clear_session(free_memory=False)
    yield
    keras.utils.clear_session(free_memory=False)


def settings() -> Sequence[Any]:
    return (
        keras.config.dtype_policy().name,
        keras.distribution.distribution(),
        keras.config.is_flash_attention_enabled(),
        keras.config.is_interactive_logging_enabled(),
        keras.config.is_traceback_filtering_enabled(),
        in_safe_mode(),
        keras.saving.get_registered_object("Own") is Own,
        get_current_remat_mode() is not None,
        global_state.get_global_attribute("torch_device"),
    )


@pytest.mark.usefixtures("fresh")
def test_a_cleared_session_keeps_what_a_program_has_set() -> None:
    default = settings()
    with ExitStack() as scopes:
        keras.config.set_dtype_policy("mixed_bfloat16")
        keras.distribution.set_distribution(DISTRIBUTION)
        keras.config.disable_flash_attention()
        keras.config.disable_interactive_logging()
        keras.config.disable_traceback_filtering()
        keras.config.enable_unsafe_deserialization()
        scopes.enter_context(keras.saving.custom_object_scope({"Own": Own}))
        scopes.enter_context(keras.RematScope())
        global_state.set_global_attribute("torch_device", "cpu")  # `keras.device` does it, on torch alone
        given = settings()
        assert len(given) == len(SETTINGS)
        assert all(now != before for now, before in zip(given, default, strict=True))
        keras.layers.Dense(2)
        clear_session()
        assert settings() == given
        assert keras.layers.Dense(2).name == "dense"  # the names begin anew
        with settings_kept():
            keras.utils.clear_session()
            assert settings() == default  # Keras forgets them, which is why they are kept
            set_kept_settings()
            assert settings() == given
    keras.utils.clear_session()
    set_kept_settings()
    assert settings() == default  # it does nothing outside of a block


@pytest.mark.usefixtures("fresh")
def test_settings_are_those_of_the_outermost_block() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    with settings_kept():
        keras.config.set_dtype_policy("float64")
        with settings_kept():
            assert keras.config.dtype_policy().name == "float64"
        assert keras.config.dtype_policy().name == "float64"  # the inner block has done nothing
        clear_session()
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        keras.utils.clear_session()
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


@settings_kept()
@random_state_kept()
def failing() -> None:
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(2)
    keras.random.uniform(())
    raise ValueError("no")


@pytest.mark.usefixtures("fresh")
def test_the_random_state_is_that_before_the_block() -> None:
    def drawn() -> Sequence[float]:
        return random.random(), np.random.random(), float(keras.random.uniform(()))

    keras.utils.set_random_seed(1)
    drawn()
    first = drawn()
    keras.utils.set_random_seed(1)
    drawn()
    with random_state_kept():
        keras.utils.set_random_seed(2)
        assert drawn() != first
    assert drawn() == first


@pytest.mark.usefixtures("fresh")
def test_they_are_kept_where_the_block_fails() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    with pytest.raises(ValueError, match="no"):
        failing()
    assert (random.random(), np.random.random()) == expected
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
