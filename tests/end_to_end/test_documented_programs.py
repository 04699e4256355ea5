"""The programs and searches of README.md and docs/, run as they are printed there, on less data where they read a file.

One program is run in a process of its own, as a user does; the others in this one.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from support import ROOT, call_kerastuna, call_program, write_slice

from kerastuna.search import load_dataset, load_test
from kerastuna.search.datasets.task import Classification

README = (ROOT / "README.md").read_text()
PAGES = "\n".join([README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))])
PROGRAMS = {
    name: block
    for block in re.findall(r"^```python\n(.*?)^```$", PAGES, flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r"\A# (\w+\.py)$", block, flags=re.MULTILINE)
}


def search(folder: Path, data: str, *more: str) -> dict:
    """The one command of all pages that searches `data`, with options for a short search; returns its JSON."""
    [variables] = re.findall(rf"^    make search (SPACE=.*DATA={re.escape(data)} .*)$", PAGES, flags=re.MULTILINE)
    given = [word.partition("=") for word in shlex.split(variables)]
    options = [text for name, _, value in given for text in (f"--{name.lower()}", value)]
    short = ("--trials", "1", "--epochs", "1", "--images", "200", "--device", "cpu")  # the last of each option counts
    return json.loads(call_kerastuna(folder, "search", *options, *short, *more, "--json").stdout)


def trials_of(folder: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(folder / "my_dir" / name / "optuna.journal")))
    return optuna.load_study(study_name=None, storage=storage).trials


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every program of the pages, after those that write data have run."""
    folder = tmp_path_factory.mktemp("programs")
    for name, program in PROGRAMS.items():
        (folder / name).write_text(program)
    (folder / "data").mkdir()
    write_slice(folder / "data" / "mnist.npz", train=10_600)
    call_program(folder / "my_data.py")
    call_program(folder / "my_photos.py")
    call_program(folder / "my_rows.py")
    return folder


def test_every_program_is_run_here_but_the_part_of_one_that_shows_ray():
    mine = {"my_data.py", "my_photos.py", "my_rows.py", "my_space.py"}
    assert set(PROGRAMS) == {*mine, "mlp.py", "notebook.py", "predict.py"}
    [other] = set(re.findall(r"^```python\n(.*?)^```$", PAGES, flags=re.MULTILINE | re.DOTALL)) - set(PROGRAMS.values())
    assert "RayPool" in other  # tests/end_to_end/test_ray_search.py has what it shows


def test_the_line_to_change_in_a_program_for_kerastuner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    [(before, after)] = re.findall(r"^```diff\n-(.*)\n\+(.*)\n```$", README, flags=re.MULTILINE)
    lines = PROGRAMS["mlp.py"].splitlines()
    assert after in lines
    assert lines[lines.index(after) + 1] == f"# before: {before.removeprefix('tuner = ')}"
    monkeypatch.chdir(tmp_path)
    names = {"keras_tuner": keras_tuner, "build_model": lambda hp: keras.Sequential([keras.layers.Dense(1)])}
    exec(before, names)
    assert isinstance(names["tuner"], keras_tuner.RandomSearch)


def test_the_data_that_the_programs_write(folder: Path):
    npz, photos = (load_dataset(str(folder / name)) for name in ("my.npz", "photos"))
    assert (npz.name, photos.name) == ("my", "photos")
    assert (npz.task, npz.input_shape) == (photos.task, photos.input_shape) == (Classification(10), (8, 8, 1))
    assert len(npz.x_train) + len(npz.x_validation) == len(photos.x_train) + len(photos.x_validation) == 1500
    for name, data in (("my.npz", npz), ("photos", photos)):
        part = load_test(str(folder / name), data)
        assert part is not None
        assert part[0].shape == (297, 8, 8, 1)
    assert np.bincount(photos.y_validation).tolist() == np.bincount(npz.y_validation).tolist()


def test_the_network_of_kerastuners_guide(folder: Path):
    result = subprocess.run([sys.executable, "mlp.py"], cwd=folder, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    told = result.stdout
    assert "Results in my_dir/untitled_project" in told
    assert told.count("Score: ") == 3
    [total] = re.findall(r"Total params: ([\d,]+)", told)
    assert int(total.replace(",", "")) <= 200_000
    trials = trials_of(folder, "untitled_project")
    assert sum(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials) == 3
    assert max(trial.value for trial in trials if trial.value is not None) > 0.5


def test_a_notebook_ends_with_figures(folder: Path, tmp_path: Path):
    for name in ("my_space.py", "notebook.py"):
        (tmp_path / name).write_text(PROGRAMS[name])
    with np.load(folder / "my.npz") as whole:
        np.savez(tmp_path / "my.npz", **{part: whole[part][:200] for part in whole})
    told = call_program(tmp_path / "notebook.py").splitlines()
    assert re.match(r"0\.\d{4} \{.*'learning_rate': ", told[0])
    drawn = [line for line in told if line.startswith("figures/")]
    assert {"figures/params_vs_accuracy.png", "figures/optimization_history.png"} <= set(drawn)
    assert len(told) == 1 + 8  # each is drawn, or it is said why not
    for path in drawn:
        assert (tmp_path / path).read_bytes().startswith(b"\x89PNG")
    trained = [trial for trial in trials_of(tmp_path, "notebook") if trial.intermediate_values]
    assert len(trained) == 6
    assert all(trial.user_attrs["params"] <= 5000 for trial in trained)


def test_a_champion_is_used(tmp_path: Path):
    (tmp_path / "predict.py").write_text(PROGRAMS["predict.py"])
    [champion] = re.findall(r'load_model\("(.*)"\)', PROGRAMS["predict.py"])
    (tmp_path / champion).parent.mkdir(parents=True)
    shutil.copy(ROOT / "benchmarks" / "champions" / "convnet-15000" / "model.keras", tmp_path / champion)
    (tmp_path / "data").symlink_to(ROOT / "data")
    assert call_program(tmp_path / "predict.py") == "[7 2 1 0 4 1 4 9]\n"


def test_a_search_of_your_space_and_your_npz(folder: Path):
    told = search(folder, "my.npz", "--no-confirm")
    assert told["study"] == "my-myspace-5000-quick-epochs-1-images-200"
    assert told["trials"]["complete"] == 1
    assert 0 < told["best"]["params"] <= 5000
    assert set(told["best"]["hyperparameters"]) == {"width", "learning_rate"}


def test_a_search_of_a_folder_of_images_confirmed_on_its_test_part(folder: Path):
    told = search(folder, "photos", "--top", "1", "--seeds", "1")
    assert told["study"] == "photos-myspace-5000-quick-epochs-1-images-200"
    assert told["champion"]["test"]["opening"] == 1
    assert 0 <= told["champion"]["test"]["mean"] <= 1


def test_a_search_of_a_table_that_predicts_a_number(folder: Path):
    told = search(folder, "diabetes.csv", "--top", "1", "--seeds", "1")
    assert told["study"] == "diabetes-rows-2000-quick-val_mae-epochs-1-images-200"
    champion = told["champion"]
    assert champion["test"] is None
    assert 0 < champion["params"] <= 2000
    assert 0 < champion["validation"]["mean"] < 400  # the targets are from 25 to 346
    card = (folder / "mlruns" / "champions" / told["study"] / "MODEL_CARD.md").read_text()
    assert "predicts one number for rows of diabetes" in card
