"""Values as KerasTuner's hyperparameters, and their exchange between processes."""

from typing import Any

import keras_tuner
import optuna

from kerastuna.search.tuning.hyperparameters import (
    declared_hyperparameters,
    hyperparameters_at,
    share_hyperparameters,
)
from kerastuna.search.tuning.keras_tuner_fixes import DefaultingHyperParameters


class Declared(keras_tuner.HyperModel):
    def declare_hyperparameters(self, hp: Any) -> None:
        hp.Int("width", 1, 9)

    def build(self, hp: Any) -> None:
        raise AssertionError("nothing is built")


def test_the_space_is_left_as_it_is() -> None:
    space = DefaultingHyperParameters()
    space.Int("width", 1, 9)
    at = hyperparameters_at(space, {"width": 7})
    assert (at.get("width"), space.get("width")) == (7, 1)
    assert type(at) is DefaultingHyperParameters
    assert [hp.name for hp in at.space] == ["width"]


def test_a_hypermodel_declares_and_a_function_does_not() -> None:
    declared = declared_hyperparameters(Declared(), {"width": 7})
    assert (declared.get("width"), [hp.name for hp in declared.space]) == (7, ["width"])
    found = declared_hyperparameters(lambda hp: None, {"width": 7})
    assert (found.values, found.space) == ({"width": 7}, [])


def test_two_processes_learn_from_each_other() -> None:
    study = optuna.create_study()
    one, other = keras_tuner.HyperParameters(), keras_tuner.HyperParameters()
    one.Int("width", 1, 9)
    other.Int("depth", 1, 3)
    share_hyperparameters(study, one)
    share_hyperparameters(study, other)
    share_hyperparameters(study, one)
    assert {hp.name for hp in one.space} == {hp.name for hp in other.space} == {"width", "depth"}
