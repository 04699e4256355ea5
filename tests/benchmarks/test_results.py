"""The file of a run."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from side_by_side.measures import Search
from side_by_side.results import kept, measured_on, read
from side_by_side.setting import SHORT

from kerastuna.search.errors import InputError

SEARCH = json.loads(
    json.dumps(asdict(Search("random", 1, 48, 1, {"complete": 1}, 3, 1.0, None, None, 0, 0, 1.0, [(5.0, 0.5)])))
)
ON = {"images": [9, 9], "fingerprint": "f", "hardware": "cpu", "backend": "b", "versions": "v"}
TOLD: dict[str, Any] = {"setting": asdict(SHORT), "date": "2026-11-26", **ON, "searches": [SEARCH]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "peers-short.json"
    path.write_text(json.dumps(TOLD))
    return path


def test_a_run_goes_on_with_other_seeds_and_names(path: Path) -> None:
    for seeds, told in ((2, 5), (7, 7)):
        setting = replace(SHORT, name="other", seeds=seeds)
        assert kept(path, setting) == {
            **TOLD,
            "setting": asdict(replace(setting, seeds=told)),
            "searches": [SEARCH],
        }
    assert measured_on(TOLD) == ON


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("seconds", 24.0, "seconds 48.0, now 24.0"),
        ("images", None, "images 1000, now None"),
        ("validated", 7, "validated 1000, now 7"),
        ("epochs", 7, "epochs 3, now 7"),
        ("data", "cifar10", "data mnist, now cifar10"),
    ],
)
def test_another_setting_is_refused(path: Path, name: str, value: Any, told: str) -> None:
    with pytest.raises(InputError, match=rf"another setting \({told}\): give the same options, another --name"):
        kept(path, replace(SHORT, **{name: value}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({**TOLD, "searches": []}),
        json.dumps({**TOLD, "searches": [{"seed": 1}]}),
        json.dumps({**TOLD, "setting": "short"}),
        json.dumps({name: value for name, value in TOLD.items() if name != "hardware"}),
    ],
)
def test_a_file_of_something_else_is_refused_in_one_line(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(InputError, match=r"^.*peers-short.json has no results of this benchmark .*$"):
        read(path)
