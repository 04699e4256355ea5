"""The tables and the figure of a run."""

from pathlib import Path
from typing import Any

import matplotlib.image
from side_by_side.measures import Search
from side_by_side.outputs import draw, markdown

RUN: dict[str, Any] = {
    "setting": {"name": "try", "data": "mnist", "epochs": 3, "seconds": 40.0},
    "images": [2000, 1000],
    "hardware": "cpu: two cores",
    "backend": "tensorflow 2",
    "versions": "keras 3",
    "date": "2026-11-26",
}


def search(contender: str, seed: int, curve: list[tuple[float, float]], share: float, ms: float | None) -> Search:
    return Search(contender, seed, 40, 1, {"complete": 4}, 12, 40 * (1 - share), 1.5, ms, 5, 0, 1.0, curve, load=0.25)


SEARCHES = [
    search("random", 1, [(20, 0.8), (32, 0.9)], 0.5, 60),
    search("random", 2, [(20, 0.85)], 0.6, 80),
    search("kerastuna", 1, [(8, 0.95)], 0.04, 2),
    search("kerastuna", 2, [(10, 0.8)], 0.02, 2),
]


def test_the_tables_tell_medians_spread_and_goals() -> None:
    text = markdown(RUN, SEARCHES)
    assert "n = 2 search seeds" in text
    assert "2,000 training and 1,000 validation images, 3 epochs, 40 s a search" in text
    [row] = [line for line in text.splitlines() if line.startswith("| KerasTuner RandomSearch |")]
    assert "| 0.8750 (0.8500 to 0.9000) | 6.0 |" in row
    assert row.endswith(
        "| 55.0% (50.0% to 60.0%) | 1.50 | 70.0 (60.0 to 80.0) | 26.0 (20.0 to 32.0), reached in 2 of 2 |"
    )
    [row] = [line for line in text.splitlines() if line.startswith("| Kerastuna, one worker | 1.0 | 4 |")]
    assert row.endswith("| 2.0 | 8.0 (8.0 to never), reached in 1 of 2 |")
    measured = {line.split(" | ")[1]: line.split(" | ")[2:] for line in text.splitlines() if line.count(" | ") == 4}
    title = "KerasTuner RandomSearch"
    assert measured["time to the best peer's final accuracy"] == [
        title,
        "2.0 (never to 4.0), reached in 1 of 2",
        "5 times |",
    ]
    assert measured["an over-budget proposal"] == [title, "35.0 (30.0 to 40.0)", "50 times |"]
    assert measured["share of the time outside training"] == ["-", "3.0%", "5% |"]


def test_what_is_not_known_is_a_dash() -> None:
    text = markdown(RUN, [search("random", 1, [], 1, None), search("kerastuna", 1, [], 1, None)])
    [row] = [line for line in text.splitlines() if line.startswith("| KerasTuner RandomSearch |")]
    assert row.endswith("| - | - |")


def test_what_never_happened_counts_in_the_medians() -> None:
    nothing = [
        Search("random", seed, 40, 1, {"over_budget": 3}, 0, 0.0, None, None, 0, 0, None, []) for seed in (3, 4, 5)
    ]
    text = markdown(RUN, [*SEARCHES, *nothing])
    [row] = [line for line in text.splitlines() if line.startswith("| KerasTuner RandomSearch |")]
    cells = row.split(" | ")
    assert cells[1] == "never (1.0 to never)"  # the first epoch
    assert cells[5] == "0.0000 (0.0000 to 0.9000)"
    assert cells[8] == "never (5.00 to never)"  # seconds outside training for a trained trial
    assert cells[11] == "70.0 (60.0 to 80.0), in 2 of 5"


def test_a_median_seed_in_which_it_is_never_reached_is_told() -> None:
    missed = [search("random", 3, [(20, 0.9)], 0.5, 60), search("kerastuna", 3, [(5, 0.1)], 0.5, None)]
    text = markdown(RUN, [*SEARCHES, *missed])
    assert "| 8.0 (8.0 to never), reached in 1 of 3 |" not in text
    assert "| never (8.0 to never), reached in 1 of 3 |" in text
    assert "| never (never to 4.0), reached in 1 of 3 |" in text
    assert "| 35.0 (30.0 to 40.0), in 2 of 3 |" in text


def test_the_figure_is_drawn_also_where_nothing_was_scored(tmp_path: Path) -> None:
    draw(RUN, SEARCHES, tmp_path / "some.png")
    draw(RUN, [search("random", 1, [], 1, None)], tmp_path / "none.png")
    some, none = (matplotlib.image.imread(tmp_path / name) for name in ("some.png", "none.png"))
    assert some.shape[1] == none.shape[1] == 1080
    assert (some != none).any()
