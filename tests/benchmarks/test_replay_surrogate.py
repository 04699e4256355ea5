"""What answers where the table has no network."""

import random
from dataclasses import replace

import pytest
from replay.networks import random_point
from replay.surrogate import Noise, Surrogate, accuracy, odds, world_of
from replay.table import Table
from replay_support import HEADER, curve_at, table

TABLE = table(40, repeated=4)
SURROGATE, NOISE = Surrogate(TABLE), Noise(TABLE)


def test_networks_that_it_has_not_seen_are_ranked() -> None:
    error = SURROGATE.error()
    assert error.networks == 40
    assert error.rank > 0.9
    assert error.median <= 0.05 < 10 * error.mean


def test_seconds_are_those_of_the_header_s_machine_and_accuracies_those_of_all() -> None:
    other = [replace(one, epoch_seconds=50.0, first_seconds=90.0, hardware="slow") for one in TABLE.trainings]
    mixed = Table(HEADER, [*TABLE.trainings[:20], *other[20:]])
    surrogate = Surrogate(mixed)
    point = random_point(random.Random(9))
    course = surrogate.course(point)
    assert (course.epoch_seconds, course.first_seconds) == pytest.approx((0.5, 1.0), rel=0.05)
    assert course.curve == pytest.approx(SURROGATE.course(point).curve)
    world = world_of(mixed, surrogate, Noise(mixed), 1)
    known = mixed.trainings[30].values  # on the other machine alone
    assert world.observed(known).epoch_seconds == pytest.approx(0.5, rel=0.05)
    assert world.expected(known) == mixed.trainings[30].curve[-1]
    with pytest.raises(ValueError, match="the table has no training on one core, the machine of its first line"):
        Surrogate(Table(HEADER, other))


def test_networks_that_are_not_in_the_table_have_a_course_too() -> None:
    draw = random.Random(9)
    points = [random_point(draw) for _ in range(20)]
    courses = [SURROGATE.course(values) for values in points]
    off = [abs(course.curve[-1] - curve_at(values)[-1]) for course, values in zip(courses, points, strict=True)]
    assert 0 < sum(off) / len(off) < 0.1
    for course in courses:
        assert list(course.curve) == sorted(course.curve)
        assert (course.epoch_seconds, course.first_seconds) == pytest.approx((0.5, 1.0), rel=0.05)
    assert SURROGATE.course(points[0]) is courses[0]


def test_the_noise_is_that_of_repeated_networks() -> None:
    assert NOISE.networks == 4
    assert NOISE.sources == {"random": 4}
    assert pytest.approx(0.01) == NOISE.deviation == NOISE.deviation_of_best
    curve = TABLE.trainings[0].curve
    seen = {NOISE.added_to(curve, random.Random(seed))[-1] for seed in range(100)}
    assert len(seen) > 5
    assert 0.003 < max(abs(value - curve[-1]) for value in seen) < 0.03


def test_without_repeated_networks_there_is_no_noise() -> None:
    noise = Noise(Table(HEADER, TABLE.trainings[:5]))
    assert (noise.networks, noise.deviation) == (0, 0)
    assert noise.added_to([0.5, 0.6], random.Random(0)) == (0.5, 0.6)


def test_a_world_knows_the_table_and_asks_the_surrogate_for_the_rest() -> None:
    world = world_of(TABLE, SURROGATE, NOISE, 1)
    known, other = TABLE.trainings[0].values, random_point(random.Random(9))
    assert world.expected(known) == pytest.approx(curve_at(known)[-1])
    assert world.expected(other) == SURROGATE.course(other).curve[-1]
    assert world.observed(other) == world.observed(other)
    again = world_of(TABLE, SURROGATE, NOISE, 2).observed(other).curve
    assert again != world.observed(other).curve
    assert world.observed(other).curve != SURROGATE.course(other).curve


def test_odds_and_back() -> None:
    assert accuracy(odds([0.1, 0.5, 0.99])) == pytest.approx([0.1, 0.5, 0.99])
    assert accuracy(odds([0.0, 1.0])) == pytest.approx([0.02, 0.9975])
