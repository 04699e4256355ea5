"""The state of a running search: how long it will still take, and how that reads."""

import math
from dataclasses import replace

import pytest

from kerastuna.search.display.pace import Pace
from kerastuna.search.display.progress_state import (
    RunningTrial,
    State,
    about,
    best_so_far,
    ended_line,
    epoch_of,
    epochs_done,
    estimate_line,
    printable,
    rejection_counts,
    running_line,
    started_line,
    tally,
    trial_line,
    trials_done,
    within_epoch,
    words,
)

PACE = Pace().with_epoch(1, 6.0).with_epoch(2, 4.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.04, "0.04 s"),
        (0.95, "1 s"),
        (59.6, "60 s"),
        (100.0, "2 min"),
        (5900.0, "98 min"),
        (9000, "2.5 h"),
    ],
)
def test_about(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_the_time_left_of_the_last_trial_runs_down_to_its_end() -> None:
    pace = Pace(first_epochs=1, first_epoch_seconds=10.0, later_epochs=9, later_epoch_seconds=90.0)
    state = State("a", trials_done=3, trials_total=4, epochs=10, pace=pace, at_once=2)
    state = state.with_running(RunningTrial(3, epochs=10, began=0.0))
    assert [state.seconds_left(now) for now in (0.0, 71.0, 99.0)] == [100.0, 29.0, 1.0]


def test_the_estimate_is_of_the_whole() -> None:
    def line(state: State) -> str:
        return estimate_line(state, 18.0, 18.0)

    ended = RunningTrial(0, epoch=1, epochs=1, began=18.0)
    state = State("a", trials_total=1, epochs=1, pace=Pace().with_epoch(1, 18.0)).with_running(ended)
    assert line(state) == "one epoch takes about 18 s; 1 trial of 1 epoch: about 18 s"
    assert line(replace(state, may_stop_early=True)).endswith(": about 18 s, less where trials stop early")
    assert "3 trials of 1 epoch: about 27 s" in line(replace(state, trials_total=3, at_once=2))
    assert "about 54 s, but the time limit leaves 30 s" in line(replace(state, trials_total=3, deadline=48.0))
    assert line(replace(state, trials_total=3, deadline=58.0)).endswith("about 54 s")  # there is time for the rest
    assert estimate_line(State("a", trials_total=1, epochs=10, pace=Pace().with_epoch(8, 5.0)), 5.0, 0.0).endswith(
        "1 trial of 10 epochs: about 50 s"
    )


def test_running_trials_are_kept_by_number_in_the_order_in_which_they_started() -> None:
    state = State("a").with_running(RunningTrial(5)).with_running(RunningTrial(2))
    state = state.with_running(RunningTrial(5, epoch=1))
    assert [(trial.number, trial.epoch) for trial in state.running.values()] == [(5, 1), (2, 0)]
    assert list(state.without_running(5).running) == [2]
    assert list(state.without_running(9).running) == [5, 2]
    assert state.without_running(5).at_once == 2


def test_trials_that_run_at_the_same_time_share_what_is_left() -> None:
    state = State("a", trials_total=4, epochs=6, pace=PACE)
    whole = 4 * (6.0 + 5 * 4.0)
    assert state.seconds_left(0.0) == whole
    state = state.with_running(RunningTrial(0)).with_running(RunningTrial(1))
    assert state.seconds_left(0.0) == whole / 2
    assert state.seconds_left(10.0) == whole / 2 - 10.0
    assert State("a", trials_total=4, epochs=6).seconds_left(0.0) is None


def test_the_deadline_limits_what_is_left() -> None:
    state = State("a", trials_total=4, epochs=6, pace=PACE, deadline=30.0)
    assert (state.seconds_left(10.0), state.seconds_left(40.0)) == (20.0, 0.0)
    assert state.seconds_left(0.0, limited=False) == 104.0
    assert estimate_line(state, 6.0, 0.0).endswith("4 trials of 6 epochs: about 2 min, but the time limit leaves 30 s")


def test_the_estimate_tells_of_a_long_start() -> None:
    state = State("a", trials_total=2, epochs=2, pace=Pace().with_start(27.0).with_epoch(1, 0.5))
    line = estimate_line(state, 0.5, 0.0)
    assert line.startswith(
        "one epoch takes about 0.5 s, after 27 s to build and compile; 2 trials of 2 epochs: about 56 s"
    )


def test_what_was_not_trained_has_no_epochs_and_no_time() -> None:
    state = State("a", trials_done=2, trials_total=2, best=0.5)
    assert trial_line(state, RunningTrial("4 with seed 7"), "final model kept", None, 0.0) == (
        "trial 4 with seed 7 (2/2): final model kept; best 0.5000"
    )


def test_a_better_value_or_rank_improves() -> None:
    assert State().improves(0.5, None)
    assert not State().improves(math.nan, None)
    best = State(best=0.5)
    assert [best.improves(value, None) for value in (0.6, 0.5, math.nan)] == [True, False, False]
    assert [replace(best, direction="min").improves(value, None) for value in (0.6, 0.4)] == [False, True]
    ranked = State(best=0.5, best_rank=(0, 9))
    assert [ranked.improves(0.1, rank) for rank in ((0, 8), (0, 9), (1, 0))] == [True, False, False]


def test_lines() -> None:
    state = State("a", "s", "quick", trials_done=1, trials_total=2, epochs=3, best=0.5, best_trial=4, best_note="small")
    assert best_so_far(state) == "0.5000 (trial 4, small)"
    assert started_line(state) == "study s (quick): 2 trials of 3 epochs, 1 done, best a 0.5000 (trial 4, small)"
    trial = RunningTrial(4, "wide", epoch=1)
    assert trial_line(State("a", trials_done=1, trials_total=1), trial, "done", 2.0, 0.0) == (
        "trial 4 (1/1): done after 1 epoch in 2 s | wide"
    )
    assert ended_line(State("a", "s", trials_total=1), 3.0) == (
        "s ended after 3 s: 0 of 1 trial done, 0 stopped early, 0 failed; best none"
    )
    assert math.isinf(state.deadline)


@pytest.mark.parametrize(
    ("total", "epochs", "line"),
    [
        (2, None, "study s: 2 trials, 1 done, best a 0.5000"),
        (None, 3, "study s: trials of 3 epochs, 1 done, best a 0.5000"),
        (None, None, "study s: 1 trial done, best a 0.5000"),
    ],
)
def test_the_line_at_the_start_leaves_out_what_is_not_known(total: int | None, epochs: int | None, line: str) -> None:
    assert started_line(State("a", "s", trials_done=1, trials_total=total, epochs=epochs, best=0.5)) == line


def test_a_search_of_which_nothing_is_known_is_named() -> None:
    state = State("a", "s", "quick", trials_total=None, epochs=None)
    assert started_line(state) == "study s (quick)"
    assert started_line(replace(state, deadline=600.0)) == "study s (quick): stops after 10 min"


def test_without_a_number_of_trials_no_time_is_estimated() -> None:
    state = State("val", "s", trials_done=3, trials_total=None, epochs=2, pace=PACE.with_trial(2, 1.0))
    running = state.with_running(RunningTrial(3, epoch=1, epochs=2, metrics={"val": 0.5}))
    assert state.trials_left is None
    assert estimate_line(state, 6.0, 0.0) == "one epoch takes about 6 s"
    assert running_line(running, 5.0) == "trial 3: epoch 1/2, val 0.5000; 3 trials done"
    assert (
        trial_line(state, RunningTrial(3, epoch=2), "done", 9.0, 9.0) == "trial 3 (3 done): done after 2 epochs in 9 s"
    )
    assert ended_line(state, 9.0) == "s ended after 9 s: 3 trials done, 0 stopped early, 0 failed; best none"
    limited = replace(state, deadline=60.0)
    assert estimate_line(limited, 6.0, 30.0) == "one epoch takes about 6 s; the time limit leaves 30 s"
    assert trial_line(limited, RunningTrial(3), "done", 9.0, 30.0).endswith("in 9 s; about 30 s left")


def test_without_a_number_of_epochs_the_time_is_estimated_once_a_trial_has_ended() -> None:
    state = State("val", "s", trials_total=2, epochs=None, pace=PACE)
    running = state.with_running(RunningTrial(0, epoch=2, epochs=None))
    assert estimate_line(state, 6.0, 0.0) == "one epoch takes about 6 s"
    assert running_line(running, 0.0) == "trial 0: epoch 2; 0/2 trials done"
    ended = replace(state, trials_done=1, pace=PACE.with_trial(2, 1.0))
    line = trial_line(ended, RunningTrial(0, epoch=2, epochs=None), "done", 11.0, 0.0)
    assert line == "trial 0 (1/2): done after 2 epochs in 11 s; about 11 s left"


def test_more_trials_than_were_asked_for() -> None:
    state = State("a", "s", "quick", trials_done=25, trials_total=3, epochs=3, best=0.5)
    assert trials_done(state) == trials_done(state, "/") == "25 trials done (3 asked for)"
    assert started_line(state) == "study s (quick): 25 trials done (3 asked for), best a 0.5000"
    assert ended_line(state, 2.0) == (
        "s ended after 2 s: 25 trials done (3 asked for), 0 stopped early, 0 failed; best a 0.5000"
    )
    assert tally(state) == "25 done, 3 asked for"
    assert trials_done(replace(state, trials_done=3)) == "3 of 3 trials done"


def test_words() -> None:
    assert words("out_of_\x1bmemory") == "out of  memory"
    assert printable("a\nb\x07c") == "a b c"
    assert rejection_counts({"over_budget": 2, "duplicate": 0}) == "2 over budget, 0 duplicate"
    assert State("a").new_rejections == {"over_budget": 0, "infeasible": 0, "duplicate": 0}


def test_how_far_a_long_epoch_has_come() -> None:
    trial = RunningTrial(3, epoch=1, epochs=3, began=100.0)
    assert within_epoch(trial, 109.0) == ""
    assert within_epoch(trial, 175.0) == "epoch 2: 75 s"
    assert epochs_done(trial) == 1
    half = replace(trial, batch=1000, batches=2000)
    assert within_epoch(half, 175.0) == "epoch 2: batch 1,000/2,000, 75 s"
    assert epochs_done(half) == 1.5
    assert within_epoch(replace(half, batches=None), 175.0) == "epoch 2: batch 1,000, 75 s"
    assert within_epoch(replace(half, epoch=3), 175.0) == ""  # the trial is being ended


def test_where_the_epochs_are_not_known_only_batches_tell_of_a_later_one() -> None:
    trial = RunningTrial(3, epochs=None, began=100.0)
    assert (epoch_of(trial), epoch_of(replace(trial, epochs=3))) == ("0", "0/3")
    assert within_epoch(trial, 175.0) == "epoch 1: 75 s"
    assert within_epoch(replace(trial, epoch=1), 175.0) == ""  # it may be the last one
    assert within_epoch(replace(trial, epoch=1, batch=20), 175.0) == "epoch 2: batch 20, 75 s"
