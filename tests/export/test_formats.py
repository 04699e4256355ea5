"""What an export starts from, and which packages its formats need."""

from pathlib import Path

import numpy as np
import pytest
from export_support import small_source

from kerastuna.search.datasets.answers import NumberAnswers
from kerastuna.search.datasets.task import Classification, Regression
from kerastuna.search.errors import InputError
from kerastuna.search.export.formats import FORMATS, MICRO, missing_packages


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    path.touch()
    return path


def test_only_opened_parts_are_checked_on(model: Path) -> None:
    source = small_source(model)
    assert source.input_shape == (2, 3, 1)
    assert list(source.parts()) == ["validation"]
    opened = small_source(model, x_test=source.x_validation[:4], y_test=source.y_validation[:4])
    assert {part: len(y) for part, (_, y) in opened.parts().items()} == {"validation": 10, "test": 4}


def test_sources_that_cannot_be_exported_are_refused(model: Path) -> None:
    source = small_source(model)
    with pytest.raises(InputError, match=r"not a \.keras file"):
        small_source(model.with_name("absent.keras"))
    with pytest.raises(InputError, match=r"not a \.keras file"):
        small_source(model.rename(model.with_suffix(".h5")))
    model.touch()
    with pytest.raises(InputError, match="validation images are of shape"):
        small_source(model, y_validation=source.y_validation[:-1])
    with pytest.raises(InputError, match="test images are of shape"):
        small_source(model, x_test=np.zeros((4, 3, 2, 1), np.float32), y_test=source.y_validation[:4])
    with pytest.raises(InputError, match="belong together"):
        small_source(model, x_test=source.x_validation)
    with pytest.raises(InputError, match="validation rows are of shape"):
        small_source(model, x_validation=np.zeros(10, np.float32), x_train=np.zeros(10, np.float32))
    several = {"y_validation": np.zeros((10, 2), np.float32), "x_test": source.x_validation}
    with pytest.raises(InputError, match="test images are of shape"):
        small_source(model, **several, y_test=np.zeros(10, np.float32))


def test_samples_of_any_shape_have_a_unit_and_labels(model: Path) -> None:
    assert (small_source(model).unit, small_source(model).labels) == ("images", ["0", "1", "2"])
    assert small_source(model, task=Classification(3, names=("cat", "dog", "emu"))).labels == ("cat", "dog", "emu")
    rows = np.zeros((10, 4), np.float32)
    task = {"task": Regression(2, ("high", "wide")), "answers": NumberAnswers(2), "y_validation": rows[:, :2]}
    source = small_source(model, x_validation=rows, x_train=rows, **task)
    assert (source.unit, source.labels, source.input_shape) == ("rows", ("high", "wide"), (4,))


def test_no_two_formats_write_to_the_same_place() -> None:
    assert len({form.path for form in FORMATS.values()}) == len(FORMATS)


def test_every_format_needs_tensorflow_and_its_own_packages() -> None:
    assert FORMATS["keras"].needs == ("tensorflow",)
    assert FORMATS["onnx"].needs == ("tensorflow", "onnx", "tf2onnx", "onnxruntime")
    assert FORMATS["c_array"].needs == ("tensorflow", "ai_edge_litert")  # its bytes are checked without tflite-micro
    assert [name for name, form in FORMATS.items() if not form.exact] == ["litert_int8", "c_array", "c_program"]


def test_missing_packages_come_with_the_command_that_installs_them() -> None:
    assert missing_packages(["numpy", "json"]) == ""
    assert missing_packages(["numpy", "no_such_a", "no_such_b"]) == (
        "needs no_such_a and no_such_b: pip install 'PATH/TO/kerastuna[export]'"
    )


def test_tflite_micro_exists_for_one_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerastuna.search.export.formats.find_spec", lambda package: None)
    assert missing_packages([MICRO]).endswith("(Linux on x86-64 only)")
