"""Values that several sections of a model card need."""

import pytest
from champion_record import FRONT, RECORD, TARGET, changed, with_goal

from kerastuna.search.report.model_card_values import basis, count, deviation, goal_in, seeds, share
from kerastuna.search.study.goal import BestMetric, Goal, ParetoFront, Quantity, SmallestNetwork

ACCURACY = Quantity("val_accuracy", "max")


@pytest.mark.parametrize(
    ("record", "goal"),
    [
        (RECORD, BestMetric(ACCURACY)),
        (changed(goal=None), BestMetric(ACCURACY)),
        (with_goal(TARGET), SmallestNetwork(ACCURACY, "macs", 0.9915)),
        (
            with_goal(FRONT),
            ParetoFront(ACCURACY, (ACCURACY, Quantity("params", "min"), Quantity("ram", "min"))),
        ),
    ],
    ids=["without", "best", "smallest", "front"],
)
def test_the_goal_is_read_from_the_record(record: dict, goal: Goal):
    assert goal_in(record) == goal
    assert goal_in(record).description() == record.get("goal")


def test_numbers_have_one_format():
    assert (count(14_652), count(None), share(0.99412)) == ("14,652", None, "0.9941")
    assert deviation({"std": 0.00078, "n": 2}) == "0.0008"
    assert deviation({"std": 0.0, "n": 1}) is None


def test_what_the_figures_rest_on():
    assert basis(RECORD) == "53,999 training images, 21 epochs"
    assert seeds(RECORD) == "2 seeds"
    assert seeds(changed(validation=RECORD["validation"] | {"n": 1})) == "1 seed"
