"""Recording the table: real trainings, tiny ones."""

import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import record_table
from record_table import Recorder, best_points, record, spread_points, start_points
from replay.kerastuna_searches import references
from replay.networks import LIMITS, is_allowed, size_at
from replay.table import END, End, append, read_table, write_header
from replay_support import HEADER, table

from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.training.device import software, use_device


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


def small_table(path: Path, **header: object) -> Dataset:
    """Two trainings that were never made, in a file that a recorder of 64 and 50 images takes; returns its images."""
    write_header(path, {**HEADER, "images": [64, 50], **software(), **header})
    for training in table(2).trainings:
        append(path, training)
    return load_dataset("mnist", images=64)


def never_trained(*given: object, report: Callable[[int, object], None], **named: object) -> tuple[None, list[Any]]:
    """In place of `train`."""
    for epoch in range(4):
        report(epoch, {})
    return None, [{"val_accuracy": 0.25}] * 4


def test_trainings_on_another_machine_carry_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_table, "train", never_trained)
    here = f"{use_device('cpu').name}, one thread"
    for number, (hardware, told) in enumerate([("another core", here), (here, "")]):
        path = tmp_path / f"{number}.jsonl"
        data = small_table(path, hardware=hardware)
        assert Recorder(path, data, 50, 4).training("random", references()["eip_5"]).hardware == told
        assert read_table(path).trainings[-1].hardware == told


def test_another_keras_or_backend_is_refused(tmp_path: Path) -> None:
    data = small_table(tmp_path / "keras.jsonl", versions="keras 1.0, optuna 9")
    with pytest.raises(ValueError, match=r"was recorded with .*, keras 1\.0, and here is .*: install those, or give"):
        Recorder(tmp_path / "keras.jsonl", data, 50, 4)
    small_table(tmp_path / "optuna.jsonl", versions=software()["versions"].replace("optuna ", "optuna 9"))
    Recorder(tmp_path / "optuna.jsonl", data, 50, 4)


def test_ends_are_trained_from_new_seeds_and_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_table, "train", never_trained)
    path = tmp_path / "table.jsonl"
    data = small_table(path)
    recorder = Recorder(path, data, 50, 4)
    values = references()["eip_5"]
    before = recorder.training("reference", values)
    ends = [End("tpe", 1, 3, 0.9, values), End("random", 2, 3, 0.9, values)]  # an end that two searches share
    for end in ends:
        recorder.end(end, 2)
    again = Recorder(path, data, 50, 4)
    monkeypatch.setattr(record_table, "train", None)  # would raise
    for end in ends:
        again.end(end, 2)
    read = read_table(path)
    assert read.ends == ends
    assert [training.source for training in read.of(values)] == ["reference", END, END]
    assert len({training.seed for training in read.of(values)} | {before.seed}) == 3
    with pytest.raises(ValueError, match=r"on a table of 9 trainings, and .*table\.jsonl has fewer"):
        again.end(End("tpe", 1, 9, 0.9, values), 2)


def test_the_command_trains_ends_and_tells_of_bad_input_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record_table, "train", never_trained)
    monkeypatch.setattr(record_table, "one_thread", lambda: None)  # can no longer be set in this process
    table_path, ends = tmp_path / "table.jsonl", tmp_path / "ends.json"
    small_table(table_path)
    with table_path.open("a") as file:
        file.write('{"source": "rand')  # cut by a kill
    end = End("tpe", 1, 2, 0.9, references()["eip_5"])
    ends.write_text(json.dumps([asdict(end)]))
    arguments = ["--table", str(table_path), "--images", "64", "--validated", "50", "--epochs", "4"]
    arguments += ["--ends", str(ends)]
    assert record_table.main([*arguments, "--repeats", "1"]) == 0
    read = read_table(table_path)
    assert (len(read.trainings), read.ends) == (3, [end])
    capsys.readouterr()
    ends.write_text(json.dumps([dict(end.values)]))
    assert record_table.main(arguments) == 2
    assert record_table.main([*arguments[:-1], str(tmp_path / "none")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{ends} was not written by samplers --write-ends: ")
    assert second == f"[Errno 2] No such file or directory: '{tmp_path}/none'"
    with pytest.raises(SystemExit, match="2"):
        record_table.main([*arguments, "--repeats", "0"])

    def stopped(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(record_table, "train", stopped)
    ends.write_text(json.dumps([asdict(end)]))
    capsys.readouterr()
    assert record_table.main([*arguments, "--repeats", "2"]) == 130
    assert capsys.readouterr().err == "interrupted: the same command goes on\n"


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
