"""The references trained by their own recipes: stored one by one, and never trained twice."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ROOT

from kerastuna.search.champion.reproduction import FILE, Images, Reproduction, reproduce
from kerastuna.search.errors import StudyError
from kerastuna.search.tuning.parallel import worker_pool

EIP_3 = Reproduction("eip_3", 0, 1)


@pytest.fixture(scope="module")
def images() -> Images:
    with np.load(ROOT / "data" / "mnist.npz") as mnist:
        x, y = mnist["x_train"][:192, ..., None] / np.float32(255), mnist["y_train"][:192].astype("int64")
    return Images(x, y, x[:64], y[:64], fingerprint="a slice")


class Told:
    """Notes what is told."""

    def __init__(self) -> None:
        self.epochs: list[tuple[str, int, int]] = []
        self.results: list[tuple[Reproduction, float]] = []

    def run(self, reproductions: list[Reproduction], images: Images, folder: Path, pool: Any = None) -> Any:
        return reproduce(
            reproductions,
            images,
            folder,
            pool,
            on_epoch=lambda name, seed, epoch, metrics: self.epochs.append((name, seed, epoch)),
            on_result=lambda reproduction, accuracy: self.results.append((reproduction, accuracy)),
        )


@pytest.mark.usefixtures("eager")
def test_what_is_trained_is_stored_and_not_trained_again(tmp_path: Path, images: Images) -> None:
    first = Told()
    accuracies = first.run([EIP_3], images, tmp_path / "runs")
    assert first.epochs == [("eip_3", 0, 1)]
    assert first.results == [(EIP_3, accuracies[EIP_3])]
    (record,) = json.loads((tmp_path / "runs" / FILE).read_text())
    assert (record["name"], record["seed"], record["epochs"], record["images"]) == ("eip_3", 0, 1, 192)
    assert record["hyperparameters"]["batch_size"] == 64

    second, other = Told(), Reproduction("eip_3", 1, 1)
    again = second.run([EIP_3, other], images, tmp_path / "runs")
    assert list(again) == [EIP_3, other]
    assert again[EIP_3] == accuracies[EIP_3]
    assert second.epochs == [("eip_3", 1, 1)]
    assert len(json.loads((tmp_path / "runs" / FILE).read_text())) == 2


@pytest.mark.usefixtures("eager")
def test_a_result_is_that_of_the_same_images_epochs_and_recipe_alone(tmp_path: Path, images: Images) -> None:
    fewer = Images(images.x[:64], images.y[:64], images.x_test, images.y_test, images.fingerprint)
    identities = [EIP_3.identity(images), EIP_3.identity(fewer), Reproduction("eip_3", 0, 2).identity(images)]
    identities += [Reproduction("eip_4", 0, 1).identity(images), Reproduction("eip_3", 1, 1).identity(images)]
    assert len({json.dumps(identity, sort_keys=True) for identity in identities}) == 5
    told = Told()
    told.run([EIP_3], fewer, tmp_path)
    assert len(told.epochs) == 1
    told.run([EIP_3], fewer, tmp_path)
    assert len(told.epochs) == 1
    accuracy = EIP_3.run(fewer, lambda *values: None)
    assert accuracy == pytest.approx(told.results[0][1], abs=1e-6)  # the seed makes it the same


def test_workers_train_them_too(tmp_path: Path, images: Images) -> None:
    told, other = Told(), Reproduction("eip_3", 1, 1)
    with worker_pool(2) as pool:
        accuracies = told.run([EIP_3, other], images, tmp_path, pool)
    assert sorted(told.epochs) == [("eip_3", 0, 1), ("eip_3", 1, 1)]
    assert dict(told.results) == accuracies
    assert set(accuracies) == {EIP_3, other}


def test_programs_that_store_results_at_once_lose_none(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reproduction, "run", lambda self, images, on_epoch: self.seed / 100)
    everything = [Reproduction("eip_3", seed, 1) for seed in range(60)]
    with ThreadPoolExecutor(6) as programs:
        list(programs.map(lambda first: Told().run(everything[first::6], images, tmp_path), range(6)))
    told = Told()
    assert told.run(everything, images, tmp_path) == {each: each.seed / 100 for each in everything}
    assert not told.results  # all were known


@pytest.mark.parametrize("text", ["{", '[{"name": "eip_3"}]', "[3]"])
def test_a_damaged_file_is_told(tmp_path: Path, images: Images, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StudyError, match=r"reproductions.json' cannot be read .*: delete it to train anew"):
        Told().run([EIP_3], images, tmp_path)
