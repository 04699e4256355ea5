"""A space's hyperparameters, suggested by an Optuna trial, and how a trial is told."""

import gc
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from side_by_side.clock import TimeUp
from side_by_side.job import Job
from side_by_side.plain_optuna import SuggestedHyperparameters, outcome, plain_optuna

from kerastuna.spaces import ConvNet, InfeasibleArchitecture


def test_the_active_values_alone_give_the_same_network_as_with_keras_tuner() -> None:
    space, draw, compared = ConvNet(), random.Random(0), 0
    declared = keras_tuner.HyperParameters()
    space.declare_hyperparameters(declared)
    for _ in range(60):
        point = declared.copy()
        point.values = {}
        for hp in declared.space:
            if point.is_active(hp):
                point.values[hp.name] = hp.random_sample(draw.randrange(2**32))
        # A `FixedTrial` raises an error when it is asked for anything else.
        suggested: Any = SuggestedHyperparameters(optuna.trial.FixedTrial(point.values))  # pyright: ignore[reportArgumentType]
        try:
            expected = space.architecture(point)
        except InfeasibleArchitecture:
            with pytest.raises(InfeasibleArchitecture):
                space.architecture(suggested)
            continue
        assert space.architecture(suggested) == expected
        assert space.recipe(suggested) == space.recipe(point)
        compared += 1
    assert compared > 20


@pytest.mark.parametrize(
    ("state", "attributes", "told"),
    [
        (TrialState.COMPLETE, {}, "complete"),
        (TrialState.PRUNED, {}, "stopped_early"),
        (TrialState.PRUNED, {"outcome": "over_budget"}, "over_budget"),
        (TrialState.FAIL, {}, "failed"),
    ],
)
def test_how_a_trial_ended(state: TrialState, attributes: dict[str, Any], told: str) -> None:
    values = [0.5] if state == TrialState.COMPLETE else None
    assert outcome(optuna.trial.create_trial(state=state, values=values, user_attrs=attributes)) == told


class Sizes:
    """A space of networks of these sizes, one after the other, then the time is up."""

    def __init__(self, sizes: list[int], collections: list[str]) -> None:
        self._sizes = iter(sizes)
        self._collections = collections

    def build(self, hp: Any) -> keras.Model:
        if (size := next(self._sizes, None)) is None:
            raise TimeUp
        return keras.Sequential([keras.Input((size,)), keras.layers.Dense(1, use_bias=False)])

    def fit(self, hp: Any, model: keras.Model, **arguments: Any) -> Any:
        self._collections.append("trained")
        assert np.shape(model(np.ones((2, model.count_params())))) == (2, 1)
        return SimpleNamespace(history={"val_accuracy": [0.5]})


@pytest.mark.usefixtures("eager")
def test_garbage_is_collected_for_a_training_and_not_for_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna_integration", reason="needs the extra bench")
    done: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda *generation: done.append("collected"))
    space: Any = Sizes([20, 30, 5, 20, 6, 40], done)
    x, y = np.zeros((1, 1), "float32"), np.zeros(1, "int32")
    ended = plain_optuna(Job(space, x, y, (x, y), 1, 60, 1, tmp_path, time.time(), budget=10))
    assert [one.outcome for one in ended[:6]] == [
        *["over_budget"] * 2,
        "complete",
        "over_budget",
        "complete",
        "over_budget",
    ]
    assert [one.params for one in ended[:6]] == [20, 30, 5, 20, 6, 40]
    assert done == ["collected", "trained"] * 2
