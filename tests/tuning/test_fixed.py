"""Hyperparameters that are not varied: what is understood, what is refused, and that they stay."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from tuner_support import Function

from kerastuna.search import OptunaTuner
from kerastuna.search.errors import SpaceError, StudyError
from kerastuna.search.tuning.fixed import with_fixed
from kerastuna.spaces.compact import Compact
from kerastuna.spaces.convnet import ConvNet


def declare(hp: Any) -> dict[str, Any]:
    """A space with every kind of hyperparameter."""
    values = {
        "kind": hp.Choice("kind", ["plain", "deep"]),
        "size": hp.Choice("size", [0.0, 0.25, 1.5]),
        "units": hp.Int("units", 4, 32, step=4),
        "rate": hp.Float("rate", 1e-4, 1e-1, sampling="log"),
        "flag": hp.Boolean("flag"),
        "constant": hp.Fixed("constant", 7),
    }
    with hp.conditional_scope("kind", ["deep"]):
        values["depth"] = hp.Int("depth", 1, 3)
        with hp.conditional_scope("depth", [2, 3]):
            values["width"] = hp.Int("width", 1, 3)
    return values


@pytest.fixture
def space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    declare(hp)
    return hp


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("kind", "deep", "deep"),
        ("size", "1.5", 1.5),
        ("size", "0", 0.0),
        ("size", 0.25, 0.25),
        ("units", "8", 8),
        ("units", 8.0, 8),
        ("rate", "3e-3", 3e-3),
        ("flag", "true", True),
        ("flag", "False", False),
        ("flag", True, True),
        ("constant", "7", 7),
        ("depth", "2", 2),
    ],
)
def test_a_value_is_understood_as_it_is_written(
    space: keras_tuner.HyperParameters, name: str, given: Any, value: Any
) -> None:
    before = space.get_config()
    pinned = with_fixed(space, {name: given})
    (hp,) = [hp for hp in pinned.space if hp.name == name]
    assert (type(hp).__name__, hp.default, type(hp.default)) == ("Fixed", value, type(value))
    assert space.get_config() == before
    assert declare(pinned)[name] == (None if name == "depth" else value)
    assert [hp.name for hp in pinned.space] == [hp.name for hp in space.space]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"kinds": "deep"},
            "'kinds' cannot be fixed: the space has kind, size, units, rate, flag, constant, depth, width",
        ),
        ({"kind": "flat"}, "hyperparameter 'kind' = 'flat' is outside the space: give one of 'plain', 'deep'"),
        ({"size": "0.3"}, "'size' = '0.3' is outside the space: give one of 0.0, 0.25, 1.5"),
        ({"units": "6"}, "'units' = 6.0 is outside the space: give a whole number from 4 to 32 in steps of 4"),
        ({"units": "many"}, "'units' = 'many' is outside the space"),
        ({"rate": "nan"}, "'rate' = nan is outside the space"),
        ({"rate": 1}, "'rate' = 1 is outside the space: give a number from 0.0001 to 0.1"),
        ({"flag": "maybe"}, "'flag' = 'maybe' is outside the space"),
        ({"constant": 8}, "hyperparameter 'constant' is 7 in this space: it cannot be 8"),
        ({"kind": "plain", "depth": 2}, "'depth' plays no part where kind is not deep: leave one of the two out"),
        ({"kind": "plain", "width": 2}, "'width' plays no part where kind is not deep: leave one of the two out"),
        ({"depth": 1, "width": 2}, "'width' plays no part where depth is not 2 or 3: leave one of the two out"),
    ],
)
def test_what_cannot_be_fixed_is_refused_in_one_line(
    space: keras_tuner.HyperParameters, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(SpaceError) as caught:
        with_fixed(space, given)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def values_of(tuner: Any) -> list[dict[str, Any]]:
    return [trial.user_attrs["hyperparameters"] for trial in tuner.oracle.study.trials]


def test_a_search_keeps_them_and_they_identify_the_study(tmp_path: Path) -> None:
    def score(hp: Any) -> float:
        return float(declare(hp)["rate"])

    fixed: dict[str, Any] = {"kind": "deep", "depth": "2", "units": 8}
    tuner = Function(lambda hp: {"val_accuracy": score(hp)}, tmp_path, 6, hypermodel=Space(), fixed=fixed)
    tuner.search()
    tried = values_of(tuner)
    assert len(tried) == 6
    assert {(values["kind"], values["depth"], values["units"]) for values in tried} == {("deep", 2, 8)}
    assert len({values["width"] for values in tried}) > 1
    assert len({values["rate"] for values in tried}) == 6
    again = Function(score, tmp_path, 8, hypermodel=Space(), fixed=fixed)
    assert again.oracle.remaining_trials() == 2
    with pytest.raises(StudyError, match="hyperparameters: other depth"):
        Function(score, tmp_path, 6, hypermodel=Space(), fixed=fixed | {"depth": 3}).oracle.remaining_trials()


class Space(keras_tuner.HyperModel):
    def build(self, hp: Any) -> Any:
        declare(hp)
        return keras_tuner  # anything: it is never trained


@pytest.mark.parametrize(
    ("space", "fixed"),
    [
        (ConvNet(), {"blocks": "2", "dropout": "0.1", "head": "gap", "block2_conv1": "16"}),
        (Compact(parameters=900), {"augment": "none", "optimizer": "sgd", "residual": "false", "fill": "1"}),
    ],
    ids=["convnet", "compact"],
)
def test_the_spaces_can_be_fixed(space: Any, fixed: dict[str, str]) -> None:
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    pinned = with_fixed(hp, fixed)
    network = space.architecture(pinned)
    assert network == space.architecture(pinned.copy())
    assert space.recipe(pinned) == space.recipe(pinned.copy())
    assert len(pinned.space) == len(hp.space)


def layered(hp: Any) -> Any:
    """The loop of KerasTuner's guide: the width of a layer shows up where the network has it."""
    model: Any = keras.Sequential([keras.Input((4,))])
    for layer in range(hp.Int("layers", 1, 3)):
        model.add(keras.layers.Dense(hp.Int(f"units_{layer}", 2, 8, step=2)))
    model.compile("adam", "mse", run_eagerly=True)
    return model


