"""The benchmark of samplers from beginning to end, on a small table; its table and its figure."""

import json
from pathlib import Path

import matplotlib.image
import pytest
import samplers
from replay.measures import search_from_json
from replay.networks import is_allowed
from replay.table import append, write_header
from replay_support import HEADER, table

SEEDS, TRIALS = 2, 6
NAMES = ["random", "tpe", "kt_random"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samplers")
    write_header(folder / "table.jsonl", HEADER)
    for training in table(30, repeated=3).trainings:
        append(folder / "table.jsonl", training)
    arguments = ["--table", str(folder / "table.jsonl"), "--seeds", str(SEEDS), "--trials", str(TRIALS)]
    assert samplers.main([*arguments, "--results", str(folder), "--contenders", *NAMES]) == 0
    return folder / "samplers.json"


@pytest.fixture
def copied(results: Path, tmp_path: Path) -> Path:
    """Of the results and the table, in a folder of its own."""
    for name in ("samplers.json", "table.jsonl"):
        (tmp_path / name).write_text((results.parent / name).read_text())
    return tmp_path / "samplers.json"


def again(copied: Path, trials: int = TRIALS, *options: str) -> int:
    """Let random search have its first seed."""
    arguments = ["--table", str(copied.parent / "table.jsonl"), "--results", str(copied.parent), "--seeds", "1"]
    return samplers.main([*arguments, "--trials", str(trials), "--contenders", "random", *options])


def test_every_contender_searches_with_every_seed(results: Path) -> None:
    told = json.loads(results.read_text())
    searches = [search_from_json(values) for values in told["searches"]]
    assert [(one.seed, one.contender) for one in searches] == [(seed, name) for seed in (1, 2) for name in NAMES]
    assert {one.epochs for one in searches} == {TRIALS * 4} == {told["limit"]}
    assert all(one.steps and one.seconds > 12 for one in searches)


def test_the_table_and_the_figure_are_written(results: Path) -> None:
    text = results.with_suffix(".md").read_text()
    assert "200 training and 100 validation images, 4 epochs a training, 24 epochs a search, n = 2 search seeds" in text
    assert "36 trainings of 30 networks" in text
    assert f"Made by `kerastuna bench samplers --table {results.parent}/table.jsonl --seeds 2 --trials 6 " in text
    assert "Trained in earnest" not in text
    [row] = [line for line in text.splitlines() if line.startswith("| random | 2 |")]
    assert row.count(" % (") == 3
    assert "The goal: the default has random search's final" in text
    assert matplotlib.image.imread(results.with_suffix(".png")).shape[1] == 1080
    assert list(results.parent.glob("*.new.*")) == []


def test_it_is_drawn_anew_from_its_results(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = results.with_suffix(".md").read_text()
    results.with_suffix(".md").unlink()
    assert samplers.main(["--redraw", str(results)]) == 0
    assert results.with_suffix(".md").read_text() == text
    assert text in capsys.readouterr().out


def test_a_run_goes_on_with_what_is_missing(results: Path, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(results.read_text())
    first, *others = told["searches"]
    copied.write_text(samplers.as_text({**told, "searches": others}))
    assert again(copied) == 0
    assert capsys.readouterr().out.count(" min  seed ") == 1
    made = json.loads(copied.read_text())
    assert made["searches"][:-1] == others
    assert {**made["searches"][-1], "replaying": 0} == {**first, "replaying": 0}
    assert [command.count("--results") for command in made["commands"]] == [1, 1]
    assert again(copied) == 0
    assert json.loads(copied.read_text())["commands"] == made["commands"]


def test_results_of_another_table_or_other_epochs_are_kept_unless_they_shall_go(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = copied.read_text()
    assert again(copied, TRIALS + 1) == 2
    append(copied.parent / "table.jsonl", table(31).trainings[30])
    assert again(copied) == 2
    line = f"{copied} is of another table or of other epochs: give --overwrite, or other --results"
    assert capsys.readouterr().err.splitlines() == [line, line]
    assert copied.read_text() == text
    assert again(copied, TRIALS, "--overwrite") == 0
    made = json.loads(copied.read_text())
    assert (made["trainings"], len(made["searches"]), len(made["commands"])) == (37, 1, 1)


def test_files_are_written_whole(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in copied.parent.iterdir()}

    def cut(path: Path, text: str) -> None:
        path.write_bytes(text[:10].encode())
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", cut)
    assert again(copied) == 130
    assert {path: path.read_bytes() for path in before} == before


def test_an_interrupted_run_says_what_holds(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(samplers, "replay", stopped)
    assert again(copied, TRIALS, "--overwrite") == 130
    assert capsys.readouterr().err == (
        "interrupted: finished searches are kept, the same command without --overwrite runs the rest, --redraw JSON "
        "shows them\n"
    )
    assert json.loads(copied.read_text())["searches"] == []
    assert samplers.main(["--redraw", str(copied)]) == 0  # although nothing was finished


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--redraw", "{folder}/none.json"], "[Errno 2] No such file or directory: '{folder}/none.json'"),
        (
            ["--redraw", "{folder}/broken.json"],
            "{folder}/broken.json has no results of samplers: Expecting value: line 1 column 2 (char 1)",
        ),
        (
            ["--redraw", "{folder}/old.json"],
            "{folder}/old.json has no results of samplers as they are now: commands is missing",
        ),
        (["--table", "{folder}/none"], "[Errno 2] No such file or directory: '{folder}/none'"),
    ],
)
def test_bad_input_is_told_in_one_line(
    copied: Path, arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(copied.read_text())
    del told["commands"]
    copied.with_name("old.json").write_text(json.dumps(told))
    copied.with_name("broken.json").write_text("[")
    assert samplers.main([argument.format(folder=copied.parent) for argument in arguments]) == 2
    assert capsys.readouterr().err == line.format(folder=copied.parent) + "\n"


@pytest.mark.parametrize("arguments", [["--seeds", "0"], ["--trials", "0"], ["--write-ends", "a.json", "0", "b.json"]])
def test_numbers_are_positive(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        samplers.main([*arguments, "--results", str(tmp_path)])
    assert f"argument {arguments[0]}: '0' is not a whole number of at least 1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_ends_of_searches_are_written_with_what_was_told_of_them(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "ends.json"
    assert samplers.main(["--write-ends", str(results), "1", str(path), "--contenders", "tpe", "kt_random"]) == 0
    searches = json.loads(results.read_text())["searches"]
    ends = json.loads(path.read_text())
    assert ends == [
        {
            "contender": one["contender"],
            "search_seed": 1,
            "trainings": 36,
            "told": one["steps"][-1]["expected"],
            "values": one["end"],
        }
        for one in searches[1:3]
    ]
    assert all(is_allowed(end["values"]) for end in ends)
    assert samplers.main(["--write-ends", str(results), "2", str(path)]) == 0
    assert [end["contender"] for end in json.loads(path.read_text())] == NAMES * 2
