"""The time axis of a search."""

import random
from datetime import timedelta

import pytest
from optuna.trial import TrialState
from study_samples import BEGAN, make_study, make_trial

from kerastuna.search.report.search_time import search_time
from kerastuna.search.report.study_view import view_of


def times_of(trials) -> tuple[list[float], str]:
    """The times at which the complete trials ended, and the label of the axis."""
    view = view_of(make_study(trials))
    time = search_time(view, view.complete)
    return [time.of(point) for point in view.complete], time.label


def begun(*starts: timedelta):
    """Trials of ten seconds each."""
    rng = random.Random(0)
    return [make_trial(rng, number, start=BEGAN + start) for number, start in enumerate(starts)]


def test_the_time_between_two_searches_is_cut_out():
    second, hour = timedelta(seconds=1), timedelta(hours=1)
    times, label = times_of(begun(0 * second, 20 * second, 9 * hour, 9 * hour + 15 * second))
    assert times == [10, 30, 40, 55]
    assert label == "wall-clock time in seconds, 1 pause between searches cut out"


@pytest.mark.parametrize(("seconds", "unit"), [(110, "seconds"), (111, "minutes"), (7190, "minutes"), (7191, "hours")])
def test_the_unit_suits_the_time(seconds: int, unit: str):
    starts = [timedelta(seconds=start) for start in range(0, seconds, 60)]  # close enough to be no pauses
    times, label = times_of(begun(*starts, timedelta(seconds=seconds)))
    assert label == f"wall-clock time in {unit}"
    assert times[-1] == pytest.approx((seconds + 10) / {"seconds": 1, "minutes": 60, "hours": 3600}[unit])


def test_trials_that_overlap_leave_no_pause():
    long, short = begun(timedelta(), timedelta(seconds=5))
    long.datetime_complete = BEGAN + timedelta(seconds=100)
    (later,) = begun(timedelta(seconds=110))
    assert times_of([long, short, later]) == ([100, 15, 120], "wall-clock time in seconds")


def test_a_trial_whose_worker_died_ended_when_it_was_last_seen():
    rng = random.Random(0)
    trials = [make_trial(rng, 0), make_trial(rng, 1, TrialState.FAIL, "interrupted"), make_trial(rng, 2)]
    dead, resumed = trials[1], trials[2]
    dead.datetime_complete = resumed.datetime_start = BEGAN + timedelta(hours=9)
    resumed.datetime_complete = BEGAN + timedelta(hours=9, seconds=10)
    dead.set_user_attr("last_seen", (BEGAN + timedelta(seconds=20)).timestamp())
    assert times_of(trials)[0] == [10, 30]
