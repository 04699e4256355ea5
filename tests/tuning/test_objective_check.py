"""What a training must report: the metrics that are optimised, as numbers."""

from types import SimpleNamespace
from typing import Any

import keras_tuner
import numpy as np
import pytest
from keras_tuner.errors import FailedTrialError

from kerastuna.search.errors import InputError
from kerastuna.search.tuning.goal_arguments import goal_for
from kerastuna.search.tuning.objective_check import ObjectiveCheck

ACCURACY = keras_tuner.Objective("val_accuracy", "max")


def check(*scores: float | None, **goal: Any) -> ObjectiveCheck:
    arguments = {"pareto": None, "minimize": None, "reach": None} | goal
    return ObjectiveCheck(ACCURACY, goal_for(ACCURACY, **arguments), lambda: [SimpleNamespace(score=s) for s in scores])


def test_numbers_pass():
    check()({"val_accuracy": np.float32(0.5), "confusion": np.eye(2)})
    assert check().names == ("val_accuracy",)


@pytest.mark.parametrize("metrics", [{"accuracy": 0.5}, {"val_accuracy": np.eye(2)}])
def test_what_is_missing_or_no_number_is_the_users_error_until_a_trial_has_a_score(metrics: dict[str, Any]):
    for scores in ((), (None,)):
        with pytest.raises(InputError, match="val_accuracy"):
            check(*scores)(metrics)
    with pytest.raises(FailedTrialError, match="val_accuracy"):
        check(None, 0.7)(metrics)


def test_the_parts_of_a_front_are_looked_for_but_not_its_costs():
    front = check(pareto=[ACCURACY, keras_tuner.Objective("val_loss", "min"), "params"])
    front({"val_accuracy": 0.5, "val_loss": 1.0})
    with pytest.raises(InputError, match="val_loss"):
        front({"val_accuracy": 0.5})


def test_several_objectives_may_be_known_by_their_sum():
    both: Any = [keras_tuner.Objective("val_loss", "min"), keras_tuner.Objective("loss", "min")]
    objective = keras_tuner.RandomSearch(lambda hp: None, objective=both, max_trials=1).oracle.objective
    found = ObjectiveCheck(objective, goal_for(objective, None, None, None), list)
    assert set(found.names) == {"val_loss", "loss"}
    found({objective.name: 1.0})
    found({"val_loss": 1.0, "loss": 2.0})
    with pytest.raises(InputError, match="loss"):
        found({"val_loss": 1.0})
