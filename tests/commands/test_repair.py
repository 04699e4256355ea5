"""`kerastuna repair`: what can be read of a damaged journal goes to a new file."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

JOURNAL = "mlruns/optuna.journal"


def damage(path: Path, line: int) -> bytes:
    """Put garbage in place of a line; returns the journal as it is then."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = b"\xff" * 40 + b"\n"
    path.write_bytes(b"".join(lines))
    return path.read_bytes()


@pytest.mark.usefixtures("storage")
def test_a_damaged_journal_is_told_repaired_and_gone_on_with(kerastuna: Any, tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    count = path.read_bytes().count(b"\n")
    damaged = damage(path, count - 1)
    status, out, err = kerastuna("trials")
    assert (status, out) == (2, "")
    assert err.splitlines() == [
        f"kerastuna: storage {str(path)!r} is a damaged journal (line {count - 1}: UnicodeDecodeError): kerastuna "
        f"repair --storage {path} writes all that can be read to a new file"
    ]
    status, out, err = kerastuna("repair")
    assert (status, out) == (0, "")
    go_on = f"mv {JOURNAL} {JOURNAL}.damaged && mv {JOURNAL}.repaired {JOURNAL}"
    assert err.splitlines() == [
        f"line {count - 1} is damaged (UnicodeDecodeError)",
        f"wrote {JOURNAL}.repaired: {count - 2} of {count} lines, study one with 3 trials; {JOURNAL} is as it was",
        f"To go on with it, stop every search on it first, then: {go_on}",
    ]
    assert path.read_bytes() == damaged
    subprocess.run(go_on, shell=True, cwd=tmp_path, check=True)
    assert [trial["number"] for trial in json.loads(kerastuna("trials", "--all", "--json").out)] == [0, 1, 2]
    assert kerastuna("repair") == (0, "", f"{JOURNAL} is whole: {count - 2} lines, nothing to repair\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--storage", "postgresql://me:secret@host/db"], "names a database"),
        (["--storage", "nowhere/journal"], "there is no journal 'nowhere/journal'"),
        (["--storage", "."], "cannot be repaired: Is a directory"),
        (["--folder", "mlruns/optuna.journal"], "there is no journal 'mlruns/optuna.journal/optuna.journal'"),
    ],
)
def test_what_cannot_be_repaired_gets_one_line(kerastuna: Any, tmp_path: Path, arguments: list[str], told: str) -> None:
    status, out, err = kerastuna("repair", *arguments)
    assert (status, out) == (2, "")
    assert told in err
    assert "secret" not in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_command_that_goes_on_is_quoted(kerastuna: Any, storage: Any, tmp_path: Path) -> None:
    path = tmp_path / "my runs" / "journal"
    path.parent.mkdir()
    (tmp_path / JOURNAL).rename(path)
    damage(path, 2)
    err = kerastuna("repair", "--storage", "journal://my runs/journal").err
    assert f"mv {shlex.quote('my runs/journal')} " in err
