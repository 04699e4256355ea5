"""Running a file over images: the answers of all of them in order, and the arithmetic of int8.

`test_exporter.py` runs files of every format. An ONNX file, which can be written by hand, is enough here.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from export_support import SHAPE, write_onnx

from kerastuna.search.export.formats import FORMATS
from kerastuna.search.export.runtimes import BATCH, RUNTIMES, dequantize, evaluate, quantize

SCALE, ZERO_POINT = 0.5, -3


def test_every_format_has_a_runtime() -> None:
    assert {form.runtime for form in FORMATS.values()} == set(RUNTIMES)


def test_all_images_are_answered_in_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    images, kernel = rng.random((BATCH + 7, *SHAPE), np.float32), rng.random((6, 3), np.float32)
    paths = {name: str(tmp_path / name) for name in ("images.npy", "answers.npy", "model.onnx")}
    np.save(paths["images.npy"], images)
    write_onnx(Path(paths["model.onnx"]), kernel)
    told = evaluate("onnx", paths["model.onnx"], paths["images.npy"], paths["answers.npy"], ())
    exponentials = np.exp(images.reshape(-1, 6) @ kernel)
    answers = np.load(paths["answers.npy"])
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, exponentials / exponentials.sum(axis=1, keepdims=True), rtol=1e-5)
    assert told["runtime"].startswith("ONNX Runtime ")
    assert told["milliseconds_per_image"] > 0


def test_int8_is_rounded_shifted_and_limited() -> None:
    x = np.array([0, 0.5, 0.74, 0.76, -60, 1e6, -1e6], np.float32)
    assert quantize(x, SCALE, ZERO_POINT).tolist() == [-3, -2, -2, -1, -123, 127, -128]
    assert quantize(x, SCALE, ZERO_POINT).dtype == np.int8


def test_real_numbers_come_back_from_every_int8() -> None:
    every = np.arange(-128, 128).astype(np.int8)
    real = dequantize(every, SCALE, ZERO_POINT)
    assert real.dtype == np.float32
    assert (real[0], real[-1]) == (pytest.approx(-62.5), pytest.approx(65))
    np.testing.assert_array_equal(quantize(real, SCALE, ZERO_POINT), every)


def test_a_process_that_measures_an_arena_imports_no_keras(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("{}")
    command = [sys.executable, "-X", "importtime", "-m", "kerastuna.search.export.runtimes", str(tmp_path)]
    imported = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert " kerastuna.search.export.process\n" in imported
    assert not re.search(r" (keras|tensorflow)\n", imported)  # such a process is begun some 20 times
