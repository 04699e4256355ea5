"""The C array: its bytes and numbers reach C and C++, and damage to it is found by compiling it."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from export_support import NAME

from kerastuna.search.datasets.answers import Answers, ClassAnswers, NumberAnswers
from kerastuna.search.errors import KerastunaError
from kerastuna.search.export.c_array import c_symbol, compiled_bytes, write_c_array

QUANTIZATION = {"input": {"scale": 1 / 255, "zero_point": -128}, "output": {"scale": 1.0, "zero_point": 5}}


TEN_CLASSES = ClassAnswers(10, logits=False)


def write_array(
    folder: Path, data: bytes, shape: tuple[int, ...] = (28, 14, 3), answers: Answers = TEN_CLASSES
) -> Path:
    (folder / "model.tflite").write_bytes(data)
    source = folder / "array.c"
    write_c_array(
        folder / "model.tflite",
        source,
        name=NAME,
        shape=shape,
        answers=answers,
        preprocessing="none /* at */ all",
        quantization=QUANTIZATION,
    )
    return source


@pytest.mark.parametrize("command", [["cc", "-std=c11"], ["c++", "-std=c++17", "-x", "c++"], ["c++", "-x", "c++"]])
def test_the_array_and_its_numbers_reach_c_and_cpp(tmp_path, command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    source = write_array(tmp_path, bytes(range(256)) * 3 + b"\x00")
    symbol = c_symbol(NAME)
    macro = symbol.upper()
    names = ("INPUT_HEIGHT", "INPUT_WIDTH", "INPUT_CHANNELS", "CLASSES", "INPUT_ZERO_POINT", "OUTPUT_ZERO_POINT")
    whole = ", ".join(f"{macro}_{name}" for name in ("LENGTH", *names))
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include "array.h"\nint main(void) {{ printf("{"%d " * 7}%.9g %.9g %d %d", {whole}, '
        f"(double){macro}_INPUT_SCALE, (double){macro}_OUTPUT_SCALE, {symbol}[255], (int)sizeof {symbol}); }}\n"
    )
    program = tmp_path / "program"
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([*command, *strict, tmp_path / "main.c", source, "-o", program], check=True)
    numbers = [float(word) for word in subprocess.check_output([program], text=True).split()]
    assert numbers[:7] == [769, 28, 14, 3, 10, -128, 5]
    assert np.float32(numbers[7]) == np.float32(1 / 255)
    assert numbers[8:] == [1.0, 255, 769]


@pytest.mark.parametrize(
    ("shape", "answers", "told", "untold"),
    [
        (
            (12,),
            NumberAnswers(2),
            ["INPUT_SIZE 12", "INPUT_DIMENSION_0 12", "OUTPUTS 2", "is the 2 predicted numbers"],
            ["CLASSES", "HEIGHT", "DIMENSION_1"],
        ),
        (
            (12, 3),
            ClassAnswers(1, logits=True),
            ["INPUT_SIZE 36", "INPUT_DIMENSION_1 3", "OUTPUTS 1", "CLASSES 2", "is the logit of class 1"],
            ["probability", "HEIGHT"],
        ),
        (
            (28, 14, 3),
            ClassAnswers(10, logits=False),
            ["INPUT_HEIGHT 28", "OUTPUTS 10", "CLASSES 10", "is the probability of each class"],
            ["INPUT_SIZE", "DIMENSION", "logit"],
        ),
    ],
)
def test_the_header_fits_any_input_and_output(
    tmp_path: Path, shape: tuple[int, ...], answers: Answers, told: list[str], untold: list[str]
) -> None:
    source = write_array(tmp_path, b"model", shape, answers)
    header = source.with_suffix(".h").read_text()
    assert [text for text in told if text not in header] == []
    assert [text for text in untold if text in header] == []
    assert compiled_bytes(source, NAME) == b"model"


def test_the_array_is_compared_as_compiled(tmp_path, monkeypatch):
    data = os.urandom(1_000)
    source = write_array(tmp_path, data)
    assert compiled_bytes(source, NAME) == data
    source.write_text(source.read_text().replace("0x", "0y", 1))
    with pytest.raises(KerastunaError, match="does not compile"):
        compiled_bytes(source, NAME)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiled_bytes(source, NAME) is None
