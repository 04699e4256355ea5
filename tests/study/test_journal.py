"""The journal file: torn, locked, shared, or not a journal at all."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileSymlinkLock
from optuna.trial import TrialState

from kerastuna.search.errors import StudyError
from kerastuna.search.study.journal import open_journal
from kerastuna.search.study.journal_repair import repair_journal


def write_study(path: Path, trials: int = 3) -> None:
    study = optuna.create_study(storage=open_journal(path), study_name="s")
    for number in range(trials):
        trial = study.ask()
        trial.suggest_int("n", 0, 9)
        trial.set_user_attr("text", "x" * 40)
        study.tell(trial, number)


def go_on(path: Path) -> optuna.Study:
    """One more trial, in the study as it is then."""
    study = optuna.create_study(storage=open_journal(path), study_name="s", load_if_exists=True)
    trial = study.ask()
    trial.suggest_int("n", 0, 9)
    study.tell(trial, 0.5)
    return study


def cut(path: Path, count: int) -> None:
    with open(path, "rb+") as file:
        file.truncate(path.stat().st_size - count)


@contextmanager
def script(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`program` in a process of its own, which ends with the block."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("count", [1, 5, 40, 200])
def test_a_torn_end_is_cut_and_the_study_goes_on(count: int, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write_study(path)
    cut(path, count)
    whole_lines = path.read_bytes()[: path.read_bytes().rfind(b"\n") + 1]
    study = optuna.load_study(study_name="s", storage=open_journal(path))
    assert path.read_bytes() == whole_lines
    assert [trial.values for trial in study.trials[:2]] == [[0.0], [1.0]]
    assert study.trials[2].state == TrialState.RUNNING
    assert go_on(path).trials[3].values == [0.5]
    assert path.read_bytes().startswith(whole_lines)
    assert [trial.state.name for trial in go_on(path).trials] == ["COMPLETE", "COMPLETE", "RUNNING"] + 2 * ["COMPLETE"]


def test_a_file_torn_at_any_byte_is_usable(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write_study(path, trials=1)
    content = path.read_bytes()
    for end in range(0, len(content), 23):
        path.write_bytes(content[:end])
        go_on(path)
        assert go_on(path).trials[-1].values == [0.5]
        assert path.read_bytes().startswith(content[: content[:end].rfind(b"\n") + 1])


def test_a_torn_end_under_an_open_study_is_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write_study(path)
    study = optuna.load_study(study_name="s", storage=open_journal(path))
    with open(path, "ab") as file:
        file.write(b'{"op_code":4,"worker_id":"killed while it wro')
    assert len(study.trials) == 3
    study.tell(study.ask(), 7.0)
    with open(path, "ab") as file:
        file.write(b'{"op_code":4,"worker_id":"killed while it wro')
    study.tell(study.ask(), 8.0)
    assert [trial.values for trial in go_on(path).trials[3:]] == [[7.0], [8.0], [0.5]]


def test_a_disk_that_was_full_for_a_while(tmp_path: Path) -> None:
    """A limit on the size of files makes the system write half a line and refuse the rest, as a full disk does."""
    path = tmp_path / "journal"
    write_study(path)
    program = """
        import resource, sys
        from pathlib import Path
        import optuna
        from kerastuna.search.errors import StudyError
        from kerastuna.search.study.journal import open_journal
        path = Path(sys.argv[1])
        study = optuna.load_study(study_name="s", storage=open_journal(path))
        trial = study.ask()
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 60, hard))
        try:
            trial.set_user_attr("key", "v" * 100)
        except StudyError as error:
            assert "cannot be written: File too large; what was stored is kept" in str(error)
            print("torn" if not path.read_bytes().endswith(b"\\n") else "whole", flush=True)
        sys.stdin.readline()
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        trial.set_user_attr("key", "second try")
        study.tell(trial, 3.0)
        """
    with script(program, path) as worker:
        assert read_line(worker) == "torn"
        assert len(go_on(path).trials) == 5  # another process meanwhile
        worker.communicate("go on\n", timeout=60)
        assert worker.returncode == 0
    study = go_on(path)
    assert study.trials[3].user_attrs == {"key": "second try"}
    assert study.trials[3].values == [3.0]


def test_a_line_that_is_being_written_is_waited_for_and_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write_study(path)
    storage = open_journal(path)
    program = """
        import json, sys, time
        from optuna.storages.journal import JournalFileSymlinkLock
        path = sys.argv[1]
        line = json.dumps({"op_code": 2, "worker_id": "other", "study_id": 0, "user_attr": {"slow": True}}) + "\\n"
        lock = JournalFileSymlinkLock(path)
        lock.acquire()
        with open(path, "ab", buffering=0) as file:
            file.write(line[:30].encode())
            print("half", flush=True)
            time.sleep(0.5)
            file.write(line[30:].encode())
        lock.release()
        """
    with script(program, path) as writer:
        assert read_line(writer) == "half"
        study = optuna.load_study(study_name="s", storage=storage)
        assert study.user_attrs == {"slow": True}
        assert writer.wait(60) == 0


WRITER = """
import sys
from pathlib import Path
import optuna
from kerastuna.search.study.journal import open_journal
study = optuna.load_study(study_name="s", storage=open_journal(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
for index in range(40):
    trial = study.ask()
    trial.set_user_attr("writer", sys.argv[2])
    trial.set_user_attr("index", index)
    study.tell(trial, float(index))
"""


def test_two_processes_append_at_once_and_a_third_reads(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    optuna.create_study(storage=open_journal(path), study_name="s")
    reader = optuna.load_study(study_name="s", storage=open_journal(path))
    with ExitStack() as stack:
        writers = [stack.enter_context(script(WRITER, path, name)) for name in ("a", "b")]
        assert [read_line(writer) for writer in writers] == ["ready", "ready"]
        for writer in writers:
            print(file=writer.stdin, flush=True)
        seen = 0
        while any(writer.poll() is None for writer in writers):
            trials = reader.get_trials(deepcopy=False)
            assert len(trials) >= seen
            assert all(len(trial.user_attrs) == 2 for trial in trials if trial.state.is_finished())
            seen = len(trials)
        assert [writer.wait() for writer in writers] == [0, 0]
    trials = reader.get_trials(states=(TrialState.COMPLETE,))
    assert [trial.number for trial in trials] == list(range(80))
    for name in ("a", "b"):
        assert [t.user_attrs["index"] for t in trials if t.user_attrs["writer"] == name] == list(range(40))
    assert len(optuna.load_study(study_name="s", storage=open_journal(path)).trials) == 80


def test_a_relative_path_stays_the_same_file_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = optuna.create_study(storage=open_journal(Path("new/folder/journal")), study_name="s")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    study.tell(study.ask(), 1.0)
    assert go_on(tmp_path / "new" / "folder" / "journal").trials[0].values == [1.0]
    assert os.listdir() == []


def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """The repair of torn ends must not touch what is no journal: a database, a text without a last newline."""
    with sqlite3.connect(tmp_path / "database") as database:
        database.execute("create table t (text)")
        database.execute("insert into t values ('a line\nand half of another')")
    database.close()
    (tmp_path / "text").write_text("first line\nsecond")
    (tmp_path / "json").write_text('{"key": 1}\n{"op_code"')
    for name in ("database", "text", "json"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(StudyError, match=f"{name}' is not a journal of Optuna: give another path"):
            open_journal(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("damage", [b"\x00\xff\n", b"{}\n", b"null\n", b'{"op_code":77,"worker_id":"x"}\n'])
def test_a_journal_damaged_in_the_middle_is_told_in_one_line(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write_study(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], damage, *lines[4:]]))
    before = path.read_bytes()
    with pytest.raises(StudyError, match=r"is a damaged journal \(line 5: \w+\): kerastuna repair --storage") as caught:
        open_journal(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_path_that_cannot_be_is_an_operating_system_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"exists|directory"):
        open_journal(tmp_path / "file" / "journal")
    with pytest.raises(OSError, match="directory"):
        open_journal(tmp_path)


def test_what_is_no_file_is_no_journal() -> None:
    with pytest.raises(StudyError, match="'/dev/null' is not a journal of Optuna: give another path"):
        open_journal(Path("/dev/null"))


def test_a_journal_that_can_no_longer_be_written_or_read_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "journal"
    write_study(path)
    study = optuna.load_study(study_name="s", storage=open_journal(path))
    path.parent.rename(tmp_path / "away")
    with pytest.raises(StudyError, match="was deleted or moved while this search worked on it: nothing more is stored"):
        study.set_user_attr("key", "value")
    with pytest.raises(StudyError, match="was deleted or moved while this search worked on it: nothing more is stored"):
        assert study.trials
    (tmp_path / "away").rename(path.parent)
    study.tell(study.ask(), 1.0)


def test_a_torn_journal_that_must_not_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    write_study(path)
    cut(path, 5)
    before = path.read_bytes()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root, who may write everything
    assert len(optuna.load_study(study_name="s", storage=open_journal(path)).trials) == 3
    assert path.read_bytes() == before


def test_a_reader_of_a_whole_journal_needs_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write_study(path)
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        assert len(optuna.load_study(study_name="s", storage=open_journal(path)).trials) == 3
        assert os.path.lexists(f"{path}.lock")  # else it was broken, after 30 seconds
    finally:
        lock.release()


def test_a_journal_that_is_deleted_is_told_and_not_made_again(tmp_path: Path) -> None:
    write_study(tmp_path / "journal")
    study = optuna.load_study(study_name="s", storage=open_journal(tmp_path / "journal"))
    (tmp_path / "journal").unlink()
    for operation in (study.ask, study.get_trials, lambda: study.set_user_attr("seconds", 1.0)):
        with pytest.raises(StudyError, match="was deleted or moved while this search worked on it: nothing more is st"):
            operation()
    assert list(tmp_path.iterdir()) == []


def test_another_journal_in_its_place_is_left_alone(tmp_path: Path) -> None:
    write_study(tmp_path / "journal")
    study = optuna.load_study(study_name="s", storage=open_journal(tmp_path / "journal"))
    (tmp_path / "journal").unlink()
    write_study(tmp_path / "journal")
    before = (tmp_path / "journal").read_bytes()
    for operation in (study.ask, study.get_trials, lambda: study.set_user_attr("seconds", 1.0)):
        with pytest.raises(StudyError, match="was deleted while this search worked on it, and another one is in its p"):
            operation()
    assert (tmp_path / "journal").read_bytes() == before


def test_a_repaired_journal_in_its_place_ends_the_search_that_has_the_old_one_open(tmp_path: Path) -> None:
    """It begins as the old one does; what is read of it would begin in the middle of a line, or at its end."""
    path = tmp_path / "journal"
    write_study(path, 10)
    study = optuna.load_study(study_name="s", storage=open_journal(path))
    trial = study.ask()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:8], b"x" * (len(lines[8]) - 1) + b"\n", *lines[9:]]))
    assert len(study.trials) == 11  # it has read that line before
    repaired = repair_journal(path).path
    assert repaired is not None
    before = repaired.read_bytes()
    assert path.read_bytes().startswith(before[:1000])
    repaired.rename(path)
    for operation in (lambda: study.tell(trial, 0.5), study.ask, study.get_trials):
        with pytest.raises(StudyError, match="another one is in its place: nothing more is stored; start again to go"):
            operation()
    assert path.read_bytes() == before


@pytest.mark.parametrize("lines", [-1, 7, 1, 0])
def test_an_older_copy_over_a_journal_ends_the_search_that_has_it_open(lines: int, tmp_path: Path) -> None:
    """A copy over it, from a backup, keeps the number of the file."""
    path = tmp_path / "journal"
    write_study(path)
    study = optuna.load_study(study_name="s", storage=open_journal(path))
    study.set_user_attr("key", "of this process")
    backup = b"".join(path.read_bytes().splitlines(keepends=True)[:lines])
    number = path.stat().st_ino
    path.write_bytes(backup)
    assert path.stat().st_ino == number
    for operation in (study.ask, study.get_trials, lambda: study.set_user_attr("key", "lost")):
        with pytest.raises(StudyError, match="another one is in its place: nothing more is stored"):
            operation()
    assert path.read_bytes() == backup


def test_an_older_copy_that_has_grown_since_is_another_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write_study(path)
    study = optuna.load_study(study_name="s", storage=open_journal(path))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    for _ in range(5):
        go_on(path)
    with pytest.raises(StudyError, match="another one is in its place: nothing more is stored"):
        study.ask()


@pytest.mark.parametrize("damage", [b"{}{}\n", b"\xff\n"])
def test_a_line_that_is_damaged_under_an_open_study_is_told_in_one_line(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "my runs" / "journal"
    write_study(path)
    study = optuna.load_study(study_name="s", storage=open_journal(path))
    count = path.read_bytes().count(b"\n")
    with open(path, "ab") as file:
        file.write(damage + b'{"op_code":2,"worker_id":"x","study_id":0,"user_attr":{"a":1}}\n')
    told = rf"is a damaged journal \(line {count + 1}: \w+\): kerastuna repair --storage '{path}' writes"
    with pytest.raises(StudyError, match=told) as caught:
        assert study.trials
    assert "\n" not in str(caught.value)
    with pytest.raises(StudyError, match=told):
        open_journal(path)


def test_the_same_journal_with_another_number_goes_on(tmp_path: Path) -> None:
    """As some file systems of a network give after a while."""
    write_study(tmp_path / "journal")
    study = optuna.load_study(study_name="s", storage=open_journal(tmp_path / "journal"))
    (tmp_path / "copy").write_bytes((tmp_path / "journal").read_bytes())
    (tmp_path / "copy").rename(tmp_path / "journal")
    study.set_user_attr("seconds", 1.0)
    again = optuna.load_study(study_name="s", storage=open_journal(tmp_path / "journal"))
    assert again.user_attrs["seconds"] == 1.0
