"""Every option of every command with odd values: one line, exit status 2, no traceback, nothing left behind."""

import argparse
import contextlib
import io
import itertools
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerastuna.search.commands import cli
from kerastuna.search.commands.cli import COMMANDS
from kerastuna.search.commands.common import open_study_of, search_options
from kerastuna.search.commands.parser import make_parser
from kerastuna.search.commands.session import check_options
from kerastuna.search.tracking.store import check_tracking_uri

ODD = (
    *("", " ", "-", "--", "--study", "-1", "0", "1", "1e400", "1e308K", "1e308G", "-1e9", "nan", "inf", "-inf", "0x10"),
    *("9" * 30, "9" * 400, "9" * 5000, "1_000", "٣", "½", "1.5", "K", "64K", "auto", "None", "[]", "{}", "true"),
    *(".", "..", "../x", "/", "/dev/null", "/dev/null/x", "~", "~nobody/x", "a/b", "a\\b", "x" * 300, "é" * 200),
    *(
        "a\0b",
        "a\nb",
        "a\rb",
        "\x1b[31m",
        "\udcff",
        "\u202e",
        "NUL",
        "%s%n",
        "$(id)",
        "`id`",
        "{0}",
        "*",
        "?",
        "'\"",
        ";",
    ),
    *("a:b", ":", "a:", ":b", "a:b:c", "os:system", "a.b:c", "..a:b", "json:", "val_accuracy", "val_accuracy:max"),
    *("val_accuracy=0.9", "=", "a=", "=1", "val_accuracy=nan", "val_accuracy=1e400", "val_loss=-1", ",", "a,b", ",,"),
    *("params", "val_accuracy,params", "../x:max", "val_accuracy,../x:min", "x.npz", "x.csv", "x.parquet", "mnist"),
    *("://", "a://", "http://", "http://[::1", "http://h:99999", "http://me:hunter2@h:x", "me:hunter2@h", "sqlite://"),
    *(
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:////no/such/x.db",
        "sqlite:///.",
        "sqlite:///a\0b",
        "nope://me:hunter2@x",
    ),
    *("postgresql+nope://me:hunter2@h/x", "mssql://me:hunter2@h", "journal://", "journal:///dev/null", "file:///x"),
    *("databricks://a:b", "journal://../x/y", "sqlite+nope://x", "http://a b", "eip_3", "eip_9", "keras,nope", "quick"),
)
NUMBERS = st.one_of(st.integers().map(str), st.floats().map(str), st.integers(0, 10**40).map(lambda n: f"{n}K"))
VALUES = st.one_of(st.sampled_from(ODD), NUMBERS, st.text(max_size=40))


def _ready(options: argparse.Namespace) -> int:
    """Every check of a command that needs no Keras, in the order of the commands."""
    if hasattr(options, "sampler"):
        check_options(search_options(options))
    elif hasattr(options, "study"):
        open_study_of(options)
    if hasattr(options, "tracking_uri") and options.tracking_uri is not None:
        check_tracking_uri(options.tracking_uri)
    return 0


PARSER = make_parser(dict.fromkeys(COMMANDS, _ready))
(SUBPARSERS,) = (action for action in PARSER._actions if isinstance(action, argparse._SubParsersAction))
OPTIONS = {
    name: [action.option_strings[-1] for action in parser._actions if action.option_strings and action.dest != "help"]
    for name, parser in SUBPARSERS.choices.items()
}
TRIED = itertools.count()
"""Counts the inputs."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("odd") / "inside"
    folder.mkdir()
    handler = signal.getsignal(signal.SIGTERM)
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_functions", lambda: dict.fromkeys(COMMANDS, _ready))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield folder
    signal.signal(signal.SIGTERM, handler)


def _try(folder: Path, arguments: Sequence[str]) -> None:
    """Fail unless it is accepted, or refused in one line that shows no password; and leaves nothing behind."""
    next(TRIED)
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            status = cli.main(arguments)
        except SystemExit as ended:  # argparse
            status = ended.code
    told = err.getvalue()
    assert status in (0, 2), arguments
    assert told.count("\n") == (0 if status == 0 else 1), (arguments, told)
    assert told.rstrip("\n").isprintable(), arguments
    assert "hunter2" not in told, arguments
    assert len(told) < 2500, arguments
    assert list(folder.parent.rglob("*")) == [folder], arguments


def test_every_option_with_odd_values(folder: Path) -> None:
    for command, options in OPTIONS.items():
        for number, option in enumerate(options):
            for value in ODD[number % 2 :: 2]:  # each value with every second option
                _try(folder, [command, f"{option}={value}"])
    for command in (*COMMANDS, "nope"):
        for value in ODD:
            _try(folder, [command, value])


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_several_options_with_any_text(folder: Path, data: st.DataObject) -> None:
    command = data.draw(st.sampled_from([name for name in OPTIONS if OPTIONS[name]]))
    given = data.draw(st.lists(st.tuples(st.sampled_from(OPTIONS[command]), VALUES), max_size=4))
    form = data.draw(st.booleans())
    _try(folder, [command, *(part for pair in given for part in (pair if form else ["=".join(pair)]))])


def test_enough_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    tried = next(TRIED)
    with capsys.disabled():
        print(f"\n{tried:,} inputs of {sum(map(len, OPTIONS.values()))} options of {len(COMMANDS)} commands tried")
    assert tried >= 2000
