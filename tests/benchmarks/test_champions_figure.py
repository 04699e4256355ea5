"""The figure of the champions shows what champions.json tells, and so do the pages."""

import json
from typing import Any

import pytest
from champions_figure import FOLDER, PUBLIC, draw
from support import ROOT

CHAMPIONS = json.loads((FOLDER / "champions.json").read_text())


def test_the_figure_shows_every_champion_and_its_peers():
    axes: Any = draw(CHAMPIONS).axes[0]
    shown = {line.get_gid(): line.get_xydata().tolist() for line in axes.lines}
    for bar, champion in zip(axes.containers, CHAMPIONS.values(), strict=True):
        mean = pytest.approx(100 * champion["test"]["mean"])
        assert bar.lines[0].get_xydata().tolist() == [[champion["params"], mean]]
    assert [params for params, _ in shown["public networks"]] == [public.params for public in PUBLIC]
    assert sorted(shown["where the search of ConvNet began"]) == [  # eip_1 and eip_2 are over 15,000
        [13_380, pytest.approx(99.44)],
        [14_652, pytest.approx(99.41)],
        [14_840, pytest.approx(99.46)],
    ]
    told = [text.get_text() for text in axes.texts]
    assert told == [f"{name} (n {champion['test']['n']})" for name, champion in CHAMPIONS.items()]


@pytest.mark.parametrize("page", ["README.md", "docs/champions.md", "benchmarks/champions/README.md"])
def test_the_pages_state_what_was_measured(page: str):
    text = (ROOT / page).read_text().replace("**", "")
    for name, champion in CHAMPIONS.items():
        if name == "convnet-15000" and page == "docs/champions.md":
            continue
        test = champion["test"]
        assert f"{100 * test['mean']:.2f} % +- {100 * test['std']:.2f}" in text, name
        if test["n"] > 3:
            assert f"{100 * test['mean']:.2f} % +- {100 * test['std']:.2f} (n {test['n']}" in text, name
