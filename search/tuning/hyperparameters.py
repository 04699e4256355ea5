"""Values as KerasTuner's hyperparameters."""

from collections.abc import Mapping
from typing import Any

import keras_tuner


def hyperparameters_at(space: keras_tuner.HyperParameters, values: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """The hyperparameters of `space` with `values`, by name; `space` itself is left as it is."""
    hyperparameters = type(space).from_config(space.get_config())
    hyperparameters.values = dict(values)
    return hyperparameters


def declared_hyperparameters(hypermodel: Any, values: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """The hyperparameters that `hypermodel` declares without building a network, with `values`.

    A build function declares none, and a `HyperModel` may declare none: they find theirs as they build.
    """
    space = keras_tuner.HyperParameters()
    if isinstance(hypermodel, keras_tuner.HyperModel):
        hypermodel.declare_hyperparameters(space)
    return hyperparameters_at(space, values)
