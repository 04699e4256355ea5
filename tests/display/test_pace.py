"""How long a search will still take."""

import pytest

from kerastuna.search.display.pace import Pace, seconds_left

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


def test_a_trial_that_goes_on_after_its_first_epoch_sets_the_pace_too() -> None:
    pace = Pace().with_epoch(8, 5.0)
    assert seconds_left(pace, trials=2, epochs=10, under_way=[(8, 0.0)]) == 2 * 5.0 + 10 * 5.0


def test_where_the_epochs_are_not_known_the_first_trial_tells_them() -> None:
    assert seconds_left(PACE, trials=2, epochs=None, under_way=[(2, 0.0)]) is None
    pace = PACE.with_trial(2, 1.0)
    whole = 1.0 + 6.0 + 4.0
    assert seconds_left(pace, trials=2, epochs=None) == 2 * whole
    assert seconds_left(pace, trials=2, epochs=None, under_way=[(3, 0.0)]) == 4.0 + whole  # it is longer than that one
    assert seconds_left(pace, trials=0, epochs=None) == 0.0
