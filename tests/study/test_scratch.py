"""Scratch folders: those of dead processes are removed, and no others."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from killed_search import Copy

from kerastuna.search.study.scratch import PREFIX, make_scratch, own_temporary_folder, remove_leftovers


def in_a_process(folder: Path, prefix: str) -> Copy:
    """A process that has made a scratch folder, and sleeps."""

    def work() -> None:
        (make_scratch(folder, prefix) / "file").touch()
        time.sleep(600)

    copy = Copy(work)
    while not list(folder.glob(f"{prefix}*-{copy.pid}-*/file")):
        time.sleep(0.02)
    return copy


def test_the_folder_of_a_killed_process_is_removed_and_no_other(tmp_path: Path) -> None:
    own = make_scratch(tmp_path, ".d.")
    (tmp_path / ".d.mine").mkdir()
    dead, stopped, live = (in_a_process(tmp_path, prefix) for prefix in (".d.", ".d.", ".d."))
    other = make_scratch(tmp_path, ".d.x.")
    before = {path.name for path in tmp_path.iterdir()}
    dead.send(signal.SIGKILL)
    dead.wait()
    stopped.send(signal.SIGSTOP)
    try:
        remove_leftovers(tmp_path, ".d.")
        left = {path.name for path in tmp_path.iterdir()}
    finally:
        for copy in (stopped, live):
            copy.send(signal.SIGKILL)
            copy.wait()
    (gone,) = before - left
    assert f"-{dead.pid}-" in gone
    assert {own.name, other.name, ".d.mine"} <= left
    remove_leftovers(tmp_path / "none", ".d.")


def test_a_folder_of_another_machine_is_removed_after_a_day(tmp_path: Path) -> None:
    old, young = (tmp_path / f"{PREFIX}0123456789ab-1-77-{name}" for name in ("old", "young"))
    for folder, age in ((old, 25), (young, 23)):
        folder.mkdir()
        (folder / "file").touch()
        for path in (folder / "file", folder):
            os.utime(path, (0, time.time() - age * 3600))
    remove_leftovers(tmp_path, PREFIX)
    assert [path.name for path in tmp_path.iterdir()] == [young.name]


def test_temporary_files_are_in_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    before = dict(os.environ)
    make = [sys.executable, "-c", "import tempfile; print(tempfile.mkstemp()[1])"]
    with own_temporary_folder():
        (folder,) = tmp_path.iterdir()
        assert folder.name.startswith(PREFIX)
        descriptor, here = tempfile.mkstemp()
        os.close(descriptor)
        there = subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip()
        assert Path(here).parent == Path(there).parent == folder
        assert os.environ["RAY_TMPDIR"] == str(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == str(tmp_path)
    assert dict(os.environ) == before
