"""The arguments of the command as values."""

from importlib.metadata import version
from typing import Any

import pytest

from kerastuna.search.commands.options import DEFAULT_SPACE
from kerastuna.search.commands.parser import make_parser

COMMANDS = (
    "search",
    "confirm",
    "export",
    "trials",
    "studies",
    "repair",
    "describe",
    "reproduce",
    "ui",
    "dashboard",
    "bench",
)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        (["--max-macs", "3M"], "max_macs", 3_000_000),
        (["--max-macs", "1.5k"], "max_macs", 1500),
        (["--max-macs", "3000000"], "max_macs", 3_000_000),
        (["--max-ram", "64K"], "max_ram", 65_536),
        (["--max-ram", "2m"], "max_ram", 2 * 1024**2),
        (["--max-ram", "65536"], "max_ram", 65_536),
        (["--pareto", "val_accuracy, params,ram"], "pareto", ("val_accuracy", "params", "ram")),
        (["--trial-timeout", "10m"], "trial_timeout", 600.0),
        (["--trial-timeout", "1.5"], "trial_timeout", 1.5),
        (["--timeout", "2h"], "timeout", 7200.0),
        (["--timeout", "90s"], "timeout", 90.0),
        (["--reach", "val_accuracy=0.994"], "reach", {"val_accuracy": 0.994}),
        (["--fix", "a=1, b=x,y", "--fix", "c=0.5", "--fix", "a=1"], "fix", {"a": "1", "b": "x,y", "c": "0.5"}),
        ([], "fix", None),
        (["--space", "compact"], "space", "kerastuna.spaces.compact:Compact"),
        (["--space", "convnet"], "space", DEFAULT_SPACE),
        (["--space", "compact:Mine"], "space", "compact:Mine"),
        ([], "space", DEFAULT_SPACE),
    ],
)
def test_what_is_given_is_read(given: list[str], name: str, value: Any):
    parser = make_parser(dict.fromkeys(COMMANDS, lambda options: 0))
    assert getattr(parser.parse_args(["search", *given]), name) == value


def test_int8_is_measured_unless_an_option_or_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch):
    def read(*given: str) -> bool:
        return make_parser(dict.fromkeys(COMMANDS, lambda options: 0)).parse_args(["confirm", *given]).int8

    monkeypatch.delenv("KERASTUNA_INT8")  # tests/conftest.py sets it
    assert read() is read("--int8", "on") is True
    assert read("--int8", "off") is False
    monkeypatch.setenv("KERASTUNA_INT8", "off")
    assert read() is False
    assert read("--int8", "on") is True


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["search", "--study=--"], "--study"),
        (["search", "--study", "--trials"], "--study"),
        (["search", "--max-macs", "1e400"], "'1e400' is not a whole number"),
        (["search", "--max-ram", "1e308K"], "'1e308K' is not a whole number"),
        (["search", "--budget", "9" * 5000], "--budget"),
        (["confirm", "--seeds", "9" * 30], "from 1 to"),
        (["search", "--data", "a\0b"], "NUL"),
        (["search", "--trial-timeout", "soon"], "'soon' is not a time, such as 600, 10m or 2h"),
        (["search", "--trial-timeout", "m"], "'m' is not a time"),
        (["confirm", "--int8", "no"], "'no' is neither on nor off"),
        (["search", "--fix", "dropout"], "'dropout' is not of the form NAME=VALUE"),
        (["search", "--fix", "=3"], "'=3' is not of the form NAME=VALUE"),
        (["search", "--fix", "a=1", "--fix", "a=2"], "a is fixed twice, at 1 and 2: give one"),
    ],
)
def test_what_cannot_be_read_gets_one_short_line(
    given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = make_parser(dict.fromkeys(COMMANDS, lambda options: 0))
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(given)
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert told in line
    assert line.count("\n") == 1
    assert len(line) < 650


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        make_parser(dict.fromkeys(COMMANDS, lambda options: 0)).parse_args(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"kerastuna {version('kerastuna')}\n"
