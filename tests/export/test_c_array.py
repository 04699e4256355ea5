"""The C array: its bytes and numbers reach C and C++, and damage to it is found by compiling it."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from export_support import NAME

from kerastuna.search.errors import KerastunaError
from kerastuna.search.export.c_array import c_symbol, compiled_bytes, write_c_array

QUANTIZATION = {"input": {"scale": 1 / 255, "zero_point": -128}, "output": {"scale": 1.0, "zero_point": 5}}


def write_array(folder: Path, data: bytes) -> Path:
    (folder / "model.tflite").write_bytes(data)
    source = folder / "array.c"
    write_c_array(
        folder / "model.tflite",
        source,
        name=NAME,
        shape=(28, 14, 3),
        classes=10,
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


def test_the_array_is_compared_as_compiled(tmp_path, monkeypatch):
    data = os.urandom(1_000)
    source = write_array(tmp_path, data)
    assert compiled_bytes(source, NAME) == data
    source.write_text(source.read_text().replace("0x", "0y", 1))
    with pytest.raises(KerastunaError, match="does not compile"):
        compiled_bytes(source, NAME)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiled_bytes(source, NAME) is None
