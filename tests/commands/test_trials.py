"""`kerastuna trials`: the leaderboard, every trial, or JSON."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("storage")


def test_the_leaderboard_has_the_best_first(kerastuna: Any) -> None:
    status, out, err = kerastuna("trials")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "study one"
    assert out.index("0.9500") < out.index("0.9000")
    assert lines[-1] == "2 complete, 0 stopped early, 1 failed; refused untrained: 1 over budget"
    assert "0.9000" not in kerastuna("trials", "--top", "1").out


def test_all_shows_every_trial(kerastuna: Any) -> None:
    out = kerastuna("trials", "--all").out
    assert "over budget" in out
    assert "15,810" in out
    assert "over budget" not in kerastuna("trials", "--all", "--trained").out


def test_json(kerastuna: Any) -> None:
    records = json.loads(kerastuna("trials", "--study", "one", "--json").out)
    assert [(record["number"], record["state"], record["params"]) for record in records] == [
        (0, "PRUNED", 15810),
        (1, "COMPLETE", 14652),
        (2, "COMPLETE", 13380),
        (3, "FAIL", 90),
        (4, "WAITING", None),
    ]
    trained = json.loads(kerastuna("trials", "--json", "--trained").out)
    assert [record["number"] for record in trained] == [1, 2, 3, 4]


def test_a_study_that_is_not_there(kerastuna: Any) -> None:
    status, out, err = kerastuna("trials", "--study", "two")
    assert (status, out) == (2, "")
    assert err == "kerastuna: study 'two' does not exist; there is: one\n"
