"""The ablations of a champion: the variants, the paired figures, and real trainings, tiny ones, from end to end."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ablations
import numpy as np
import pytest
from ablations import CHAMPIONS, VARIANTS, Task, champion, values_with, variants_of, without_fold
from helpers.ablations_table import CHAMPION
from support import ROOT

from kerastuna.search.datasets.data import load_dataset
from kerastuna.search.proposals.distributions import ParameterSpace
from kerastuna.search.training.train import train
from kerastuna.search.tuning.hyperparameters import declared_hyperparameters
from kerastuna.spaces.point import Point

NAMES = sorted(CHAMPIONS)
FOLDER = Path(__file__).parents[2] / "benchmarks" / "champions"
THINGS = (
    ("augment", "rotation", "shift", "zoom", "share"),
    ("averaging",),
    ("schedule", "decay_rate"),
    ("optimizer", "adam_rate", "sgd_rate", "weight_decay"),
    ("batch_size",),
    ("label_smoothing",),
    ("dropout",),
    ("convolution",),
    ("padding", "residual"),
    ("transition", "transition_width"),
    ("head",),
    ("bias",),
    ("order",),
    ("convs",),
    ("fill",),
)
OF_THE_RECIPE = THINGS[:6]
TINY = ["--images", "100", "--epochs", "1", "--variants", "convs-3"]
TRAINED = [(name, seed) for seed in (0, 1) for name in (CHAMPION, "convs-3")]


def test_there_are_three_champions_of_compact() -> None:
    assert NAMES == ["compact-15000", "compact-2500", "compact-4000"]


@pytest.mark.parametrize("name", NAMES)
def test_the_champion_is_that_of_its_card(name: str) -> None:
    space, values = champion(name)
    told = json.loads((FOLDER / "champions.json").read_text())[name]
    found = variants_of(space, values, [])[CHAMPION]
    assert (found["changed"], found["parameters"], found["macs"]) == ({}, told["params"], told["macs"])
    assert values_with(space, values, {}) == values


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_a_point_of_the_space_under_the_budget(name: str, variant: str) -> None:
    space, values = champion(name)
    found = variants_of(space, values, [variant])[variant]
    now = values_with(space, values, VARIANTS[variant])
    known, _ = ParameterSpace(declared_hyperparameters(space, {}).space).encode(now)  # raises for any other value
    assert set(known) == set(now), "each value is active, and one of those that a search proposes"
    assert found["parameters"] <= int(name.rpartition("-")[2])
    model: Any = space.build(declared_hyperparameters(space, now))
    assert model.count_params() == found["parameters"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_changes_one_thing(name: str, variant: str) -> None:
    space, values = champion(name)
    changed = variants_of(space, values, [variant])[variant]["changed"]
    [thing] = [thing for thing in THINGS if changed.keys() & set(thing)]
    assert changed.keys() <= set(thing)
    assert not changed.get("residual"), "that would be a second thing"
    assert VARIANTS[variant].items() <= {**values, **changed}.items(), "all that is asked for is done"
    now = values_with(space, values, VARIANTS[variant])
    before, after = Point(values), Point(now)
    same = space.architecture(before) == space.architecture(after), space.recipe(before) == space.recipe(after)
    assert same == ((True, False) if thing in OF_THE_RECIPE else (False, True))


def test_variants_change_different_things() -> None:
    space, values = champion("compact-2500")
    points = [values, *(values_with(space, values, changed) for changed in VARIANTS.values())]
    assert len({json.dumps(point, sort_keys=True) for point in points}) == len(VARIANTS) + 1


@pytest.mark.parametrize("name", NAMES)
def test_half_the_augmentation_is_about_half(name: str) -> None:
    values, half = champion(name)[1], VARIANTS["half-augmentation"]
    shares = [half[each] / values[each] for each in ("rotation", "shift", "zoom")]
    assert sum(shares) / 3 == pytest.approx(0.5, abs=0.05)
    assert all(0.3 < share < 0.7 for share in shares)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"batch_size": 64}, "the champion has these values"),
        ({"fill": 2.0}, "parameters are over the budget of 2,500"),
    ],
)
def test_what_cannot_be_compared_is_refused(changed: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablations, "VARIANTS", {"wrong": changed})
    space, values = champion("compact-2500")
    with pytest.raises(ablations.InputError, match=f"^wrong cannot be compared: .*{why}$"):
        variants_of(space, values, ["wrong"])


def test_every_image_is_held_out_once() -> None:
    data = load_dataset("mnist", images=100)
    data = replace(data, x_validation=data.x_validation[:7], y_validation=data.y_validation[:7])
    assert without_fold(data, 3, None) is data
    folds = [without_fold(data, seed, 3) for seed in (300, 301, 302)]  # the fold is seed % 3
    assert [(len(one.x_train), len(one.x_validation)) for one in folds] == [(71, 36), (71, 36), (72, 35)]
    whole = sorted_pairs(np.concatenate([data.x_train, data.x_validation]), [*data.y_train, *data.y_validation])
    assert (
        sorted_pairs(
            np.concatenate([one.x_validation for one in folds]), [y for one in folds for y in one.y_validation]
        )
        == whole
    )
    for one in folds:
        images = np.concatenate([one.x_train, one.x_validation])
        assert sorted_pairs(images, [*one.y_train, *one.y_validation]) == whole
        assert np.array_equal(without_fold(data, folds.index(one), 3).x_validation, one.x_validation)
    assert not np.array_equal(folds[0].x_validation[:5], data.x_train[[0, 3, 6, 9, 12]]), "they are shuffled"


def sorted_pairs(images: np.ndarray, numbers: Sequence[int]) -> list[tuple[bytes, int]]:
    return sorted((image.tobytes(), int(number)) for image, number in zip(images, numbers, strict=True))


def test_a_cross_validation_is_told(tmp_path: Path) -> None:
    options = ["--seeds", "1", "--first-seed", "7", "--folds", "61", "--name", "cross", "--results", str(tmp_path)]
    assert ablations.main([*options, *TINY[:4], "--variants", "no-averaging"]) == 0
    told = json.loads((tmp_path / "cross.json").read_text())
    assert (told["setting"]["images"], told["setting"]["validated"], told["setting"]["folds"]) == (6000, 100, 61)
    [first, second] = told["trainings"]
    assert (first["seed"], second["seed"]) == (7, 7)
    text = (tmp_path / "cross.md").read_text()
    assert "on the 100 images that are held out, the part n % 61 of 61 for the seed n;" in text
    assert " --workers 1 --folds 61 --first-seed 7 --name cross --variants no-averaging\n" in text


def command(folder: Path) -> list[str]:
    return [sys.executable, str(ROOT / "benchmarks" / "ablations.py"), "--seeds", "2", *TINY, "--results", str(folder)]


def records(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["trainings"]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], str]:
    """The file of a run that was interrupted after its first training, its trainings, and what it said at its end."""
    folder = tmp_path_factory.mktemp("ablations")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(folder), **streams) as process:
        assert process.stdout is not None
        assert any(line.startswith("1/4  seed 0  champion ") for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    path = folder / "ablations.json"
    assert "| champion |" in path.with_suffix(".md").read_text()
    return path, records(path), error


@pytest.fixture(scope="module")
def results(interrupted: tuple[Path, list[dict[str, Any]], str]) -> tuple[Path, str]:
    """The file after the same command once more, and what that printed."""
    path, _, _ = interrupted
    ran = subprocess.run(command(path.parent), capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return path, ran.stdout


def test_an_interrupted_run_keeps_what_it_trained(interrupted: tuple[Path, list[dict[str, Any]], str]) -> None:
    path, before, error = interrupted
    assert error.splitlines()[-1] == "interrupted: the same command without --overwrite goes on"
    assert 1 <= len(before) < 4
    assert list(path.parent.glob("*.new.*")) == []


def test_the_same_command_goes_on(interrupted: Any, results: tuple[Path, str]) -> None:
    (path, output), (_, before, _) = results, interrupted
    assert records(path)[: len(before)] == before
    assert [(one["variant"], one["seed"]) for one in records(path)] == TRAINED
    assert f"4 trainings, {len(before)} of them in {path} already" in output
    progress = re.findall(r"^(\d)/4  seed (\d)  (\S+) .* s; about (.*) left$", output, flags=re.MULTILINE)
    assert [(name, int(seed)) for _, seed, name, _ in progress] == TRAINED[len(before) :]
    assert [int(place) for place, *_ in progress] == list(range(len(before) + 1, 5))


def test_every_training_is_told(results: tuple[Path, str]) -> None:
    path, output = results
    told = json.loads(path.read_text())
    space, values = champion("compact-2500")
    sizes = variants_of(space, values, ["convs-3"])
    assert told["variants"] == sizes
    for one in told["trainings"]:
        assert 6000 * one["accuracy"] == pytest.approx(round(6000 * one["accuracy"]), abs=0.01)
        assert one["seconds"] > 0.1
        assert one["hardware"].endswith(", 1 worker of one thread")
        size = sizes[one["variant"]]
        assert (one["parameters"], one["macs"], one["problem"]) == (size["parameters"], size["macs"], "")
    assert len({(one["variant"], one["accuracy"]) for one in told["trainings"]}) > 2, "seeds make a difference"
    typed = "kerastuna bench ablations compact-2500 --seeds 2 --images 100 --epochs 1 --workers 1"
    assert told["commands"] == [f"{typed} --variants convs-3"]
    text = path.with_suffix(".md").read_text()
    assert f"    {told['commands'][0]}\n" in text
    assert "100 training images of MNIST, 1 epoch, the same seeds for all (0, 1)." in text
    assert told["versions"] in text
    assert text in output
    assert re.search(
        r"^convs-3 +2,239 parameters +175,268 MACs  9 \| p6-s22-s22-s22 \| pool\+dense$", output, re.MULTILINE
    )


@pytest.fixture
def copied(results: tuple[Path, str], tmp_path: Path) -> Path:
    path = tmp_path / "ablations.json"
    path.write_text(results[0].read_text())
    return path


def again(path: Path, *options: str) -> int:
    """The command that made the results, in this process, with other options."""
    return ablations.main(["--seeds", "2", *TINY, "--results", str(path.parent), *options])


def test_nothing_is_trained_twice(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = copied.read_text()
    monkeypatch.setattr(ablations, "WorkerPool", None)  # would raise
    assert again(copied) == 0
    assert copied.read_text() == before
    assert again(copied, "--seeds", "1", "--variants", "convs-3") == 0
    assert records(copied) == json.loads(before)["trainings"]
    assert len(json.loads(copied.read_text())["commands"]) == 2


def test_it_begins_anew_with_workers_where_it_is_told_to(copied: Path) -> None:
    before = {(one["variant"], one["seed"]): one["accuracy"] for one in records(copied)}
    assert again(copied, "--overwrite", "--seeds", "1", "--variants", "convs-3", "--workers", "2") == 0
    made = records(copied)
    assert {(one["variant"], one["seed"]): one["accuracy"] for one in made} == {
        (name, 0): before[name, 0] for name in (CHAMPION, "convs-3")
    }
    assert all(one["hardware"].endswith(", 2 workers of one thread") for one in made)
    assert len(json.loads(copied.read_text())["commands"]) == 1


def test_the_accuracy_is_that_of_the_last_epoch_on_the_validation_images() -> None:
    (space, values), data = champion("compact-2500"), load_dataset("mnist", images=100)
    data = replace(data, x_validation=data.x_validation[:97], y_validation=data.y_validation[:97])
    values = {**values, "averaging": 0.0, "augment": "none", "batch_size": 32}  # learns something from so few
    result = Task(space, values, 3, 25, data)()
    model: Any = train(space, declared_hyperparameters(space, values), 3, data.x_train, data.y_train, 25)[0]
    answers = model.predict(data.x_validation, verbose=0).argmax(1)
    assert result["accuracy"] == round(float((answers == data.y_validation).mean()), 6) > 0.5


def test_a_cross_validation_validates_on_what_was_held_out() -> None:
    (space, values), whole = champion("compact-2500"), load_dataset("mnist", images=100)
    data = without_fold(whole, 7, 61)
    point = declared_hyperparameters(space, {**values, "averaging": 0.0})
    result = Task(space, point.values, 7, 1, whole, 61)()
    model: Any = train(space, point, 7, data.x_train, data.y_train, 1)[0]
    answers = model.predict(data.x_validation, verbose=0).argmax(1)
    assert result["accuracy"] == round(float((answers == data.y_validation).mean()), 6) > 0.5


def test_a_training_that_fails_is_told() -> None:
    space, values = champion("compact-2500")
    result = Task(space, {**values, "adam_rate": 1e30}, 0, 1, load_dataset("mnist", images=100))()
    assert result["accuracy"] is None
    assert result["problem"].startswith("the network could not be trained: loss is nan")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--epochs", "2"],
            r".*ablations\.json is of another setting \(not the same epochs\): give --overwrite, or .*",
        ),
        (["--images", "101"], r".* is of another setting \(not the same images\): .*"),
        (["compact-4000"], r".* is of another setting \(not the same champion\): .*"),
        (["--images", "9"], r"9 training images were asked for, but 'mnist' has 10 classes: .*"),
        (["--results", "{file}"], r"\[Errno \d+\] .*"),
    ],
)
def test_bad_input_is_told_in_one_line(
    options: list[str], line: str, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = copied.read_text()
    assert again(copied, *(option.format(file=copied) for option in options)) == 2
    assert re.fullmatch(line + "\n", capsys.readouterr().err)
    assert copied.read_text() == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"setting": {}, "variants": {}, "trainings": [1]}', "cut"])
def test_a_file_of_something_else_is_refused(text: str, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = copied.read_text()[:-9] if text == "cut" else text
    copied.write_text(text)
    assert again(copied) == 2
    assert capsys.readouterr().err == (
        f"{copied} has no results of this benchmark as it is now: give --overwrite, or another folder with --results\n"
    )
    assert copied.read_text() == text


def test_a_variant_that_was_another_one_is_refused(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(copied.read_text())
    told["variants"]["convs-3"]["changed"] = {"convs": 2}
    copied.write_text(json.dumps(told))
    assert again(copied) == 2
    assert f"{copied} is of another setting (not the same convs-3): " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["convnet-15000"], "invalid choice: 'convnet-15000'"),
        (["--variants", "no-luck"], "invalid choice: 'no-luck'"),
        (["--seeds", "0"], "argument --seeds: '0' is not a whole number of at least 1"),
        (["--workers", "x"], "argument --workers: 'x' is not a whole number of at least 1"),
    ],
)
def test_bad_arguments_are_told_in_one_line(options: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        ablations.main(options)
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
