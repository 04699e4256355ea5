"""Values that several sections of a model card need."""

import pytest
from champion_record import FRONT, RECORD, TARGET, changed, of_numbers, with_goal

from kerastuna.search.datasets.task import Classification, Regression
from kerastuna.search.report.model_card_values import (
    basis,
    count,
    deviation,
    goal_in,
    hardest_number,
    meaning_of_answers,
    metric_in,
    metric_on_test,
    sample_in,
    seeds,
    task_in,
    unit_in,
    values,
)
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


def test_the_direction_is_that_of_the_record_and_old_records_have_none():
    assert goal_in(of_numbers()) == BestMetric(Quantity("val_mae", "min"))
    old = changed()
    del old["direction"], old["test"]["metric"], old["answers"]
    assert goal_in(old) == BestMetric(ACCURACY)
    assert metric_on_test(old) == "accuracy"
    assert meaning_of_answers(old) == "the probability of each class"


def test_the_task_and_what_it_is_about():
    assert task_in(RECORD) == Classification(11)
    assert task_in(of_numbers()) == Regression(2, ("price", "age"))
    assert (unit_in(RECORD), sample_in(RECORD), metric_in(RECORD)) == ("images", "image", "accuracy")
    assert (unit_in(of_numbers()), sample_in(of_numbers()), metric_in(of_numbers())) == ("rows", "row", "mae")
    assert meaning_of_answers(RECORD) == "the logit of each class"


def test_numbers_have_one_format():
    assert (count(14_652), count(None)) == ("14,652", None)
    assert values([0.99412, 0.00001], "accuracy") == "0.9941, 0.0000"
    assert values([12_345.6, 0.00001234], "mae") == "12,346, 1.234e-05"
    assert deviation({"std": 0.00078, "n": 2}, "accuracy") == "0.0008"
    assert deviation({"std": 0.00078, "n": 2}, "mae") == "0.0007800"
    assert deviation({"std": 0.0, "n": 1}, "mae") is None


def test_the_hardest_number_has_the_largest_error_for_its_spread():
    record = of_numbers()
    assert hardest_number(record)["name"] == "age"
    record["test"]["per_number"][1]["spread"] = 0.0
    assert hardest_number(record)["name"] == "age"
    record["test"]["per_number"][1]["rmse"] = 0.0
    assert hardest_number(record)["name"] == "price"


def test_what_the_figures_rest_on():
    assert basis(RECORD) == "53,999 training images, 21 epochs"
    assert basis(of_numbers()) == "53,999 training rows, 21 epochs"
    assert seeds(RECORD) == "2 seeds"
    assert seeds(changed(validation=RECORD["validation"] | {"n": 1})) == "1 seed"
