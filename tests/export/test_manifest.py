"""The manifest of an export: what it says, and that it is read as it was written."""

import json
import math
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from export_support import NAME, SHAPE, small_source

from kerastuna.search.datasets.answers import NumberAnswers
from kerastuna.search.datasets.task import Classification, Regression
from kerastuna.search.errors import InputError
from kerastuna.search.export.manifest import description, read_manifest, write_manifest


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    path.touch()
    return path


def test_the_description_is_that_of_the_source(model: Path) -> None:
    source = small_source(model)
    told = description(source)
    assert told["name"] == NAME
    assert told["passed"] is None
    assert told["lineage"] == source.extra
    assert told["labels"] == ["0", "1", "2"]
    assert told["task"] == {"classes": 3}
    assert told["input"] == {"dtype": "float32", "shape": ["n", *SHAPE], "layout": "n, height, width, channels"}
    assert told["output"] == {"dtype": "float32", "shape": ["n", 3], "meaning": "the probability of each class"}
    assert told["calibration"]["drawn_from"] == "training images"
    assert told["calibration"]["images"] == 10
    assert told["versions"]["numpy"] == version("numpy")
    json.dumps(told)


def test_labels_and_many_training_images(model: Path) -> None:
    task = Classification(3, names=("cat", "dog", "emu"))
    told = description(small_source(model, task=task, x_train=np.zeros((900, *SHAPE), np.float32)))
    assert told["labels"] == ["cat", "dog", "emu"]
    assert told["calibration"]["images"] == 500


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((5,), "n, columns"),
        ((5, 2), "n, steps, channels"),
        ((5, 2, 3, 1), "n, dimension 0, dimension 1, dimension 2, dimension 3"),
    ],
)
def test_rows_of_any_shape_and_predicted_numbers(model: Path, shape: tuple[int, ...], layout: str) -> None:
    rows, y = np.zeros((10, *shape), np.float32), np.zeros((10, 2), np.float32)
    task = {"task": Regression(2, ("high", "wide")), "answers": NumberAnswers(2)}
    told = description(small_source(model, x_validation=rows, x_train=rows, y_validation=y, **task))
    assert told["input"] == {"dtype": "float32", "shape": ["n", *shape], "layout": layout}
    assert told["output"] == {"dtype": "float32", "shape": ["n", 2], "meaning": "the 2 predicted numbers"}
    assert (told["task"], told["labels"]) == ({"numbers": 2, "names": ["high", "wide"]}, ["high", "wide"])
    assert told["calibration"]["drawn_from"] == "training rows"


def test_a_package_that_is_not_installed_has_no_version(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerastuna.search.export.manifest._PACKAGES", ("numpy", "no-such-package"))
    assert description(small_source(model))["versions"] == {"numpy": version("numpy"), "no-such-package": None}


def test_it_is_read_as_it_was_written(model: Path) -> None:
    manifest = {**description(small_source(model, name="größte")), "formats": {"keras": {"files": {}}}}
    write_manifest(model.parent, manifest)
    assert read_manifest(model.parent) == manifest
    assert "größte" in (model.parent / "manifest.json").read_text(encoding="utf-8")


def test_a_number_that_json_does_not_have_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_manifest(tmp_path, {"accuracy": math.nan})
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "No such file"),
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"name": "x"}', "formats"),
        ('{"formats": {}}', "name"),
        ('{"name": 5, "formats": {}}', "it has no name"),
        ('{"name": "x", "formats": {"pickle": {"files": {}}}}', "pickle"),
        ('{"name": "x", "formats": {"onnx": {}}}', "onnx"),
    ],
)
def test_what_is_not_a_manifest_is_refused(tmp_path: Path, text: str | None, named: str) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json is not the manifest of an export") as caught:
        read_manifest(tmp_path)
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
