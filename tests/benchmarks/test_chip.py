"""The comparison of the bounds of flash and RAM with files: what it writes, with networks that were measured before."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chip
import pytest

SIZES = {"bound": 1100, "measured": 1000}
COMMAND = "kerastuna bench chip --networks 1 --seed {seed} --spaces ConvNet,mixed"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a network of every chunk be measured at once."""

    def run(command: Sequence[str], **options: Any) -> SimpleNamespace:
        record = {"space": "mixed", "seed": int(command[command.index("--chunk") + 1]), "flash": SIZES, "ram": SIZES}
        line = f"{chip.MARK} {json.dumps(record | {'remaining': 0, 'expected_remaining': 0})}\n"
        return SimpleNamespace(returncode=0, stdout=line)

    monkeypatch.setattr(subprocess, "run", run)


@pytest.mark.usefixtures("measured")
def test_results_tell_the_commands_that_gave_them(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    commands = [COMMAND.format(seed=101), f"{COMMAND.format(seed=500)} --out DIR --add"]
    assert chip.main(["--networks", "1", "--out", str(out)]) == 0
    for _ in range(2):  # the second time in place of the first
        assert chip.main(["--networks", "1", "--seed", "500", "--out", str(out), "--add"]) == 0
    told = json.loads((out / "chip.json").read_text())
    assert told["commands"] == commands
    assert [record["seed"] for record in told["networks"]] == [101, 500]
    text = (out / "chip.md").read_text()
    assert "".join(f"    {command}\n" for command in commands) in text
    assert "2 random networks, seeds 101 to 500" in text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--networks", "0"], "--networks 0: give 1 or more"),
        (["--networks", "-3"], "--networks -3: give 1 or more"),
        (["--seed", "-1"], "--seed -1: give 0 or more"),
        (
            ["--spaces", "mixed,lenet"],
            "--spaces mixed,lenet: there is no 'lenet'; give some of ConvNet, Compact, mixed",
        ),
        (["--add"], "--add: say with --out in which folder chip.json is"),
        (["--add", "--out", "{folder}"], "{folder}/chip.json: No such file or directory; leave out --add"),
        (["--add", "--out", "{folder}/other"], "{folder}/other/chip.json is no file of this program: leave out --add"),
        (["--out", "{folder}/other/chip.json"], "--out {folder}/other/chip.json: File exists; give a folder"),
    ],
)
@pytest.mark.usefixtures("measured")
def test_what_cannot_be_measured_is_told_in_one_line(
    options: list[str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "chip.json").write_text("[]\n")
    assert chip.main([option.format(folder=tmp_path) for option in options]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"chip: {problem.format(folder=tmp_path)}")
    assert errors.count("\n") == 1
