"""Writes an int8 network as a C program that needs no runtime: its code, a test image, and how to build it."""

import ctypes
import re
import shutil
import subprocess
import tempfile
from math import prod
from pathlib import Path
from typing import Any, final

import numpy as np

from ...spaces.chip import planned
from ..errors import KerastunaError
from .c_kernels import ARITHMETIC, CODE
from .c_text import comment, real, rows
from .int8_file import Int8Network, Step, read_int8

_HEADER = """\
/* An int8 network in C without a runtime: {what}.
 *
 * Input: int8, {dimensions} values, of which the last index changes first;
 * value = round(x / NETWORK_INPUT_SCALE) + NETWORK_INPUT_ZERO_POINT, limited to -128..127, where x is the input as
 * float32 ({preprocessing}).
 * Output: int8, {outputs} values; NETWORK_OUTPUT_SCALE * (value - NETWORK_OUTPUT_ZERO_POINT) is {meaning}.
 * Operators: {operators}.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

#define NETWORK_INPUTS {inputs}
#define NETWORK_INPUT_SCALE {input_scale}
#define NETWORK_INPUT_ZERO_POINT ({input_zero})
#define NETWORK_OUTPUTS {outputs}
#define NETWORK_OUTPUT_SCALE {output_scale}
#define NETWORK_OUTPUT_ZERO_POINT ({output_zero})
/* Bytes of RAM, besides the stack: the values between the input and the output, which the caller keeps. */
#define NETWORK_ARENA_BYTES {arena}
/* Bytes of flash for the weights and other constants, besides the code. */
#define NETWORK_CONSTANT_BYTES {constants}

#ifdef __cplusplus
extern "C" {{
#endif

/* Computes the outputs of one input. It is not reentrant: the values are in one static array. */
void network_run(const int8_t *input, int8_t *output);

#ifdef __cplusplus
}}
#endif

#endif
"""
_SOURCE = """\
#ifndef __STDC_LIMIT_MACROS
#define __STDC_LIMIT_MACROS 1 /* old C++ libraries hide INT32_MAX without it */
#endif
#include "network.h"

{code}
{constants}
static int8_t arena[NETWORK_ARENA_BYTES];

void network_run(const int8_t *input, int8_t *output) {{
{steps}
}}
"""
_MAIN = """\
/* Runs the network on one {sample} with a known answer, and says whether it gives that answer. */
#include <stdio.h>

#include "network.h"
#include "test_image.h"

int main(void) {{
    static int8_t output[NETWORK_OUTPUTS];
    int place, wrong = 0;
    network_run(test_input, output);
    for (place = 0; place < NETWORK_OUTPUTS; place++) {{
        printf("%d ", output[place]);
        wrong += output[place] != test_output[place];
    }}
    printf(wrong ? "\\nWRONG: %d values are not as expected\\n" : "\\nas expected\\n", wrong);
    return wrong != 0;
}}
"""
_TEST = """\
/* {what}, and what tflite-micro answers to it. */
#include <stdint.h>

static const int8_t test_input[] = {{
{input}
}};
static const int8_t test_output[] = {{
{output}
}};
"""
CMAKE = """\
cmake_minimum_required(VERSION 3.13)
project(network C)
set(CMAKE_C_STANDARD 99)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
add_executable(network main.c network.c)
enable_testing()
add_test(NAME expected_answer COMMAND network)
"""


WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")


