"""What commands share."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from kerastuna.search.commands.common import open_storage_of, open_study_of, print_json, program, search_options
from kerastuna.search.commands.options import SearchOptions
from kerastuna.search.errors import InputError


def test_the_command_is_named_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "kerastuna")])
    monkeypatch.chdir(tmp_path)
    assert program() == "bin/kerastuna"
    monkeypatch.chdir(tmp_path / "bin")
    assert program() == "kerastuna"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "my env" / "kerastuna")])
    monkeypatch.chdir(tmp_path)
    assert program() == "'my env/kerastuna'"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "kerastuna")])
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert program() == "kerastuna"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "kerastuna" / "__main__.py")])
    assert program() == "python -m kerastuna"


def test_search_options_take_what_a_command_has() -> None:
    options = search_options(Namespace(budget=99, seed=3, top=1), seed=4)
    assert options == SearchOptions(budget=99, seed=4)


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [1]})
    assert capsys.readouterr().out == '{\n  "a": [\n    1\n  ]\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json(float("nan"))


def test_a_study_by_name_or_the_latest(kerastuna: Any, storage: Any, tmp_path: Path) -> None:
    given: dict[str, Any] = {"storage": None, "folder": tmp_path / "mlruns"}
    assert open_study_of(Namespace(study=None, **given)).study_name == "one"
    assert open_study_of(Namespace(study="one", **given)).study_name == "one"


def test_no_journal_file_is_made_for_a_reader(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no study yet in .*optuna\.journal: run .* search first"):
        open_storage_of(Namespace(storage=None, folder=tmp_path))
    assert list(tmp_path.iterdir()) == []
