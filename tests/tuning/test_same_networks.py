"""A study goes on only with a space that still gives its networks. tests/tuning/test_tuner.py has a whole search."""

from collections.abc import Callable
from typing import Any

import keras_tuner
import optuna
import pytest
from optuna.trial import TrialState, create_trial

from kerastuna.search.errors import InfeasibleArchitecture, StudyError
from kerastuna.search.study.budget import Size
from kerastuna.search.tuning.same_networks import check_same_networks


@pytest.fixture
def study() -> optuna.Study:
    """Two trained networks of 10 parameters for each unit, and one that was refused."""
    study = optuna.create_study(study_name="s")
    for units, params in ((9, 999), (3, 30)):
        study.add_trial(create_trial(value=0.5, user_attrs={"hyperparameters": {"units": units}, "params": params}))
    refused = {"hyperparameters": {"units": 4}, "params": 1, "reason": "over_budget"}
    study.add_trial(create_trial(state=TrialState.PRUNED, user_attrs=refused))
    return study


def check(study: optuna.Study, size: Callable[[int], Any]) -> None:
    space = keras_tuner.HyperParameters()
    space.Int("units", 1, 9)
    check_same_networks(study, space, lambda hp: size(hp.get("units")))


def test_the_network_that_was_trained_last_is_counted(study: optuna.Study) -> None:
    check(study, lambda units: Size(10 * units))  # the first trial is not counted again
    check(study, lambda units: None)
    check(optuna.create_study(), lambda units: 1 / 0)


def test_another_network_is_refused(study: optuna.Study) -> None:
    told = "trial 1 of the study 's' was trained with 30 parameters, and its layers "
    with pytest.raises(StudyError, match=f"^{told}have 3,000 now: the space was changed: put it back"):
        check(study, lambda units: Size(1000 * units))

    def infeasible(units: int) -> Size:
        raise InfeasibleArchitecture("too deep")

    with pytest.raises(StudyError, match=f"^{told}do not fit the input now: "):
        check(study, infeasible)


def test_a_network_that_was_not_counted_tells_nothing(study: optuna.Study) -> None:
    study.add_trial(create_trial(value=0.1, user_attrs={"hyperparameters": {"units": 2}}))
    check(study, lambda units: Size(7))