def test_what_shows_up_at_fixed_values_can_be_fixed_too(tmp_path: Path) -> None:
    tuner = OptunaTuner(layered, "val_loss", 3, fixed={"layers": "3", "units_2": 4}, directory=tmp_path, seed=0)
    x = np.zeros((4, 4), "float32")
    tuner.search(x, np.zeros((4, 8 // 2), "float32"), validation_split=0.5, verbose=0)
    assert {(values["layers"], values["units_2"]) for values in values_of(tuner)} == {(3, 4)}
    assert len({(values["units_0"], values["units_1"]) for values in values_of(tuner)}) > 1
    with pytest.raises(SpaceError, match="'units_2' cannot be fixed: the space has layers, units_0, units_1"):
        OptunaTuner(layered, "val_loss", fixed={"layers": 2, "units_2": 4}, directory=tmp_path / "other")


def test_what_shows_up_at_the_values_can_be_enqueued(tmp_path: Path) -> None:
    tuner = OptunaTuner(layered, "val_loss", 1, directory=tmp_path, seed=0)
    values = {"layers": 3, "units_0": 2, "units_1": 4, "units_2": 6}
    tuner.enqueue(values)
    x = np.zeros((4, 4), "float32")
    tuner.search(x, np.zeros((4, 6), "float32"), validation_split=0.5, verbose=0)
    assert values_of(tuner) == [values]
    with pytest.raises(SpaceError, match="'units_3' is no hyperparameter of the space, which has layers, units_0"):
        tuner.enqueue({**values, "units_3": 2})
