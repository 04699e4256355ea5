"""The trials of a study as proposals."""

from datetime import datetime, timedelta

from optuna.trial import FrozenTrial, TrialState
from side_by_side.kerastuna_searches import RefusalClock, proposals_of
from side_by_side.measures import RUNNING, Proposal

BEGAN = datetime(2026, 11, 26, 12)


def trial(number: int, state: TrialState, ended: float | None, **attributes: object) -> FrozenTrial:
    """A trial that ended so many seconds after the begin of the search."""
    complete = None if ended is None else BEGAN + timedelta(seconds=ended)
    value = 0.5 if state == TrialState.COMPLETE else None
    return FrozenTrial(number, state, value, BEGAN, complete, {}, {}, attributes, {}, {}, number)


TRIALS = [
    trial(0, TrialState.PRUNED, 1.0, reason="over_budget", params=20_000),
    trial(1, TrialState.PRUNED, 1.5, reason="over_budget", params=30_000),
    trial(2, TrialState.COMPLETE, 9.0, score=0.9, params=1000),
    trial(3, TrialState.PRUNED, 9.25, reason="infeasible"),
    trial(4, TrialState.PRUNED, 12.0, reason="stopped_early", params=2000),
    trial(5, TrialState.FAIL, 13.0, reason="error", params=2000),
    trial(6, TrialState.FAIL, 20.0, reason="timeout", params=2000),
    trial(7, TrialState.WAITING, None),
    trial(8, TrialState.RUNNING, None),
]


def test_the_trials_of_a_study_become_proposals() -> None:
    assert proposals_of(TRIALS, BEGAN.timestamp(), {0: 0.003, 3: 0.004}) == [
        Proposal("over_budget", 1.0, 0.003, None, 20_000),
        Proposal("over_budget", 1.5, None, None, 30_000),
        Proposal("complete", 9.0, None, 0.9, 1000),
        Proposal("infeasible", 9.25, 0.004),
        Proposal("stopped_early", 12.0, None, None, 2000),
        Proposal("failed", 13.0, None, None, 2000),
        Proposal("failed", RUNNING),
        Proposal("failed", RUNNING),
    ]


def test_a_refusal_is_timed_from_its_request_or_from_the_refusal_before_it() -> None:
    clock = RefusalClock(iter((10.0, 10.5, 12.0, 40.0, 44.0)).__next__)
    for number, asked in ((3, True), (4, False), (7, True)):
        if asked:
            clock.begin()
        clock.proposal_refused({"number": number})
    assert clock.seconds == {3: 0.5, 4: 1.5, 7: 4.0}
