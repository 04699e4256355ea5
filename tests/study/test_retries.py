"""Which interrupted trials are owed another try, and by which trial they get it."""

from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search.study.retries import Retries, deaths_before, first_of, is_interrupted, retry, unsettled


def trial(number: int, state: TrialState = TrialState.FAIL, **attributes: Any) -> FrozenTrial:
    made = optuna.create_trial(state=state, user_attrs=attributes, value=1.0 if state == TrialState.COMPLETE else None)
    made.number = number
    return made


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (TrialState.FAIL, "interrupted", True),
        (TrialState.FAIL, "timeout", True),
        (TrialState.FAIL, "error", False),
        (TrialState.FAIL, "trial_timeout", False),
        (TrialState.FAIL, "process_died", False),
        (TrialState.FAIL, "out_of_memory", False),
        (TrialState.RUNNING, "interrupted", False),  # killed while it was being failed
        (TrialState.COMPLETE, "interrupted", False),
    ],
)
def test_what_was_interrupted_is_tried_again(state: TrialState, reason: str, expected: bool) -> None:
    assert is_interrupted(trial(0, state, reason=reason)) == expected
    retries = Retries()
    retries.note([trial(0, state, reason=reason)])
    assert bool(retries.owed) == expected


def test_a_trial_is_owed_one_retry_and_the_first_one_counts() -> None:
    retries = Retries()
    first, third = trial(1, reason="interrupted"), trial(3, reason="interrupted")
    retries.note([first, third])
    assert retries.owed == [first, third]
    again, once_more = (trial(number, TrialState.WAITING, retry_of=1) for number in (4, 5))
    retries.note([once_more])
    assert retries.owed == [third]
    assert not retries.is_second(once_more)
    retries.note([again])
    assert [retries.is_second(one) for one in (again, once_more, third)] == [False, True, False]
    retries.note([first])  # it is read once more
    assert retries.owed == [third]
    retries.note([trial(4, reason="interrupted", retry_of=1)])
    assert [one.number for one in retries.owed] == [3, 4]


def test_a_retry_has_the_parameters_and_the_name_and_is_made_once() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"n": 5, "m": 2}, user_attrs={"name": "eip_1"})
    running = study.ask()
    running.suggest_int("n", 0, 9)
    running.suggest_int("k", 1, 1)
    failed = study.tell(running, state=TrialState.FAIL)
    for _ in range(2):
        retry(study, failed)
    assert len(study.trials) == 2
    assert study.trials[1].system_attrs["fixed_params"] == {"n": 5, "m": 2, "k": 1}
    assert study.trials[1].user_attrs == {"retry_of": 0, "name": "eip_1"}


def test_a_retry_tells_too_that_its_proposal_was_narrowed() -> None:
    study = optuna.create_study()
    study.add_trial(trial(0, reason="interrupted", narrowed_from={"n": 9}))
    retry(study, study.trials[0])
    assert study.trials[1].user_attrs == {"retry_of": 0, "narrowed_from": {"n": 9}}


def test_deaths_are_counted_along_the_retries_of_a_point() -> None:
    study = optuna.create_study()

    def failed(**attributes: Any) -> FrozenTrial:
        study.add_trial(optuna.create_trial(state=TrialState.FAIL, user_attrs=attributes))
        return study.trials[-1]

    assert deaths_before(study, failed(died=True)) == 0
    failed(reason="interrupted", retry_of=0)
    failed(died=True)  # of another point
    failed(died=True, retry_of=1)
    assert deaths_before(study, failed(retry_of=3)) == 2
    assert deaths_before(study, failed(retry_of=99)) == 0  # which this process cannot see


def test_which_trials_are_still_to_come_to_an_end_and_which_was_the_first_of_each() -> None:
    trials = [
        trial(0, reason="interrupted"),
        trial(1, reason="error"),
        trial(2, reason="interrupted", retry_of=0),
        trial(3, TrialState.WAITING, retry_of=2),
        trial(4, reason="timeout"),  # owed a retry
        trial(5, reason="interrupted"),
        trial(6, TrialState.COMPLETE, retry_of=5),
        trial(7, TrialState.RUNNING),
    ]
    assert [first_of(number, trials) for number in range(8)] == [0, 1, 0, 0, 4, 5, 5, 7]
    assert unsettled(trials) == {0, 4, 7}
