"""A damaged journal is told by its line, and what can be read of it is saved to a new file."""

import os
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from kerastuna.search.study.journal import open_journal
from kerastuna.search.study.journal_repair import find_damage, repair_journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of three trials, each of five lines, after two of the study."""
    path = tmp_path / "journal"
    study = optuna.create_study(storage=open_journal(path), study_name="s")
    study.set_user_attr("key", "value")
    for number in range(3):
        trial = study.ask()
        trial.suggest_int("n", 0, 9)
        trial.set_user_attr("text", "x")
        trial.report(0.5, 1)
        study.tell(trial, number)
    assert len(lines(path)) == 17
    return path


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def damage(path: Path, line: int, text: bytes) -> None:
    """Put `text` in place of the line with this number."""
    there = lines(path)
    there[line - 1] = text
    path.write_bytes(b"".join(there))


def states(path: Path) -> list[str]:
    return [trial.state.name for trial in optuna.load_study(study_name="s", storage=open_journal(path)).trials]


def test_a_whole_journal_has_nothing_to_repair(path: Path) -> None:
    assert find_damage(path) is None
    with open(path, "ab") as file:
        file.write(b'{"op_code":4,"torn')
    repair = repair_journal(path)
    assert (repair.path, repair.lines, repair.kept, repair.studies) == (None, 17, 17, {"s": 3})
    assert os.listdir(path.parent) == ["journal"]


@pytest.mark.parametrize("text", [b"\0" * 50 + b"\n", b"\n", b"{}\n", b'{"op_code":4,"worker\n', b'{"op_code":77}\n'])
def test_what_stands_before_the_damage_is_kept_where_the_line_may_have_made_a_trial(text: bytes, path: Path) -> None:
    damage(path, 10, text)
    found = find_damage(path)
    assert found is not None
    assert found.line == 10
    before = path.read_bytes()
    repair = repair_journal(path)
    assert path.read_bytes() == before
    assert repair.path is not None
    assert repair.path.name == "journal.repaired"
    assert repair.path.read_bytes() == b"".join(lines(path)[:9])
    assert (repair.lines, repair.kept, repair.studies) == (17, 9, {"s": 2})
    assert [one.line for one in repair.damages] == [10]
    assert states(repair.path) == ["COMPLETE", "RUNNING"]
    assert sorted(os.listdir(path.parent)) == ["journal", "journal.repaired"]
    assert repair_journal(path).path == path.with_name("journal.repaired-2")


def test_a_line_that_can_be_seen_to_make_nothing_is_left_out_alone(path: Path) -> None:
    there = lines(path)
    for number in (11, 12, 16):
        damage(path, number, there[number - 1][:25] + b"\0\xff\n")
    repair = repair_journal(path)
    assert repair.path is not None
    assert [one.line for one in repair.damages] == [11, 12, 16]
    assert (repair.lines, repair.kept, repair.studies) == (17, 14, {"s": 3})
    assert lines(repair.path) == [line for number, line in enumerate(there, 1) if number not in (11, 12, 16)]
    assert states(repair.path) == ["COMPLETE", "RUNNING", "COMPLETE"]


def test_what_was_appended_to_a_torn_line_is_kept(path: Path) -> None:
    """As an Optuna without the repair of torn lines does it."""
    there = lines(path)
    damage(path, 8, b'{"op_code":4,"worker_id":"killed while it wro' + there[7])
    repair = repair_journal(path)
    assert repair.path is not None
    assert lines(repair.path) == there
    assert [one.line for one in repair.damages] == [8]


def test_a_state_that_is_lost_leaves_a_trial_that_is_tried_again(path: Path) -> None:
    damage(path, 17, lines(path)[16][:40] + b"\n")
    repair = repair_journal(path)
    assert repair.path is not None
    assert states(repair.path) == ["COMPLETE", "COMPLETE", TrialState.RUNNING.name]


def test_nothing_is_left_where_the_new_file_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(path, 10, b"\n")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        repair_journal(path)
    assert os.listdir(path.parent) == ["journal"]
