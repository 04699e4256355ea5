"""The state of a running search: how long it will still take, and how that reads."""

import math
from dataclasses import replace

import pytest

from kerastuna.search.display.progress_state import (
    Pace,
    RunningTrial,
    State,
    about,
    best_so_far,
    ended_line,
    epochs_done,
    estimate_line,
    printable,
    rejection_counts,
    seconds_left,
    started_line,
    trial_line,
    within_epoch,
    words,
)

PACE = Pace().with_epoch(1, 6.0).with_epoch(2, 4.0)


@pytest.mark.parametrize(
    ("pace", "trials", "epochs_done", "expected"),
    [
        pytest.param(Pace(), 20, 0, None, id="nothing known"),
        pytest.param(Pace(), 0, 0, 0.0, id="nothing to do"),
        pytest.param(Pace().with_epoch(1, 6.0), 20, 1, 5 * 6.0 + 19 * 36.0, id="first epoch"),
        pytest.param(
            Pace().with_epoch(1, 6.0).with_epoch(2, 4.0), 20, 2, 4 * 4.0 + 19 * (6.0 + 5 * 4.0), id="second epoch"
        ),
        pytest.param(
            Pace(first_epochs=2, first_epoch_seconds=12.0, later_epochs=5, later_epoch_seconds=20.0).with_trial(6, 3.0),
            10,
            0,
            10 * (3.0 + 6.0 + 5 * 4.0),
            id="overhead of a trial",
        ),
        pytest.param(
            Pace(1, 6.0, 4, 16.0).with_trial(2, 0.0).with_trial(3, 0.0),
            3,
            1,
            1.5 * 4.0 + 2 * (6.0 + 1.5 * 4.0),
            id="early stops shorten",
        ),
        pytest.param(Pace(1, 6.0, 4, 16.0).with_trial(2, 0.0), 1, 4, 4.0, id="past the usual length"),
        pytest.param(Pace(1, 6.0, 4, 16.0).with_trial(2, 0.0), 1, 6, 0.0, id="all epochs done"),
        pytest.param(
            Pace().with_start(20.0).with_start(30.0).with_epoch(1, 6.0), 2, 1, 5 * 6.0 + 25.0 + 6 * 6.0, id="starts"
        ),
        pytest.param(
            Pace().with_start(20.0).with_epoch(1, 6.0).with_trial(1, 3.0), 2, 0, 2 * 9.0, id="trials after starts"
        ),
        pytest.param(Pace().with_epoch(1, 6.0).with_trial(1, -0.5), 2, 0, 12.0, id="no negative overhead"),
    ],
)
def test_seconds_left(pace: Pace, trials: int, epochs_done: int, expected: float | None) -> None:
    assert seconds_left(pace, trials=trials, epochs=6, under_way=[(epochs_done, 0.0)]) == expected


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


def test_every_running_trial_shortens_what_is_left() -> None:
    one_more = 6.0 + 5 * 4.0
    assert seconds_left(PACE, trials=3, epochs=6, under_way=[(2, 0.0), (5, 0.0)]) == 4 * 4.0 + 1 * 4.0 + one_more
    assert seconds_left(PACE, trials=2, epochs=6, under_way=[(6, 0.0)] * 3) == 0.0


@pytest.mark.parametrize(
    ("trials", "under_way", "expected"),
    [
        pytest.param(1, [(0, 0.0)], 26.0, id="one trial is not shared by two workers"),
        pytest.param(1, [(0, 20.0)], 6.0, id="it is nearly done"),
        pytest.param(1, [(0, 40.0)], 0.0, id="it takes longer than others"),
        pytest.param(1, [], 26.0, id="it waits"),
        pytest.param(2, [(5, 0.0), (0, 0.0)], 26.0, id="the longest decides"),
        pytest.param(2, [(5, 0.0)], 26.0, id="one that waits is whole"),
        pytest.param(3, [(0, 40.0), (0, 0.0)], 26.0, id="one that takes longer leaves the others their time"),
        pytest.param(4, [(5, 1.0), (2, 2.0)], (3.0 + 14.0 + 2 * 26.0) / 2, id="two workers share the rest"),
    ],
)
def test_no_trial_is_shared(trials: int, under_way: list[tuple[int, float]], expected: float) -> None:
    assert seconds_left(PACE, trials=trials, epochs=6, under_way=under_way, at_once=2) == expected


def test_the_time_left_of_the_last_trial_runs_down_to_its_end() -> None:
    pace = Pace(first_epochs=1, first_epoch_seconds=10.0, later_epochs=9, later_epoch_seconds=90.0)
    state = State("a", trials_done=3, trials_total=4, epochs=10, pace=pace, at_once=2)
    state = state.with_running(RunningTrial(3, epochs=10, began=0.0))
    assert [state.seconds_left(now) for now in (0.0, 71.0, 99.0)] == [100.0, 29.0, 1.0]


def test_a_trial_that_goes_on_after_its_first_epoch_sets_the_pace_too() -> None:
    pace = Pace().with_epoch(8, 5.0)
    assert seconds_left(pace, trials=2, epochs=10, under_way=[(8, 0.0)]) == 2 * 5.0 + 10 * 5.0


def test_the_estimate_is_of_the_whole() -> None:
    def line(state: State) -> str:
        return estimate_line(state, 18.0, 18.0)

    ended = RunningTrial(0, epoch=1, epochs=1, began=18.0)
    state = State("a", trials_total=1, epochs=1, pace=Pace().with_epoch(1, 18.0)).with_running(ended)
    assert line(state) == "one epoch takes about 18 s; 1 trial of 1 epoch: about 18 s, less where trials stop early"
    assert "3 trials of 1 epoch: about 27 s" in line(replace(state, trials_total=3, at_once=2))
    assert "about 54 s, but the time limit leaves 30 s" in line(replace(state, trials_total=3, deadline=48.0))
    assert "about 54 s, less" in line(replace(state, trials_total=3, deadline=58.0))  # there is time for the rest
    assert "1 trial of 10 epochs: about 50 s, " in estimate_line(
        State("a", trials_total=1, epochs=10, pace=Pace().with_epoch(8, 5.0)), 5.0, 0.0
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
