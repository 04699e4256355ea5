"""Files of an export: what is copied or converted, what is left when a conversion fails, and the sums of the files."""

from hashlib import sha256
from pathlib import Path

import numpy as np
from export_support import small_source

from kerastuna.search.export.files import CALIBRATION_SAMPLES, calibration_samples, file_sums, write_files


def test_the_sums_of_a_file_and_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model" / "variables").mkdir(parents=True)
    contents = {"model/b.pb": b"graph", "model/variables/a": b"weights", "model.onnx": b""}
    for path, content in contents.items():
        (tmp_path / path).write_bytes(content)
    sums = {path: {"bytes": len(data), "sha256": sha256(data).hexdigest()} for path, data in contents.items()}
    assert file_sums(tmp_path, "model.onnx") == {"model.onnx": sums.pop("model.onnx")}
    assert file_sums(tmp_path, "model") == sums


def test_a_conversion_that_fails_leaves_no_file_and_does_not_stop_the_others(tmp_path: Path) -> None:
    model, out = tmp_path / "own.keras", tmp_path / "out"
    model.write_bytes(b"weights")
    (out / "savedmodel" / "variables").mkdir(parents=True)  # as if the conversion had ended half-way
    (out / "model.onnx").touch()
    source = small_source(model, modules=["no_such_module_at_all"])
    entries, problems, left_out = write_files(out, source, ["keras", "savedmodel", "onnx"])
    assert entries == {"keras": {"files": file_sums(out, "model.keras")}}
    assert (out / "model.keras").read_bytes() == b"weights"
    assert (list(problems), left_out) == (["savedmodel", "onnx"], {})
    assert all("there is no module no_such_module_at_all" in problem for problem in problems.values())
    assert list(out.iterdir()) == [out / "model.keras"]


def test_int8_is_calibrated_on_a_fixed_choice_of_the_training_images() -> None:
    images = np.arange(3 * CALIBRATION_SAMPLES)
    chosen = calibration_samples(images)
    assert len(set(chosen)) == CALIBRATION_SAMPLES
    assert chosen.tolist() == sorted(chosen)
    assert chosen.max() > 2 * CALIBRATION_SAMPLES  # of all images, not the first ones
    np.testing.assert_array_equal(chosen, calibration_samples(images))
    np.testing.assert_array_equal(calibration_samples(images[:7]), images[:7])
