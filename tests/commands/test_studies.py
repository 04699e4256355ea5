"""`kerastuna studies`: list and delete."""

import json
from typing import Any

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
