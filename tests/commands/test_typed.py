"""What can be typed after a search: as kerastuna, and as make where that is this project's."""

import argparse
import re
import shlex
import sys
from pathlib import Path

import pytest
from support import ROOT

from kerastuna.search.commands.cli import COMMANDS
from kerastuna.search.commands.common import search_options
from kerastuna.search.commands.options import SearchOptions
from kerastuna.search.commands.parser import make_parser
from kerastuna.search.commands.typed import VARIABLES, command_on, commands_after, is_typed_as_make

OWN = SearchOptions(
    data="my set.npz",
    budget=900,
    trials=3,
    profile="quick",
    minimize="params",
    reach={"val_accuracy": 0.9},
    sampler="random",
    warm_start=False,
    study="s",
    folder=Path("r"),
)


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MAKELEVEL", raising=False)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kerastuna"])
    monkeypatch.chdir(tmp_path)


def parsed(command: str) -> argparse.Namespace:
    return make_parser(dict.fromkeys(COMMANDS, lambda options: 0)).parse_args(shlex.split(command)[1:])


def test_the_search_is_told_again_as_it_was_typed_in_profile_full() -> None:
    after = commands_after(OWN, "s")
    assert after.full.startswith("kerastuna search --data 'my set.npz' --budget 900 ")
    again = search_options(parsed(after.full))
    assert (again.profile, again.study, again.begin_with, again.trials) == ("full", None, "s", None)
    names = ("data", "budget", "minimize", "reach", "sampler", "warm_start", "folder")
    assert [getattr(again, name) for name in names] == [getattr(OWN, name) for name in names]
    assert (after.program, after.export, after.ui, after.location) == (
        *("kerastuna", None, "kerastuna ui --folder r"),
        " --folder r",
    )


def test_a_makefile_of_another_project_is_not_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAKELEVEL", "1")
    (tmp_path / "Makefile").write_text("search:\n\ttrue\n")
    assert not is_typed_as_make()
    monkeypatch.chdir(ROOT)
    assert is_typed_as_make()
    monkeypatch.delenv("MAKELEVEL")
    assert not is_typed_as_make()


def test_what_was_typed_as_make_is_told_as_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKELEVEL", "1")
    monkeypatch.chdir(ROOT)
    usual = commands_after(SearchOptions(), None)
    assert (usual.ui, usual.export, usual.full) == ("make ui", "make export", "make search PROFILE=full")
    own = commands_after(OWN, "s")
    assert own.ui == "make ui ARGS='--folder r'"
    assert own.export == "make export STUDY=s ARGS='--folder r'"
    assert own.full == (
        "make search DATA='my set.npz' BUDGET=900 MINIMIZE=params REACH=val_accuracy=0.9 PROFILE=full "
        "BEGIN_WITH=s ARGS='--sampler random --no-warm-start --folder r'"
    )


def test_the_variables_are_those_of_the_makefile() -> None:
    text = (ROOT / "Makefile").read_text()
    options = text[text.index("SEARCH_OPTIONS") : text.index("help:")]
    assert set(VARIABLES) == set(re.findall(r",([A-Z_]+)\)", options))


def test_a_command_on_a_study_can_be_pasted() -> None:
    options = SearchOptions(storage="sqlite:///a b.db", folder=Path("my runs"), tracking_uri="sqlite:///c.db")
    again = parsed(command_on(options, "confirm", "my study"))
    assert (again.study, again.storage, again.folder, again.tracking_uri) == (
        *("my study", "sqlite:///a b.db"),
        *(Path("my runs"), "sqlite:///c.db"),
    )
    assert parsed(command_on(options, "trials", "my study")).folder == Path(
        "my runs"
    )  # which takes no address of MLflow
    assert command_on(SearchOptions(), "confirm", "s") == "kerastuna confirm --study s"
