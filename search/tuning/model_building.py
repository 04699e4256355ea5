"""Models whose layers get their shapes only when they see data: built without data, and loaded."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras

from ..compat.keras import all_layers, graph_of, run_through_graph


def waits_for_data(model: keras.Model) -> bool:
    """Whether some layers of `model` have no parameters yet. Such a model can neither be counted nor loaded."""
    return not model.built or any(not layer.built for layer in all_layers(model))


def optimizers_of(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Every optimizer that `model` or a layer in it keeps: none before it is compiled, several in a GAN."""
    kept = (value for layer in all_layers(model) for value in vars(layer).values())
    return [optimizer for value in kept for optimizer in _optimizers_in(value)]


def _optimizers_in(value: Any) -> Iterator[keras.optimizers.Optimizer]:
    if isinstance(value, keras.optimizers.Optimizer):
        yield value
    elif isinstance(value, Mapping):
        yield from _optimizers_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _optimizers_in(part)


def build_for(model: keras.Model, shape: Any, dtype: str = "float32") -> None:
    """Build all layers of `model` by symbolic calls: those too that it calls in training alone.

    A `build` method of the user's own may leave its layers to the first call.

    Args:
        shape: of a batch, with None for its size; a list, a tuple or a dictionary of shapes for several inputs.
        dtype: of every input.
    """
    _call(model, _inputs(shape, dtype))


def build_for_own_inputs(model: keras.Model) -> bool:
    """Build all layers of a model that begins with `keras.Input`; returns False, and does nothing, for another one.

    Layers inside its layers may have no parameters yet.
    """
    if not model.built or (graph := graph_of(model)) is None:
        return False
    _call(model, keras.tree.map_structure(lambda tensor: keras.KerasTensor(tensor.shape, tensor.dtype), graph.input))
    return True


def build_from_config(model: keras.Model, path: Path) -> None:
    """Build `model` for its own inputs, or else as the build configuration in the JSON file at `path` says.

    KerasTuner wrote that file at training.
    """
    if build_for_own_inputs(model):
        return
    config = json.loads(path.read_text()) or {}
    if (shape := config.get("input_shape")) is not None:
        build_for(model, shape)
    else:  # of a `get_build_config` of the user's own
        model.build_from_config(config)


def load_weights(model: keras.Model, weights: Path, build_config: Path) -> None:
    """Give a new `model` the weights in the file `weights`; `build_config` is for one that waits for data."""
    if waits_for_data(model):
        build_from_config(model, build_config)
    model.load_weights(weights, objects_to_skip=optimizers_of(model))  # new ones have no place for their states


def _call(model: keras.Model, inputs: Any) -> None:
    """Call `model` symbolically, as in training too where layers are left over that it may call in training alone."""
    model(inputs)
    if waits_for_data(model):
        _call_in_training(model, inputs)


def _call_in_training(operation: Any, *arguments: Any, **given: Any) -> Any:
    if (graph := graph_of(operation)) is not None:  # Keras does not tell the layers of a graph
        return run_through_graph(graph, arguments[0], lambda inner: partial(_call_in_training, inner))
    training = {"training": True} if isinstance(operation, keras.Layer) else {}
    return operation(*arguments, **given | training)


def _inputs(shape: Any, dtype: str) -> Any:
    """`keras.Input` of a shape, in the place of every shape in a structure of shapes."""
    if isinstance(shape, Mapping):
        return {name: _inputs(inner, dtype) for name, inner in shape.items()}
    if any(isinstance(side, list | tuple | Mapping) for side in shape):
        return type(shape)(_inputs(inner, dtype) for inner in shape)
    return keras.Input(batch_shape=tuple(shape), dtype=dtype)
