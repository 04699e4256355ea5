"""The table of a replay, and what it tells of the table of trainings."""

from typing import Any

import pytest
from replay.measures import Search, Step
from replay.outputs import draw, markdown
from replay_support import HEADER

RUN: dict[str, Any] = {
    "limit": 24,
    "date": "2026-11-27",
    "table": HEADER,
    "trainings": 17,
    "sources": {"random": 10, "reference": 6, "other": 1},
    "machines": {"one core": 17},
    "best": 0.961,
    "error": {
        "networks": 12, "mean": 0.09, "median": 0.04, "rank": 0.8, "mean_of_best": 0.04, "rank_of_best": 0.5,
    },
    "ends": [],
    "noise": {"networks": 2, "sources": {"reference": 2}, "deviation": 0.02, "deviation_of_best": 0.01},
    "commands": ["kerastuna bench samplers --seeds 1", "kerastuna bench samplers --seeds 2"],
}  # fmt: skip


def search(contender: str, seed: int, *steps: tuple[int, float]) -> Search:
    return Search(contender, seed, 9, 5, 30, 24, 60.0, 1.0, [Step(at, 1.0, value, value) for at, value in steps], None)


BASELINE = [search("random", seed, (4, 0.5), (20, 0.9)) for seed in (1, 2)]


@pytest.mark.parametrize(
    ("at", "verdict"), [(8, "after 8 epochs: reached"), (9, "after 9 epochs: not reached"), (0, "never: not reached")]
)
def test_the_goal_is_told_as_it_was_reached(at: int, verdict: str) -> None:
    default = [search("tpe", seed, *([(at, 0.99)] if at else [])) for seed in (1, 2)]
    assert f"The median search has it {verdict}." in markdown(RUN, [*BASELINE, *default])


def test_without_the_default_there_is_no_goal() -> None:
    assert "there is no goal" in markdown(RUN, BASELINE)


def test_the_note_tells_what_the_table_has() -> None:
    text = markdown(RUN, BASELINE)
    assert "Made by `kerastuna bench samplers --seeds 1`, then `kerastuna bench samplers --seeds 2`." in text
    assert (
        "The table has 17 trainings of 12 networks: 10 of random networks, 6 of the reference networks, 1 of other. "
        "They were recorded with tensorflow 2, from 2026-11-26 on: 17 on one core. Where"
    ) in text
    assert "the noise of 2 networks that were trained from several seeds (2 of the reference networks): a sta" in text
    quiet = markdown({**RUN, "noise": {**RUN["noise"], "networks": 0}}, BASELINE)
    assert "Searches see accuracies without noise, as no network was trained from several seeds." in quiet


def test_the_note_counts_the_trainings_of_each_machine() -> None:
    text = markdown({**RUN, "machines": {"one core": 11, "two cores": 6}}, BASELINE)
    assert "11 on one core; 6 on two cores (simulated minutes are those of the first machine alone). Where" in text


def test_what_was_trained_in_earnest_has_a_table_of_its_own() -> None:
    assert "## Trained in earnest" not in markdown(RUN, BASELINE)
    common = {"trainings": 17, "searches": 20, "told": 0.978}
    ends = [
        {**common, "contender": "random", "trained": 0.9425, "deviation": 0.02, "difference": [-0.0128, 0.0205]},
        {**common, "contender": "tpe", "trained": 0.9553, "deviation": None, "difference": None},
    ]
    text = markdown({**RUN, "ends": ends}, BASELINE).partition("## Trained in earnest")[2]
    assert "This is what counts where accuracies above are higher than what was trained" in text
    assert "the best network of the table has 96.10 %" in text
    assert "| random | 17 trainings | 20 | 97.80 % | 94.25 % ± 2.00 | -1.28 ± 2.05 |" in text
    assert "| TPE, the default | 17 trainings | 20 | 97.80 % | 95.53 % | - |" in text


@pytest.mark.parametrize("searches", [[], [search("kt_random", 1, (4, 0.5))], [search("tpe", 1)]])
def test_few_searches_are_drawn_too(searches: list[Search], tmp_path: Any) -> None:
    draw(RUN, searches, tmp_path / "few.png")
    assert (tmp_path / "few.png").stat().st_size > 1000
    assert markdown(RUN, searches)
