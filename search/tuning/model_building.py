"""Models whose layers get their shapes only when they see data: built without data, and loaded."""

import json
from collections.abc import Sequence
from pathlib import Path

import keras

from ..compat.keras import all_layers


def waits_for_data(model: keras.Model) -> bool:
    """Whether some layers of `model` have no parameters yet. Such a model can neither be counted nor loaded."""
    return not model.built or any(not layer.built for layer in all_layers(model))


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
