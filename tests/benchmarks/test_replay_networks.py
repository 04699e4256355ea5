"""Points of the space that is searched."""

import random

import pytest
from replay.features import features_at
from replay.kerastuna_searches import references
from replay.networks import SPACE, declared, is_allowed, neighbour, random_point, size_at

from kerastuna.search.tuning.hyperparameters import hyperparameters_at


def test_sizes_are_those_of_the_space() -> None:
    values = references()["eip_3"]
    cost = SPACE.cost(hyperparameters_at(declared(), values))
    size = size_at(values)
    assert (size.params, size.macs, size.receptive_field) == (14_652, cost.macs, cost.receptive_field)


def test_the_references_are_those_within_the_budget() -> None:
    assert list(references()) == ["eip_3", "eip_4", "eip_5"]
    assert not is_allowed(SPACE.starting_points()["eip_1"])


def test_neighbours_are_allowed_and_near() -> None:
    draw = random.Random(0)
    kept: list[float] = []
    for _ in range(20):
        values = random_point(draw)
        near = neighbour(values, draw)
        assert is_allowed(near)
        assert dict(near) != dict(values)
        kept.append(sum(near.get(name) == value for name, value in values.items()) / len(values))
    assert 0.6 < sum(kept) / len(kept) < 0.95


def test_all_points_have_the_same_features() -> None:
    draw = random.Random(1)
    points = [*references().values(), *(random_point(draw) for _ in range(20))]
    features = [features_at(values, 5, 2000) for values in points]
    assert {len(row) for row in features} == {len(features[0])}
    assert all(abs(value) < 100 for row in features for value in row)


@pytest.mark.parametrize(
    ("name", "other"),
    [("learning_rate", 0.009), ("dropout", 0.25), ("batch_size", 256), ("decay_rate", 0.9), ("head", "pool_dense"),
     ("block1_conv1", 4)],
)  # fmt: skip
def test_every_value_shows_in_the_features(name: str, other: float | str) -> None:
    values = references()["eip_3"]
    assert (features_at({**values, name: other}, 5, 2000) != features_at(values, 5, 2000)).any()
