"""One search: the space fits its data, and it is measured on what the searches before were."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras_tuner
import numpy as np
import pytest
from side_by_side import one_search
from side_by_side.job import Job
from side_by_side.setting import Setting

from kerastuna.search import load_dataset
from kerastuna.search.errors import InputError

pytest.importorskip("optuna_integration", reason="needs the extra bench")
pytest.importorskip("tensorboard", reason="needs the extra bench")


def write_data(path: Path, shape: tuple[int, ...], targets: np.ndarray) -> Path:
    """Samples of this shape in an .npz, as many as targets."""
    samples = np.random.default_rng(0).random((len(targets), *shape), "float32")
    np.savez(path, x_train=samples, y_train=targets)
    return path


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs of a contender "nobody", which does nothing."""
    seen: list[Job] = []
    nobody = SimpleNamespace(load=lambda: lambda job: seen.append(job) or [], every_core=False)
    monkeypatch.setitem(one_search.CONTENDERS, "nobody", nobody)
    return seen


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("one_hot", [False, True])
def test_the_space_is_that_of_the_data(jobs: list[Job], tmp_path: Path, one_hot: bool) -> None:
    classes = np.arange(60) % 3
    path = write_data(tmp_path / "small.npz", (8, 8, 3), np.eye(3)[classes] if one_hot else classes)
    result = one_search.run("nobody", 1, Setting("tiny", 20, 4, 1, seconds=1, seeds=1, data=str(path)))
    assert result["images"] == [20, 4]
    [job] = jobs
    hp = keras_tuner.HyperParameters()
    model = job.space.build(hp)
    assert model.output_shape == (None, 3)
    assert job.space.fit(hp, model, job.x, job.y, validation_data=job.validation, verbose=0).history["val_loss"]


@pytest.mark.parametrize(
    ("shape", "targets", "told"),
    [
        ((5,), np.arange(60) % 3, r"the samples of 'odd' are \(5,\), not images"),
        ((8, 8, 1), np.random.default_rng(0).random(60), "'odd' has no classes: its targets are numbers"),
    ],
)
def test_data_that_are_no_images_of_classes_are_refused(
    tmp_path: Path, shape: tuple[int, ...], targets: np.ndarray, told: str
) -> None:
    data = load_dataset(str(write_data(tmp_path / "odd.npz", shape, targets)))
    with pytest.raises(InputError, match=told):
        one_search.space_for(data)


def test_a_search_on_something_else_is_refused_before_it_begins(jobs: list[Job], tmp_path: Path) -> None:
    path, out = write_data(tmp_path / "small.npz", (8, 8, 1), np.arange(60) % 3), tmp_path / "out.json"
    setting = {"name": "tiny", "images": 20, "validated": 4, "epochs": 1, "seconds": 1, "seeds": 1, "data": str(path)}

    def told(expected: Any) -> Any:
        one_search.main(["nobody", "1", json.dumps(setting), json.dumps(expected), str(out)])
        return json.loads(out.read_text())

    first = told(None)
    search = first.pop("search")
    assert told(first)["search"]["contender"] == search["contender"] == "nobody"
    changed = {**first, "fingerprint": "another", "versions": "keras 0"}
    assert told(changed) == {
        "refused": f"the searches before have fingerprint another, now {first['fingerprint']}; "
        f"the searches before have versions keras 0, now {first['versions']}"
    }
    setting["data"] = str(tmp_path / "gone.npz")
    assert "gone.npz" in told(None)["refused"]
    assert len(jobs) == 2
