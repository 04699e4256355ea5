"""Writes a model file as a C array with its header, and reads the array back with a C compiler."""

import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..datasets.answers import Answers, ClassAnswers
from ..errors import KerastunaError
from .c_text import comment, real

_HEADER = """\
/* {name}: an int8 LiteRT model for TensorFlow Lite Micro.
 *
 * Input: int8 (1, {dimensions}); value = round(x / INPUT_SCALE) + INPUT_ZERO_POINT, limited to -128..127, where x is
 * the input as float32 ({preprocessing}).
 * Output: int8, {width} for one input; OUTPUT_SCALE * (value - OUTPUT_ZERO_POINT) is {meaning}.
 */
#ifndef {macro}_H
#define {macro}_H

#define {macro}_LENGTH {length}
{sizes}
#define {macro}_INPUT_SCALE {input_scale}
#define {macro}_INPUT_ZERO_POINT ({input_zero_point})
#define {macro}_OUTPUTS {width}
{classes}#define {macro}_OUTPUT_SCALE {output_scale}
#define {macro}_OUTPUT_ZERO_POINT ({output_zero_point})
{arena}
#ifdef __cplusplus
extern "C" {{
#endif

/* Aligned to 16 bytes, as the interpreter reads it in place. */
extern const unsigned char {symbol}[{macro}_LENGTH];

#ifdef __cplusplus
}}
#endif

#endif
"""
_ARENA = """\
/* Bytes of RAM for the interpreter, enough for its reference kernels on a 64-bit machine; others may need more. */
#ifndef {macro}_ARENA_BYTES
#define {macro}_ARENA_BYTES {arena_bytes}
#endif
"""
_SOURCE = """\
#include "{header}"

#ifndef __cplusplus
#include <stdalign.h>
#endif

alignas(16) const unsigned char {symbol}[{macro}_LENGTH] = {{
{rows}
}};
"""
_PRINTER = """\
#include <stdint.h>
#include <stdio.h>

#include "{header}"

int main(void) {{
    if ((uintptr_t){symbol} % 16 != 0) return 2;
    return fwrite({symbol}, 1, sizeof {symbol}, stdout) == {macro}_LENGTH ? 0 : 1;
}}
"""


def c_symbol(name: str) -> str:
    """The C identifier of the array for the model `name`; its macros start with the same in capitals."""
    return "model_" + re.sub(r"[^a-z0-9]", "_", name.lower())


def write_c_array(
    model: Path,
    source: Path,
    *,
    name: str,
    shape: Sequence[int],
    answers: Answers,
    preprocessing: str,
    quantization: Mapping[str, Any],
    arena_bytes: int | None = None,
) -> None:
    """Write the bytes of the file `model` to the C file `source`, and a header of the same name beside it.

    Args:
        name: of the model; the array is called `c_symbol(name)`.
        shape: of one sample; the header has its height, width and channels where it is an image, else its
            dimensions from 0 and its size.
        answers: how those of the model are read; the header has the number of classes where there are any.
        quantization: {"input", "output"}, each {"scale", "zero_point"}.
        arena_bytes: of RAM that the interpreter needs, for the header; None if it is not known.
    """
    data = model.read_bytes()
    symbol, header = c_symbol(name), source.with_suffix(".h")
    macro = symbol.upper()
    if len(shape) == 3:
        sizes = dict(zip(("HEIGHT", "WIDTH", "CHANNELS"), shape, strict=True))
    else:
        sizes = {"SIZE": math.prod(shape), **{f"DIMENSION_{place}": length for place, length in enumerate(shape)}}
    classes = f"#define {macro}_CLASSES {answers.classes}\n" if isinstance(answers, ClassAnswers) else ""
    header.write_text(
        _HEADER.format(
            name=comment(name),
            preprocessing=comment(preprocessing),
            dimensions=", ".join(map(str, shape)),
            macro=macro,
            symbol=symbol,
            length=len(data),
            sizes="\n".join(f"#define {macro}_INPUT_{size} {length}" for size, length in sizes.items()),
            width=answers.width,
            meaning=answers.meaning,
            classes=classes,
            arena="" if arena_bytes is None else _ARENA.format(macro=macro, arena_bytes=arena_bytes),
            **{f"{end}_scale": real(quantization[end]["scale"]) for end in ("input", "output")},
            **{f"{end}_zero_point": quantization[end]["zero_point"] for end in ("input", "output")},
        ),
        encoding="utf-8",
    )
    rows = "\n".join(
        "    " + " ".join(f"0x{byte:02x}," for byte in data[start : start + 16]) for start in range(0, len(data), 16)
    )
    source.write_text(_SOURCE.format(header=header.name, symbol=symbol, macro=macro, rows=rows))


def compiled_bytes(source: Path, name: str) -> bytes | None:
    """The bytes of the array in `source`, as compiled by the C compiler `cc`; None if there is no compiler.

    Raises KerastunaError if it does not compile or is not aligned.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    symbol = c_symbol(name)
    with tempfile.TemporaryDirectory() as folder:
        printer, program = Path(folder, "printer.c"), Path(folder, "printer")
        header = source.with_suffix(".h").name
        printer.write_text(_PRINTER.format(header=header, symbol=symbol, macro=symbol.upper()))
        command = [compiler, "-std=c11", "-I", source.parent, printer, source, "-o", program]
        compiled = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        if compiled.returncode:
            first = (compiled.stderr.strip().splitlines() or ["without a word"])[0]
            raise KerastunaError(f"{source.name} does not compile ({first[:200]})")
        ran = subprocess.run([program], capture_output=True, stdin=subprocess.DEVNULL)
        if ran.returncode:
            raise KerastunaError(f"the array in {source.name} is not aligned to 16 bytes")
        return ran.stdout
