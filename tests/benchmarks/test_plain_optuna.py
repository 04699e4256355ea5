"""A space's hyperparameters, suggested by an Optuna trial, and how a trial is told."""

import random
from typing import Any

import keras_tuner
import optuna
import pytest
from optuna.trial import TrialState
from side_by_side.plain_optuna import SuggestedHyperparameters, outcome

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