@final
class CompiledProgram:
    """The C program in a folder, compiled by `cc`: its test is run, then it answers other inputs.

    Attributes:
        compiler: its first line about itself.
        input, output: (scale, zero point).

    Raises KerastunaError if it does not compile without a warning, or does not give the expected answer of its test.
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise KerastunaError("there is no C compiler; install one that is called cc")
        sources = [str(folder / "network.c")]
        with tempfile.TemporaryDirectory() as made:
            program, library = Path(made, "program"), Path(made, "library.so")
            _run(folder, [compiler, *WARNINGS, "-O2", str(folder / "main.c"), *sources, "-o", str(program)])
            _run(folder, [str(program)])
            _run(folder, [compiler, *WARNINGS, "-O2", "-shared", "-fPIC", *sources, "-o", str(library)])
            self._run = ctypes.CDLL(str(library)).network_run
        self.compiler = _run(folder, [compiler, "--version"]).splitlines()[0]
        header = (folder / "network.h").read_text(encoding="utf-8")
        found = {name: float(text.strip("()f")) for name, text in re.findall(r"#define NETWORK_(\w+) (\S+)", header)}
        self.input = (found["INPUT_SCALE"], int(found["INPUT_ZERO_POINT"]))
        self.output = (found["OUTPUT_SCALE"], int(found["OUTPUT_ZERO_POINT"]))
        self._answer = np.zeros((1, int(found["OUTPUTS"])), np.int8)

    def run(self, sample: np.ndarray) -> np.ndarray:
        """The int8 answer (1, outputs) to one int8 sample."""
        given = np.ascontiguousarray(sample)
        self._run(given.ctypes.data_as(ctypes.c_void_p), self._answer.ctypes.data_as(ctypes.c_void_p))
        return self._answer.copy()


def _run(folder: Path, command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    if ran.returncode:
        told = (ran.stderr.strip() or ran.stdout.strip() or "without a word").splitlines()
        raise KerastunaError(f"{Path(command[0]).name} in {folder.name} failed ({told[0 if ran.stderr else -1][:200]})")
    return ran.stdout


def write_c_program(
    model: Path,
    folder: Path,
    what: str,
    sample: np.ndarray,
    answer: np.ndarray,
    *,
    preprocessing: str,
    meaning: str,
) -> dict[str, Any]:
    """Write the int8 LiteRT file `model` as a C program to the new folder `folder`.

    Args:
        what: the network, in words for a comment.
        sample, answer: int8, for the test; the answer is that of tflite-micro.
        preprocessing, meaning: of an input and of the outputs, in words for the header.

    Returns {"arena_bytes": of RAM, "constant_bytes": of flash besides the code, "operators"}. Raises UnknownOperator
    for a network that the program cannot compute.
    """
    network = read_int8(model.read_bytes())
    folder.mkdir()
    offsets, arena = _plan(network)
    arrays: list[np.ndarray] = []
    steps = [_call(network, step, offsets, arrays) for step in network.steps]
    used = sorted({step.function for step in network.steps})
    source, result = network.values[network.source], network.values[network.answer]
    facts = {
        "arena_bytes": arena,
        "constant_bytes": sum(array.nbytes for array in arrays),
        "operators": [step.function for step in network.steps],
    }
    header = _HEADER.format(
        what=comment(what),
        preprocessing=comment(preprocessing),
        meaning=comment(meaning),
        dimensions=" x ".join(map(str, source.shape)),
        inputs=prod(source.shape),
        outputs=prod(result.shape),
        operators=", ".join(facts["operators"]),
        input_scale=real(source.scale),
        input_zero=source.zero,
        output_scale=real(result.scale),
        output_zero=result.zero,
        arena=arena,
        constants=facts["constant_bytes"],
    )
    constants = "\n".join(_array(f"constant_{number}", array) for number, array in enumerate(arrays))
    code = "\n".join([ARITHMETIC, *(CODE[name] for name in used)])
    end = "    {{ int place; for (place = 0; place < NETWORK_OUTPUTS; place++) output[place] = ({})[place]; }}"
    steps.append(end.format(_place(network, network.answer, offsets)))
    texts = {
        "network.h": header,
        "network.c": _SOURCE.format(code=code, constants=constants, steps="\n".join(steps)),
        "main.c": _MAIN.format(sample="image" if len(source.shape) == 3 else "row"),
        "test_image.h": _TEST.format(what=comment(what), input=rows(sample), output=rows(answer)),
        "CMakeLists.txt": CMAKE,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return facts


def _plan(network: Int8Network) -> tuple[dict[int, int], int]:
    """Where each computed value lies in the arena, and its size; the input stays where the caller has it."""
    last = {step.result: place for place, step in enumerate(network.steps)}
    for place, step in enumerate(network.steps):
        for number in (step.source, step.other):
            if number in last:
                last[number] = place
    last[network.answer] = len(network.steps)
    buffers = [
        (-(-prod(network.values[step.result].shape) // 4) * 4, place, last[step.result])
        for place, step in enumerate(network.steps)
    ]
    offsets = planned(buffers)
    sizes = [offset + buffer[0] for offset, buffer in zip(offsets, buffers, strict=True)]
    return {step.result: offset for step, offset in zip(network.steps, offsets, strict=True)}, max(sizes, default=4)


_TYPES = {3: "map_size", 4: "range_of", 6: "window_size"}
"""The structures that arguments in braces are, by their number of members."""


def _call(network: Int8Network, step: Step, offsets: dict[int, int], arrays: list[np.ndarray]) -> str:
    """The call of `step`; its arrays are added to `arrays`."""
    declared: list[str] = []
    given = [_place(network, step.source, offsets)]
    result = _place(network, step.result, offsets)
    for argument in step.arguments:
        if isinstance(argument, np.ndarray):
            given.append(f"constant_{len(arrays)}")
            arrays.append(argument)
        elif argument == "other" and step.other is not None:
            given.append(_place(network, step.other, offsets))
        elif argument.startswith("{"):
            given.append(f"a{len(declared)}")
            declared.append(f"const {_TYPES[argument.count(',') + 1]} {given[-1]} = {argument};")
        else:
            given.append(argument)
    # The result is the second argument, behind the map of the input where there is one.
    given.insert(2 if step.arguments and str(step.arguments[0]).startswith("{") else 1, result)
    lines = [*declared, f"{step.function}({', '.join(given)});"]
    return "    {\n" + "\n".join(f"        {line}" for line in lines) + "\n    }"


def _place(network: Int8Network, number: int, offsets: dict[int, int]) -> str:
    return "input" if number == network.source else f"arena + {offsets[number]}"


def _array(name: str, array: np.ndarray) -> str:
    kind = {1: "int8_t", 4: "int32_t"}[array.itemsize]
    return f"static const {kind} {name}[] = {{\n{rows(array)}\n}};"
