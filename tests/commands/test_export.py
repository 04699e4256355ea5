"""`kerastuna export` in one process: which model, on which images, into which folder. Keras's own format alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import pytest

KERAS = ("--formats", "keras")


def test_a_trial_is_exported_with_its_weights(searched: Any) -> None:
    number = json.loads(searched.json)["best"]["trial"]
    status, out, err = searched.run("export", "--study", "tiny", "--trial", str(number), *KERAS, "--json")
    assert status == 0, err
    manifest = json.loads(out)
    assert manifest["passed"] is True
    assert manifest["lineage"]["trial"] == number
    folder = searched.folder / "export" / f"tiny-trial-{number:04d}"
    assert json.loads((folder / "manifest.json").read_text())["lineage"] == manifest["lineage"]
    (path,) = folder.rglob("*.keras")
    model: Any = keras.models.load_model(path)
    assert model.count_params() == json.loads(searched.json)["best"]["params"]


def test_the_champion_is_exported_with_its_card(searched: Any, tmp_path: Path) -> None:
    confirmed = searched.run("confirm", "--study", "tiny", "--top", "1", "--seeds", "1", "--device", "cpu", "--json")
    champion = json.loads(confirmed.out)
    status, out, err = searched.run("export", "--study", "tiny", "--out", str(tmp_path / "out"), *KERAS)
    assert status == 0, err
    assert "the model was trained on the validation samples too" in out
    assert (tmp_path / "out" / "MODEL_CARD.md").is_file()
    lineage = json.loads((tmp_path / "out" / "manifest.json").read_text())["lineage"]
    assert (lineage["study"], lineage["trial"]) == ("tiny", champion["trial"])
    assert len(lineage["test_openings"]) == 1

    given = ("--out", str(tmp_path / "tested"), *KERAS, "--test")
    assert searched.run("export", "--study", "tiny", *given).status == 0
    card = (tmp_path / "tested" / "MODEL_CARD.md").read_text()
    assert "parity of the exported formats" in card
    assert "The test set was opened 2 times for this study." in card
    assert (searched.folder / "mlruns" / "champions" / "tiny" / "MODEL_CARD.md").read_text() == card


def test_a_reference_network_is_trained_first(kerastuna: Any, mnist_slice: Path, tmp_path: Path) -> None:
    images = ("--images", "40", "--epochs", "1")
    status, out, err = kerastuna("export", "--reference", "eip_3", *images, *KERAS, "--json")
    assert status == 0, err
    manifest = json.loads(out)
    assert (manifest["lineage"]["reference"], manifest["lineage"]["params"]) == ("eip_3", 14652)
    assert "training eip_3 on 40 images for 1 epoch" in err
    assert (tmp_path / "export" / "eip_3" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--trial", "99"], "--trial 99: study 'tiny' has no complete trial of that number"),
        (["--formats", "nope"], "nope"),
        (["--epochs", "2"], "--images and --epochs are for --reference: leave them out"),
        (["--reference", "eip_3"], "--reference trains a network of its own: leave out --study, --trial and --test"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(searched: Any, arguments: list[str], told: str) -> None:
    status, out, err = searched.run("export", "--study", "tiny", *arguments)
    assert (status, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1


def test_a_study_without_a_champion(searched: Any) -> None:
    places = ("--study", "un confirmed", "--folder", "other runs")
    searched.run(*searched.arguments, *places, "--no-confirm")
    status, _, err = searched.run("export", *places)
    assert status == 2
    command = "kerastuna confirm --study 'un confirmed' --folder 'other runs'"
    assert f"study 'un confirmed' has no champion here: run {command} first" in err


def test_weights_that_are_elsewhere_and_other_data(searched: Any, tmp_path: Path) -> None:
    shutil.copytree(searched.folder, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "mlruns" / "trials")
    number = str(json.loads(searched.json)["best"]["trial"])
    elsewhere = ("export", "--study", "tiny", "--trial", number, "--folder", str(tmp_path / "copy" / "mlruns"))
    status, _, err = searched.run(*elsewhere, *KERAS)
    assert status == 2
    assert f"--trial {number}: its weights are not in" in err
