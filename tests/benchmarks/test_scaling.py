"""The benchmark of workers on a storage: a short run, and its report."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import scaling
from support import ROOT


def test_a_short_run(tmp_path: Path) -> None:
    options = ["--workers", "1", "2", "--storages", "journal", "sqlite", "--repeats", "2", "--trials", "1"]
    options += ["--seconds", "0.2", "--running", "3", "1"]  # in any order
    subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "scaling.py"), *options, "--output", str(tmp_path)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    result = json.loads((tmp_path / "scaling.json").read_text())
    rates = {(each["storage"], each["workers"]): each for each in result["rates"]}
    assert list(rates) == [("journal", 1), ("sqlite", 1), ("journal", 2), ("sqlite", 2)]
    assert all(0 < rate <= 60 * workers / 0.2 for (_, workers), each in rates.items() for rate in each["per_minute"])
    assert all(len(each["per_minute"]) == 2 for each in rates.values())
    assert rates["journal", 1]["traffic"]["lines"] > 20  # an epoch is two at least
    assert rates["journal", 1]["traffic"]["bytes"] > 1000
    assert rates["sqlite", 1]["traffic"]["statements"] > rates["sqlite", 1]["traffic"]["commits"] > 20
    assert rates["sqlite", 2]["traffic"]["connections of a worker"] >= 1
    assert [(each["storage"], each["running"]) for each in result["reads"]] == [
        (storage, running) for storage in ("journal", "sqlite") for running in (1, 3)
    ]
    command = "kerastuna bench scaling --workers 1 2 --storages journal sqlite --repeats 2 --trials 1 --seconds 0.2"
    command += " --running 1 3"
    assert result["commands"] == [command]
    text = (tmp_path / "scaling.md").read_text()
    assert f"    {command}\n" in text
    assert "| at best | 300 | 600 |" in text
    assert "cores of" in text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--workers", "1", "0"], "--workers 0: give 1 or more"),
        (["--repeats", "-1"], "--repeats -1: give 1 or more"),
        (["--trials", "0"], "--trials 0: give 1 or more"),
        (["--running", "0"], "--running 0: give 1 or more"),
        (["--seconds", "0"], "--seconds 0: give a number above 0"),
        (["--seconds", "nan"], "--seconds nan: give a number above 0"),
        (["--output", "{file}"], "--output {file}: File exists; give a folder"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    options: list[str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    given = ["--output", str(tmp_path / "out"), *(option.format(file=file) for option in options)]
    assert scaling.main(given) == 2
    assert capsys.readouterr().err == f"scaling: {problem.format(file=file)}\n"


def test_the_kept_report_is_that_of_the_kept_results() -> None:
    text = scaling.report(json.loads((scaling.RESULTS / "scaling.json").read_text()))
    assert (scaling.RESULTS / "scaling.md").read_text().startswith(text)
