"""Disks that are full or read-only, and places that are no folder: one line, and the search goes on afterwards."""

import json
import os
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support import call_kerastuna, run_kerastuna

SPACE = """
    import keras

    def build(hp):
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(hp.Int("units", 1, 9), activation="relu"))
        model.add(keras.layers.Dense(2, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""
SEARCH = (
    *("search", "--space", "tiny_space_of_faults:build", "--data", "tiny.npz", "--budget", "150", "--study", "tiny"),
    *("--trials", "3", "--epochs", "2", "--device", "cpu", "--no-confirm"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a tiny space and data."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 2
    np.savez(tmp_path / "tiny.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    (tmp_path / "tiny_space_of_faults.py").write_text(textwrap.dedent(SPACE))
    return tmp_path


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


Disk = Callable[[str], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """`disk(options)` mounts a disk of its own, or mounts it anew, with other options."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.name != "posix" or os.geteuid() != 0 or not mount("-t", "tmpfs", "-o", "size=4k", "tmpfs", str(place)):
        pytest.skip("the user may not mount a disk")

    def again(options: str) -> Path:
        assert mount("-o", f"remount,{options}", str(place))
        return place

    yield again
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def told(folder: Path, *arguments: str) -> str:
    """The last line of the command, which ends with status 2 and without a traceback."""
    return told_in(call_kerastuna(folder, *arguments, check=2).stderr)


def told_in(err: str) -> str:
    assert "Traceback" not in err
    line = err.splitlines()[-1]
    assert line.startswith("kerastuna: ")
    assert sum(text.startswith("kerastuna: ") for text in err.splitlines()) == 1
    return line


@pytest.mark.parametrize(("size", "of_its_own"), [("8k", False), ("12k", False), ("12k", True)])
def test_a_journal_on_a_full_disk_ends_the_search_in_one_line_and_it_goes_on(
    size: str, of_its_own: bool, folder: Path, disk: Disk
) -> None:
    """Also where the same process searches again: it trains no trial whose end it could not write."""
    journal = disk(f"size={size}") / "journal"
    call = run_kerastuna if of_its_own else call_kerastuna
    line = told_in(call(folder, *SEARCH, "--storage", str(journal), check=2).stderr)
    assert f"storage {str(journal)!r} cannot be " in line
    assert "No space left on device; what was stored is kept" in line
    before = json.loads(call_kerastuna(folder, "trials", "--storage", str(journal), "--json").stdout)
    disk("size=1m")
    call_kerastuna(folder, *SEARCH, "--storage", str(journal))
    trials = json.loads(call_kerastuna(folder, "trials", "--storage", str(journal), "--json").stdout)
    assert sum(trial["state"] == "COMPLETE" for trial in trials) == 3
    assert not [trial for trial in trials if trial["state"] in ("RUNNING", "WAITING")]
    complete = [trial for trial in before if trial["state"] == "COMPLETE"]
    assert [trials[trial["number"]] for trial in complete] == complete


def test_a_read_only_disk_is_read_and_not_written(folder: Path, disk: Disk) -> None:
    journal = disk("size=1m") / "journal"
    call_kerastuna(folder, *SEARCH, "--storage", str(journal))
    disk("ro")
    assert "Read-only file system" in told(folder, *SEARCH, "--trials", "4", "--storage", str(journal))
    assert len(json.loads(call_kerastuna(folder, "trials", "--storage", str(journal), "--json").stdout)) >= 3
    assert "mlflow.db names a file that cannot be written" in told(
        folder, *SEARCH, "--folder", str(journal.parent / "runs")
    )
    assert "Read-only file system" in told(folder, "studies", "--delete", "tiny", "--storage", str(journal))


def test_a_folder_that_is_a_file_and_a_storage_that_is_none_get_one_line(folder: Path) -> None:
    (folder / "file").write_text("")
    before = sorted(os.listdir(folder))
    for command in (SEARCH, ("trials",), ("studies",), ("confirm",), ("export",), ("repair",)):
        told(folder, *command, "--folder", "file")
    for command in (SEARCH, ("trials",), ("studies",)):
        assert "'/dev/null' is not a journal of Optuna" in told(folder, *command, "--storage", "/dev/null")
    assert sorted(set(os.listdir(folder)) - {"__pycache__", "mlruns"}) == before
