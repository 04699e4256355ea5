"""A goal is made from the arguments of a tuner."""

import math
from typing import Any

import keras_tuner
import pytest

from kerastuna.search.study.goal import BestMetric, Goal, ParetoFront, Quantity, SmallestNetwork
from kerastuna.search.tuning.goal_arguments import goal_for, metric_for
from kerastuna.spaces.errors import InputError

ACCURACY, LOSS = Quantity("val_accuracy", "max"), Quantity("val_loss", "min")
F1, R2 = Quantity("val_f1_score", "max"), Quantity("val_r2_score", "max")
FRONT = ParetoFront(ACCURACY, (ACCURACY, Quantity("params", "min")))
SMALLEST = SmallestNetwork(ACCURACY, "params", 0.9)


def goal_from(objective: Any = None, pareto: Any = None, minimize: Any = None, reach: Any = None) -> Goal:
    given = metric_for(objective, pareto, reach)
    return goal_for(keras_tuner.Oracle(objective=given).objective, pareto, minimize, reach)


@pytest.mark.parametrize(
    ("arguments", "goal"),
    [
        ({"objective": "val_accuracy"}, BestMetric(ACCURACY)),
        ({"objective": keras_tuner.Objective("val_accuracy", "max")}, BestMetric(ACCURACY)),
        ({"objective": "val_f1_score"}, BestMetric(Quantity("val_f1_score", "max"))),
        ({"reach": {"val_r2_score": 0.5}, "minimize": "macs"}, SmallestNetwork(R2, "macs", 0.5)),
        ({"pareto": ["val_f1_score", "params"]}, ParetoFront(F1, (F1, Quantity("params", "min")))),
        ({"objective": ["val_loss"]}, BestMetric(Quantity("multi_objective", "min"))),
        ({}, BestMetric(Quantity("default_objective", "min"))),
        ({"pareto": ["val_accuracy", "params"]}, FRONT),
        (
            {"pareto": ["peak_activation_bytes", "val_loss", keras_tuner.Objective("val_accuracy", "max")]},
            ParetoFront(LOSS, (Quantity("activations", "min"), LOSS, ACCURACY)),
        ),
        ({"minimize": "params", "reach": {"val_accuracy": 0.9}}, SMALLEST),
        ({"minimize": "peak_activation_bytes", "reach": {"val_loss": 1}}, SmallestNetwork(LOSS, "activations", 1.0)),
    ],
)
def test_a_goal_is_made_from_what_a_tuner_is_given(arguments: dict[str, Any], goal: Goal):
    assert goal_from(**arguments) == goal


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"pareto": ["val_accuracy"]}, "give a list of at least two"),
        ({"pareto": "val_accuracy,params"}, "give a list of at least two"),
        ({"pareto": ["params", "macs"]}, "among them a metric that the training reports"),
        ({"pareto": ["val_accuracy", "activations", "peak_activation_bytes"]}, "give a list of at least two"),
        ({"pareto": ["val_accuracy", "params"], "objective": "val_loss"}, "exclude each other"),
        ({"pareto": ["val_accuracy", "params"], "reach": {"val_loss": 1}}, "exclude each other"),
        ({"minimize": "params"}, "minimize='params' alone is no goal"),
        ({"reach": {"val_accuracy": 0.9}}, "alone is no goal"),
        ({"minimize": "seconds", "reach": {"val_accuracy": 0.9}}, "choose one of params, macs, ram"),
        ({"minimize": "params", "reach": {"val_accuracy": math.nan}}, "the target has to be a number"),
        ({"minimize": "params", "reach": {"val_accuracy": "high"}}, "the target has to be a number"),
        ({"minimize": "params", "reach": 0.9}, "give one metric and its target"),
        ({"minimize": "params", "reach": {}}, "give one metric and its target"),
    ],
)
def test_what_is_no_goal_is_refused(arguments: dict[str, Any], told: str):
    with pytest.raises(InputError, match=told):
        goal_from(**arguments)
