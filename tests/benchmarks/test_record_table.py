"""Recording the table: real trainings, tiny ones."""

from argparse import Namespace
from pathlib import Path

import pytest
import record_table
from record_table import Recorder, best_points, record, spread_points, start_points
from replay.kerastuna_searches import references
from replay.networks import LIMITS, is_allowed, size_at
from replay.table import read_table
from replay_support import table

from kerastuna.search.datasets.data import load_dataset


def test_a_training_is_kept_and_not_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, data = tmp_path / "table.jsonl", load_dataset("mnist", images=64)
    values = {**references()["eip_5"], "batch_size": 64}
    made = Recorder(path, data, 50, 2).training("random", values)
    assert len(made.curve) == 2
    assert made.params == 14_840
    assert made.epoch_seconds > 0
    again = Recorder(path, data, 50, 2)
    monkeypatch.setattr(record_table, "train", None)  # would raise
    assert again.training("other", values) == made
    assert again.course("other", values).curve == tuple(made.curve)
    assert read_table(path).header["images"] == [64, 50]
    with pytest.raises(ValueError, match="is of other images or epochs: give another file"):
        Recorder(path, data, 51, 2)


def test_start_points_are_those_of_the_first_proposals() -> None:
    points = list(start_points(20))
    assert len(points) == 20
    assert all(is_allowed(values) for values in points)
    assert sum(size_at(values).params > 0.45 * (LIMITS.params or 0) for values in points) > 15


def test_the_best_points_and_those_that_are_repeated() -> None:
    made = table(40, repeated=2)
    finals = sorted((trainings[0].curve[-1] for trainings in made.points), reverse=True)
    assert made.of(best_points(made, 3)[0])[-1].curve[-1] == pytest.approx(finals[0], abs=0.011)
    repeated = [trainings[0].curve[-1] for trainings in spread_points(made, 10)]
    assert repeated[0] == finals[0]
    assert repeated == sorted(repeated, reverse=True)
    assert sum(final >= finals[9] for final in repeated) == 5
    assert spread_points(made, 1) == [made.of(best_points(made, 1)[0])]


def test_all_sources_are_recorded_in_turn() -> None:
    asked: list[tuple[str, int]] = []
    made = table(12)

    class Kept:
        table = made

        def training(self, source: str, values: object, repeat: int = 0) -> None:
            asked.append((source, repeat))

        def course(self, source: str, values: object) -> object:
            raise AssertionError("no search was asked for")

    counts = Namespace(random=3, start=10, searches=0, trials=5, neighbours=4, repeated=2)
    record(Kept(), counts)  # type: ignore[arg-type]
    assert asked[:9] == [("reference", repeat) for _ in range(3) for repeat in range(3)]
    sources = [source for source, _ in asked[9:]]
    assert sorted(sources[:13]) == ["random"] * 3 + ["start"] * 10
    assert sources[13:] == ["neighbour"] * 4 + ["repeat"] * 4
