"""Models whose layers get their shapes only when they see data: built without data, and loaded."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from ..compat.keras import all_layers


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


def build_for(model: keras.Model, shape: Sequence[int | None], dtype: str = "float32") -> None:
    """Build all layers of `model` by a symbolic call.

    A `build` method of the user's own may leave its layers to the first call.

    Args:
        shape: of a batch, with None for its size.
    """
    model(keras.Input(batch_shape=tuple(shape), dtype=dtype))


def build_from_config(model: keras.Model, path: Path) -> None:
    """Build `model` as the build configuration in the JSON file at `path` says, which KerasTuner wrote at training."""
    config = json.loads(path.read_text())
    if isinstance(config.get("input_shape"), list) and not isinstance(config["input_shape"][0], list):
        build_for(model, config["input_shape"])
    else:  # several inputs
        model.build_from_config(config)
