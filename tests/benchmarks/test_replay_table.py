"""The file of trained networks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from replay.table import End, append, mean_curve, read_table, seconds_of, write_header
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
    assert mean_curve([one, other]) == pytest.approx([accuracy + 0.01 for accuracy in one.curve])
    assert seconds_of([one, other]) == (1.0, 1.0)


def test_another_machine_has_other_seconds_and_the_same_accuracies(tmp_path: Path) -> None:
    one = training(table(1).trainings[0].values)
    slow = replace(one, seed=1, curve=[0.1] * 4, epoch_seconds=50.0, hardware="slow")
    assert mean_curve([one, slow])[0] == (one.curve[0] + 0.1) / 2
    assert seconds_of([one, slow]) == (0.5, 1.0)
    assert seconds_of([slow]) is None
    path = tmp_path / "table.jsonl"
    write_header(path, HEADER)
    for entry in (one, slow):
        append(path, entry)
    assert ["hardware" in json.loads(line) for line in path.read_text().splitlines()[1:]] == [False, True]
    read = read_table(path)
    assert read.trainings == [one, slow]
    assert read.machines == {"one core": 1, "slow": 1}
    assert read.sources == {"random": 2}


def test_ends_are_no_trainings(tmp_path: Path) -> None:
    path, one = tmp_path / "table.jsonl", table(1).trainings[0]
    end = End("tpe", 3, 1, 0.9, one.values)
    write_header(path, HEADER)
    for entry in (one, end):
        append(path, entry)
    read = read_table(path)
    assert (read.trainings, read.ends) == ([one], [end])


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_that_was_cut_does_not_count_and_is_written_over(tmp_path: Path, cut: int) -> None:
    path, (one, two) = tmp_path / "table.jsonl", table(2).trainings
    write_header(path, HEADER)
    for entry in (one, two):
        append(path, entry)
    whole = path.read_text()
    path.write_text(whole[:-cut])
    assert read_table(path).trainings == [one]
    append(path, two)
    assert path.read_text() == whole


@pytest.mark.parametrize("line", ["{", "5", '{"source": "random"}'])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "table.jsonl"
    write_header(path, HEADER)
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(ValueError, match=r"table\.jsonl is no table of trained networks: line 2: "):
        read_table(path)


def test_another_file_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"data": "mnist"}\n')
    with pytest.raises(ValueError, match="is no table of trained networks: its first line has no epochs"):
        read_table(path)
