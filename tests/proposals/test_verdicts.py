"""Whether a proposal may be trained, and what is told of one that may not."""

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from kerastuna.search.errors import InfeasibleArchitecture
from kerastuna.search.proposals.distributions import Values
from kerastuna.search.proposals.trial_index import TrialIndex
from kerastuna.search.proposals.verdicts import Judge, Verdict
from kerastuna.search.study.budget import Budget, Size
from kerastuna.search.study.stored_study import StoredStudy


def size_of(values: Values) -> Size:
    if values["width"] == 0:
        raise InfeasibleArchitecture("the layers do not fit")
    return Size(1000 * int(values["width"]), 5, summary="net")


@pytest.fixture
def stored() -> StoredStudy:
    storage = InMemoryStorage()
    return StoredStudy(optuna.create_study(storage=storage), storage)


def judge(stored: StoredStudy, budget: Budget | None = Budget(3000), measured: bool = True) -> Judge:  # noqa: B008
    index = TrialIndex(stored)
    index.update()
    return Judge(index, budget, size_of if measured else None)


def add(stored: StoredStudy, state: TrialState, width: int, **attributes: object) -> None:
    attributes = {"hyperparameters": {"width": width}, **attributes}
    values = [0.5] if state == TrialState.COMPLETE else None
    stored.study.add_trial(optuna.trial.create_trial(state=state, values=values, user_attrs=dict(attributes)))


def test_what_fits_may_be_trained(stored: StoredStudy) -> None:
    verdict = judge(stored).verdict({"width": 3})
    assert verdict == Verdict(size=Size(3000, 5, summary="net"), excess={"params": 0.0})
    assert verdict.attributes({"width": 3}) == {
        "hyperparameters": {"width": 3},
        "params": 3000,
        "macs": 5,
        "ram": None,
        "flash": None,
        "activations": None,
        "summary": "net",
        "receptive_field": None,
        "depth": None,
    }


def test_what_is_too_large_or_does_not_fit_is_refused_with_the_reason(stored: StoredStudy) -> None:
    large = judge(stored).verdict({"width": 4})
    assert (large.reason, large.limits, dict(large.excess)) == ("over_budget", ["params"], {"params": 1000.0})
    assert large.message == "4,000 parameters, 3,000 allowed"
    assert large.attributes({"width": 4})["limits"] == ["params"]
    shapeless = judge(stored).verdict({"width": 0})
    assert (shapeless.reason, shapeless.message, shapeless.size) == ("infeasible", "the layers do not fit", None)


def test_the_same_values_twice_are_a_duplicate_but_not_of_themselves(stored: StoredStudy) -> None:
    add(stored, TrialState.COMPLETE, 2)
    duplicate = judge(stored).verdict({"width": 2})
    assert (duplicate.reason, duplicate.repeated) == ("duplicate", True)
    assert duplicate.message == "same hyperparameters as trial 0"
    assert judge(stored).verdict({"width": 2}, number=0).reason is None


def test_what_was_refused_before_is_repeated(stored: StoredStudy) -> None:
    add(stored, TrialState.PRUNED, 4, reason="over_budget", params=4000)
    assert judge(stored).verdict({"width": 4}).repeated
    assert not judge(stored).verdict({"width": 5}).repeated


def test_without_a_budget_or_a_measure_everything_may_be_trained(stored: StoredStudy) -> None:
    assert judge(stored, budget=None).verdict({"width": 9}) == Verdict(size=Size(9000, 5, summary="net"))
    assert judge(stored, measured=False).verdict({"width": 9}) == Verdict()


def test_why_nothing_fits_is_told_with_the_smallest_there_was(stored: StoredStudy) -> None:
    assert judge(stored).nothing_fits("all networks").startswith("all networks were infeasible")
    for width in (6, 5):
        add(stored, TrialState.PRUNED, width, reason="over_budget", params=1000 * width)
    told = judge(stored).nothing_fits("100 proposals")
    assert told.startswith("100 proposals did not fit 3,000 parameters; the smallest had 5,000 parameters: raise")
