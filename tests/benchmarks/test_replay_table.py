"""The file of trained networks."""

from dataclasses import replace
from pathlib import Path

import pytest
from replay.table import append, mean_course, read_table, write_header
from replay_support import HEADER, table, training


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, made = tmp_path / "new" / "table.jsonl", table(4, repeated=1)
    write_header(path, HEADER)
    for one in made.trainings:
        append(path, one)
    read = read_table(path)
    assert read.header == HEADER
    assert read.epochs == 4
    assert [vars(one) for one in read.trainings] == [vars(one) for one in made.trainings]
    assert [len(point) for point in read.points] == [3, 1, 1, 1]


def test_trainings_are_found_by_their_values_and_seed() -> None:
    made = table(3, repeated=1)
    values = made.trainings[0].values
    assert [one.seed for one in made.of(values)] == [0, 1, 2]
    assert made.with_seed(values, 2) is made.of(dict(reversed(list(values.items()))))[2]
    assert made.with_seed(values, 5) is None
    assert made.of({**values, "dropout": 9}) == []


def test_the_mean_of_several_trainings() -> None:
    one = training(table(1).trainings[0].values)
    other = replace(one, curve=[accuracy + 0.02 for accuracy in one.curve], epoch_seconds=1.5)
    mean = mean_course([one, other])
    assert mean.curve == pytest.approx([accuracy + 0.01 for accuracy in one.curve])
    assert (mean.epoch_seconds, mean.first_seconds) == (1.0, 1.0)


def test_another_file_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"data": "mnist"}\n')
    with pytest.raises(ValueError, match="is no table of trained networks: its first line has no epochs"):
        read_table(path)
