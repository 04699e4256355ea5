"""Five trials in a row that fail for the same reason end a search; five that fail for different ones do not."""

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from tuner_support import Function, outcomes

from kerastuna.search import SearchFailed
from kerastuna.search.study.reasons import FAILURES
from kerastuna.search.tuning.failures_in_a_row import MOST, FailuresInARow

cloudpickle.register_pickle_by_value(sys.modules[__name__])
cloudpickle.register_pickle_by_value(sys.modules["tuner_support"])


def ended(reason: str | None, state: str = "FAIL") -> dict[str, Any]:
    message = "Traceback (most recent call last):\n  File\nValueError: why\n"
    return {"number": 7, "state": state, "reason": reason, "message": message, "hyperparameters": {"units": 3}}


@pytest.mark.parametrize("reason", FAILURES)
def test_the_reason_and_the_last_trial_are_told_in_one_line(reason: str) -> None:
    row = FailuresInARow()
    for _ in range(MOST - 1):
        row.trial_ended(ended(reason))
    with pytest.raises(SearchFailed) as caught:
        row.trial_ended(ended(reason))
    told = str(caught.value)
    assert re.match(r"5 trials in a row failed .*the last, trial 7, at units=3, with: ValueError: why$", told)
    assert told.isprintable()
    row.trial_ended(ended(reason))  # of another worker, which is being stopped


@pytest.mark.parametrize(
    "reasons",
    [
        [*["error"] * 4, "not_finite", *["error"] * 4],
        [*["error"] * 4, None, *["error"] * 4],
        [*["error"] * 4, "stopped_early", *["error"] * 4],
        ["interrupted"] * 20,
        ["timeout"] * 20,
        [*FAILURES] * 4,
    ],
)
def test_what_is_no_row(reasons: list[str | None]) -> None:
    row = FailuresInARow()
    for reason in reasons:
        row.trial_ended(ended(reason, {None: "COMPLETE", "stopped_early": "PRUNED"}.get(reason, "FAIL")))


def test_an_interruption_does_not_begin_the_row_anew() -> None:
    row = FailuresInARow()
    for reason in [*["error"] * 4, "interrupted"]:
        row.trial_ended(ended(reason))
    with pytest.raises(SearchFailed):
        row.trial_ended(ended("error"))


class Fails:
    """Fails at the trials of these places, each with an error of the kind there; others are complete."""

    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds

    def __call__(self, hp: Any) -> float:
        units = hp.Int("units", 0, 10**6)
        kind = self.kinds.pop(0) if self.kinds else ""
        if kind == "nan":
            return float("nan")
        if kind:
            raise {"error": ValueError, "memory": MemoryError}[kind]("why")
        return units / 10**6


def test_a_search_ends_at_the_fifth_and_keeps_what_was_finished(tmp_path: Path) -> None:
    tuner = Function(Fails(["", "error", "memory", *["error"] * 6]), tmp_path, 20, max_consecutive_failed_trials=10)
    with pytest.raises(SearchFailed, match="5 trials in a row failed of an error, the last, trial 7, at units="):
        tuner.search(verbose=0)
    assert outcomes(tuner.oracle.study) == {
        ("COMPLETE", None): 1,
        ("FAIL", "error"): 6,
        ("FAIL", "out_of_memory"): 1,
    }
    tuner.search(verbose=0)  # the row of another search is another one; only one failure is left
    assert Counter(trial.state.name for trial in tuner.oracle.study.trials)["COMPLETE"] == 20


def test_five_of_different_reasons_do_not_end_it(tmp_path: Path) -> None:
    tuner = Function(Fails(["error", "memory", "nan"] * 2), tmp_path, 2, max_consecutive_failed_trials=10)
    tuner.search(verbose=0)
    assert outcomes(tuner.oracle.study)["COMPLETE", None] == 2


def test_those_of_all_workers_count_in_the_order_in_which_they_end(tmp_path: Path) -> None:
    def wrong(hp: Any) -> float:
        hp.Int("units", 0, 10**6)
        time.sleep(0.5)  # the workers hear of the end before they have failed many more
        raise ValueError("never works")

    tuner = Function(wrong, tmp_path, max_trials=20, max_consecutive_failed_trials=10)
    with pytest.raises(SearchFailed, match="5 trials in a row failed of an error"):
        tuner.search(verbose=0, workers=2)
    found = outcomes(tuner.oracle.study)
    assert MOST <= found["FAIL", "error"] <= MOST + 8, json.dumps([*map(str, found.items())])
    assert not any(trial.state.name == "RUNNING" for trial in tuner.oracle.study.trials)
