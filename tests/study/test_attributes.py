"""What the attributes of a trial say of it."""

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from kerastuna.search.study.attributes import is_enqueued, is_rejection, is_trained


@pytest.mark.parametrize(
    ("state", "reason", "rejection", "trained"),
    [
        (TrialState.COMPLETE, None, False, True),
        (TrialState.PRUNED, "stopped_early", False, True),
        (TrialState.PRUNED, "over_budget", True, False),
        (TrialState.PRUNED, "infeasible", True, False),
        (TrialState.PRUNED, "duplicate", True, False),
        (TrialState.FAIL, "error", False, False),
        (TrialState.RUNNING, None, False, False),
        (TrialState.WAITING, None, False, False),
    ],
)
def test_what_counts_as_trained(state: TrialState, reason: str | None, rejection: bool, trained: bool) -> None:
    value = 1.0 if state == TrialState.COMPLETE else None
    trial = optuna.create_trial(
        state=state,
        value=value,
        params={"n": 1},
        distributions={"n": IntDistribution(0, 1)},
        user_attrs={} if reason is None else {"reason": reason},
    )
    assert (is_rejection(trial), is_trained(trial)) == (rejection, trained)


def test_what_was_enqueued() -> None:
    study = optuna.create_study()
    study.enqueue_trial({})
    study.ask()
    study.ask()
    assert [is_enqueued(trial) for trial in study.trials] == [True, False]
