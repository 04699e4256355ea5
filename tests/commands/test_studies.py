"""`kerastuna studies`: list and delete."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest

pytestmark = pytest.mark.usefixtures("storage")


def test_the_studies_there_are(kerastuna: Any) -> None:
    (row,) = json.loads(kerastuna("studies", "--json").out)
    assert {key: row[key] for key in ("name", "trained", "refused", "failed", "best")} == {
        "name": "one",
        "trained": 2,
        "refused": 1,
        "failed": 1,
        "best": 0.95,
    }
    table = kerastuna("studies").out
    assert "one" in table
    assert "0.9500" in table


def test_delete(kerastuna: Any) -> None:
    status, out, err = kerastuna("studies", "--delete", "two")
    assert (status, out) == (2, "")
    assert "'two'" in err
    assert kerastuna("studies", "--delete", "one") == (0, "", "deleted study one; its runs stay in MLflow\n")
    assert json.loads(kerastuna("studies", "--json").out) == []


def test_checkpoints_are_deleted_with_their_study(kerastuna: Any, tmp_path: Path) -> None:
    kept = [
        tmp_path / "mlruns" / place / study / "checkpoints"
        for place in ("trials", "champions")
        for study in ("one", "other")
    ]
    for path in kept:
        path.mkdir(parents=True)
        (path / "0000.npz").touch()
    kerastuna("studies", "--delete", "one")
    assert [path.exists() for path in kept] == [False, True, False, True]


ODD_NAMES = ("../up", "/abs", "..", "a\nb", "\x1b[31mred", "x" * 300)


def test_studies_with_odd_names_are_listed_and_can_be_deleted(kerastuna: Any, storage: Any) -> None:
    for name in ODD_NAMES:
        optuna.create_study(storage=storage, study_name=name)
    status, out, err = kerastuna("studies", "--json")
    assert (status, err) == (0, "")
    assert {row["name"] for row in json.loads(out)} == {"one", *ODD_NAMES}
    assert kerastuna("studies").status == 0
    for name in ODD_NAMES:
        assert kerastuna("studies", "--delete", name).status == 0
    assert [row["name"] for row in json.loads(kerastuna("studies", "--json").out)] == ["one"]


@pytest.mark.parametrize(
    "command", [("search",), ("confirm",), ("export",), ("trials",), ("describe", "--trial", "0")], ids=lambda c: c[0]
)
def test_every_command_refuses_a_name_with_a_path(kerastuna: Any, storage: Any, tmp_path: Any, command: Any) -> None:
    before = sorted(tmp_path.rglob("*"))
    optuna.create_study(storage=storage, study_name="../up")
    status, out, err = kerastuna(*command, "--study", "../up")
    assert (status, out) == (2, "")
    assert "--study '../up' holds a path" in err
    assert sorted(tmp_path.rglob("*")) == before
