"""What commands share."""

import json
import math
import os
import shlex
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from support import KERASTUNA

from kerastuna.search.commands.common import open_storage_of, open_study_of, print_json, program, search_options
from kerastuna.search.commands.options import SearchOptions
from kerastuna.search.errors import InputError
from kerastuna.search.messages import hidden_secrets


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


def test_json_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [1]})
    assert capsys.readouterr().out == '{\n  "a": [\n    1\n  ]\n}\n'
    print_json({"a": (1.0, math.inf, -math.inf), "b": {"c": math.nan}, "d": [True, None, 0.5]})
    assert json.loads(capsys.readouterr().out) == {
        "a": [1.0, None, None],
        "b": {"c": None},
        "d": [True, None, 0.5],
    }


def test_json_stays_json_and_keeps_its_names_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    told = {"number": 0, "name": "token=1", "next": ["pwd=a", 'see p"q\u00e9s now', "postgresql://me:other@h"]}
    with hidden_secrets(["number", 'p"q\u00e9s']):
        print_json(told)
    assert json.loads(capsys.readouterr().out) == {
        "number": 0,
        "name": "token=***",
        "next": ["pwd=***", "see *** now", "postgresql://me:***@h"],
    }


@pytest.mark.usefixtures("storage")
def test_json_of_a_command_where_a_secret_is_a_name_in_it(kerastuna: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "number")
    assert [row["number"] for row in json.loads(kerastuna("trials", "--json").out)] == [0, 1, 2, 3, 4]


def test_json_of_odd_studies(kerastuna: Any, storage: Any) -> None:
    study = optuna.create_study(storage=storage, study_name="token=1")
    study.set_user_attr("identity", {"objective": ["val_loss", "min"]})
    rate = CategoricalDistribution([1.0, math.inf])
    told = {"hyperparameters": {"rate": math.inf}}
    study.add_trial(
        optuna.create_trial(value=0.5, params={"rate": math.inf}, distributions={"rate": rate}, user_attrs=told)
    )
    assert "token=***" in [row["name"] for row in json.loads(kerastuna("studies", "--json").out)]
    status, out, _ = kerastuna("trials", "--study", "token=1", "--json")
    assert (status, json.loads(out)[0]["hyperparameters"]) == (0, {"rate": None})


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("arguments", [["studies"], ["studies", "--json"], ["trials"], ["--version"]], ids=" ".join)
def test_a_command_without_standard_output(tmp_path: Path, arguments: list[str]) -> None:
    command = shlex.join([str(KERASTUNA), *arguments])
    ended = subprocess.run(["sh", "-c", f"{command} >&-"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_that_lacks_a_letter_of_a_name(storage: Any, tmp_path: Path, encoding: str) -> None:
    optuna.create_study(storage=storage, study_name="\u03b1\u03b2").set_user_attr(
        "identity", {"objective": ["a", "max"]}
    )
    ended = subprocess.run(
        [str(KERASTUNA), "trials", "--study", "\u03b1\u03b2"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("study \\u03b1\\u03b2\n")


def test_a_study_by_name_or_the_latest(kerastuna: Any, storage: Any, tmp_path: Path) -> None:
    given: dict[str, Any] = {"storage": None, "folder": tmp_path / "mlruns"}
    assert open_study_of(Namespace(study=None, **given)).study_name == "one"
    assert open_study_of(Namespace(study="one", **given)).study_name == "one"


def test_no_journal_file_is_made_for_a_reader(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no study yet in .*optuna\.journal: run .* search first"):
        open_storage_of(Namespace(storage=None, folder=tmp_path))
    assert list(tmp_path.iterdir()) == []
