"""Values as KerasTuner's hyperparameters."""

from collections.abc import Mapping
from typing import Any

import keras_tuner
import optuna

from ..compat.keras_tuner import with_values
from ..compat.optuna_attributes import change_study_attribute
from ..study.attributes import SPACE


def hyperparameters_at(space: keras_tuner.HyperParameters, values: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """The hyperparameters of `space` with `values`, by name; `space` itself is left as it is."""
    return with_values(type(space), space, values)


def declared_hyperparameters(hypermodel: Any, values: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """The hyperparameters that `hypermodel` declares without building a network, with `values`.

    A build function declares none, and a `HyperModel` may declare none: they find theirs as they build.
    """
    space = keras_tuner.HyperParameters()
    if isinstance(hypermodel, keras_tuner.HyperModel):
        hypermodel.declare_hyperparameters(space)
    return hyperparameters_at(space, values)


def share_hyperparameters(study: optuna.Study, known: keras_tuner.HyperParameters) -> None:
    """Exchange the hyperparameters `known` in this process with those of other processes that work on `study`.

    Some show up only while a trial is built.
    """

    def merged(shared: list[Any] | None) -> list[Any]:
        known.merge(keras_tuner.HyperParameters.from_config({"space": shared or [], "values": {}}), overwrite=False)
        return known.get_config()["space"]

    shared = study.user_attrs.get(SPACE, [])
    if len(merged(shared)) > len(shared):
        change_study_attribute(study, SPACE, merged)
