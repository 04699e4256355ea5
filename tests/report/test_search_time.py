"""The time axis of a search."""

import random
from datetime import timedelta

from optuna.trial import TrialState
from study_samples import BEGAN, lines, make_study, make_trial

from kerastuna.search.report.study_report import study_figures


def test_the_time_between_two_searches_is_cut_out():
    rng = random.Random(0)
    starts = [BEGAN, BEGAN + timedelta(seconds=20), BEGAN + timedelta(hours=9), BEGAN + timedelta(hours=9, seconds=15)]
    trials = [make_trial(rng, n, start=start) for n, start in enumerate(starts)]
    figure = study_figures(make_study(trials)).drawn["incumbent_over_time"]
    (incumbent,) = lines(figure, "incumbent")
    assert incumbent[:, 0].tolist() == [10, 30, 40, 55]
    assert figure.axes[0].get_xlabel() == "wall-clock time in seconds, 1 pause between searches cut out"


def test_a_trial_whose_worker_died_ended_when_it_was_last_seen():
    rng = random.Random(0)
    trials = [make_trial(rng, 0), make_trial(rng, 1, TrialState.FAIL, "interrupted"), make_trial(rng, 2)]
    dead, resumed = trials[1], trials[2]
    dead.datetime_complete = resumed.datetime_start = BEGAN + timedelta(hours=9)
    resumed.datetime_complete = BEGAN + timedelta(hours=9, seconds=10)
    dead.set_user_attr("last_seen", (BEGAN + timedelta(seconds=20)).timestamp())
    (incumbent,) = lines(study_figures(make_study(trials)).drawn["incumbent_over_time"], "incumbent")
    assert incumbent[:, 0].tolist() == [10, 30]
