"""`kerastuna studies`: list and delete."""

import json
import re
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from kerastuna.search.study.liveness import this_worker

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


def test_a_study_that_is_worked_on_is_deleted_by_force_only(kerastuna: Any, storage: Any) -> None:
    study = optuna.create_study(storage=storage, study_name="busy")
    for host in ("node1", "node2", "node2"):
        trial = study.ask()
        trial.set_user_attr("worker", {"host": host, "pid": 1, "started": "1", "boot": None})
        trial.set_user_attr("last_seen", time.time() - 30)
    status, out, err = kerastuna("studies", "--delete", "busy")
    assert (status, out) == (2, "")
    assert re.fullmatch(
        r"kerastuna: study 'busy' is worked on, by 3 workers \(1 on node1, 2 on node2, the last heard of 3\d s "
        r"ago\); stop the search, or give --force, which ends it\n",
        err,
    )
    assert "busy" in kerastuna("studies", "--json").out
    told = "deleted study busy; its runs stay in MLflow, and the search that worked on it ends at its next step\n"
    assert kerastuna("studies", "--delete", "busy", "--force") == (0, "", told)
    assert [row["name"] for row in json.loads(kerastuna("studies", "--json").out)] == ["one"]


def test_trials_of_processes_that_are_gone_do_not_keep_a_study(kerastuna: Any, storage: Any) -> None:
    trial = optuna.create_study(storage=storage, study_name="left").ask()
    trial.set_user_attr("worker", {**this_worker(), "started": "1"})
    assert kerastuna("studies", "--delete", "left").status == 0


def test_force_alone_is_refused(kerastuna: Any) -> None:
    status, out, err = kerastuna("studies", "--force")
    assert (status, out) == (2, "")
    assert "--force is for --delete: give --delete NAME too" in err
    assert kerastuna("studies", "--delete", "one", "--json").status == 2


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
