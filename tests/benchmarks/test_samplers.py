"""The benchmark of samplers from beginning to end, on a small table; its table and its figure."""

import json
from pathlib import Path

import matplotlib.image
import pytest
import samplers
from replay.measures import search_from_json
from replay.networks import is_allowed
from replay.outputs import markdown
from replay.table import append, write_header
from replay_support import HEADER, table

SEEDS, TRIALS = 2, 6


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samplers")
    write_header(folder / "table.jsonl", HEADER)
    for training in table(30, repeated=3).trainings:
        append(folder / "table.jsonl", training)
    arguments = ["--table", str(folder / "table.jsonl"), "--seeds", str(SEEDS), "--trials", str(TRIALS)]
    assert samplers.main([*arguments, "--results", str(folder), "--contenders", "random", "tpe", "kt_random"]) == 0
    return folder / "samplers.json"


def test_every_contender_searches_with_every_seed(results: Path) -> None:
    told = json.loads(results.read_text())
    searches = [search_from_json(values) for values in told["searches"]]
    assert [(one.seed, one.contender) for one in searches] == [
        (seed, name) for seed in (1, 2) for name in ("random", "tpe", "kt_random")
    ]
    assert {one.epochs for one in searches} == {TRIALS * 4} == {told["limit"]}
    assert all(one.steps and one.seconds > 12 for one in searches)


def test_the_table_and_the_figure_are_written(results: Path) -> None:
    text = results.with_suffix(".md").read_text()
    assert "200 training and 100 validation images, 4 epochs a training, 24 epochs a search, n = 2 search seeds" in text
    assert "36 trainings of 30 networks" in text
    [row] = [line for line in text.splitlines() if line.startswith("| random | 2 |")]
    assert row.count(" % (") == 3
    assert "The goal: the default has random search's final" in text
    assert matplotlib.image.imread(results.with_suffix(".png")).shape[1] == 1080


def test_the_goal_is_told_as_it_was_reached(results: Path) -> None:
    told = json.loads(results.read_text())
    searches = [search_from_json(values) for values in told["searches"] if values["contender"] != "tpe"]
    for at, verdict in ((8, "after 8 epochs: reached"), (9, "after 9 epochs: not reached")):
        steps = [{"at": at, "seconds": 1.0, "observed": 0.99, "expected": 0.99}]
        default = [search_from_json({**told["searches"][1], "steps": steps, "seed": seed}) for seed in (1, 2)]
        assert f"The median search has it {verdict}." in markdown(told, [*searches, *default])
    never = [search_from_json({**told["searches"][1], "steps": []})]
    assert "The median search has it never: not reached." in markdown(told, [*searches, *never])
    assert "there is no goal" in markdown(told, never)


def test_ends_that_were_trained_in_earnest_are_told(results: Path) -> None:
    told = json.loads(results.read_text())
    searches = [search_from_json(values) for values in told["searches"]]
    assert "trained in earnest" not in markdown(told, searches)
    told["ends"] = {"networks": 5, "told": 0.95, "trained": 0.941, "mean": 0.012}
    assert (
        "5 networks where searches on it ended were trained in earnest: it had told 95.0 % in the mean, and they had "
        "94.1 %, off by 1.2 points in the mean."
    ) in markdown(told, searches)


def test_it_is_drawn_anew_from_its_results(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = results.with_suffix(".md").read_text()
    results.with_suffix(".md").unlink()
    assert samplers.main(["--redraw", str(results)]) == 0
    assert results.with_suffix(".md").read_text() == text
    assert text in capsys.readouterr().out


def test_a_run_goes_on_with_what_is_missing_on_the_same_table_only(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = results.read_text()
    for name in ("samplers.json", "table.jsonl"):
        (tmp_path / name).write_text((results.parent / name).read_text())
    told = json.loads(text)
    (tmp_path / "samplers.json").write_text(samplers.as_text({**told, "searches": told["searches"][:5]}))
    arguments = ["--table", str(tmp_path / "table.jsonl"), "--seeds", str(SEEDS), "--results", str(tmp_path)]
    arguments += ["--contenders", "random", "tpe", "kt_random", "--go-on", "--trials"]
    assert samplers.main([*arguments, str(TRIALS)]) == 0
    assert capsys.readouterr().out.count(" min  seed ") == 1
    again = json.loads((tmp_path / "samplers.json").read_text())["searches"]
    assert [{**one, "replaying": 0} for one in again] == [{**one, "replaying": 0} for one in told["searches"]]
    with pytest.raises(ValueError, match="is of another table or of other epochs: run without --go-on"):
        samplers.main([*arguments, str(TRIALS + 1)])


def test_the_ends_of_searches_are_written_once_each(results: Path, tmp_path: Path) -> None:
    assert samplers.main(["--write-ends", str(results), "1", str(tmp_path / "ends.json")]) == 0
    ends = json.loads((tmp_path / "ends.json").read_text())
    searches = json.loads(results.read_text())["searches"][:3]
    assert [one["end"] for one in searches] == ends
    assert all(is_allowed(values) for values in ends)
