"""Writes a program for TensorFlow Lite Micro that runs a C array, with a test image, and how to build it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .c_array import c_symbol
from .c_text import comment, rows
from .int8_file import UnknownOperator, operator_names

_MAIN = """\
/* Runs the network in TensorFlow Lite Micro on one {sample} with a known answer, and says whether it gives it. */
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

#include "{header}"
#include "test_image.h"

namespace {{

/* The operators of the file and no others, because the code of each takes flash. */
using Resolver = tflite::MicroMutableOpResolver<{count}>;

bool AddOperators(Resolver& resolver) {{
    return {operators};
}}

alignas(16) uint8_t arena[{macro}_ARENA_BYTES];

int8_t Quantized(float x) {{
    const float value = std::nearbyint(x / {macro}_INPUT_SCALE) + {macro}_INPUT_ZERO_POINT;
    return value < -128 ? -128 : value > 127 ? 127 : static_cast<int8_t>(value);
}}

int Wrong(const char* why) {{
    std::printf("WRONG: %s\\n", why);
    return 1;
}}

}}  // namespace

int main() {{
    constexpr size_t inputs = sizeof test_input / sizeof test_input[0], outputs = sizeof test_output;
    tflite::InitializeTarget();
    const tflite::Model* model = tflite::GetModel({symbol});
    if (model->version() != TFLITE_SCHEMA_VERSION) return Wrong("this TensorFlow Lite Micro reads other files");
    Resolver resolver;
    if (!AddOperators(resolver)) return Wrong("the operators cannot be added");
    tflite::MicroInterpreter interpreter(model, resolver, arena, sizeof arena);
    if (interpreter.AllocateTensors() != kTfLiteOk)
        return Wrong("no memory for the tensors; define {macro}_ARENA_BYTES as a larger number");
    TfLiteTensor* input = interpreter.input(0);
    const TfLiteTensor* output = interpreter.output(0);
    if (input->bytes != inputs || output->bytes != outputs) return Wrong("the test is of another network");
    for (size_t place = 0; place < inputs; place++) input->data.int8[place] = Quantized(test_input[place]);
    if (interpreter.Invoke() != kTfLiteOk) return Wrong("an operator failed");
    int wrong = 0;
    for (size_t place = 0; place < outputs; place++) {{
        std::printf("%d ", output->data.int8[place]);
        wrong += output->data.int8[place] != test_output[place];
    }}
    std::printf("\\narena: %d of %d bytes are used\\n", static_cast<int>(interpreter.arena_used_bytes()),
                static_cast<int>(sizeof arena));
    if (wrong != 0) return std::printf("WRONG: %d values are not as expected\\n", wrong), 1;
    std::printf("as expected\\n");
    return 0;
}}
"""
_TEST = """\
/* {what}, before it is quantised, and what tflite-micro answers to it. */
#include <stdint.h>

static const float test_input[] = {{
{input}
}};
static const int8_t test_output[] = {{
{output}
}};
"""
_CMAKE = """\
# Builds the test with TensorFlow Lite Micro. In a checkout of it, this makes its library:
#   make -f tensorflow/lite/micro/tools/make/Makefile microlite
# Then, here:
#   cmake -B build -DTFLITE_MICRO_DIR=/path/to/the/checkout && cmake --build build && ./build/network
cmake_minimum_required(VERSION 3.13)
project(network C CXX)
set(CMAKE_C_STANDARD 11)
set(CMAKE_CXX_STANDARD 17)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

set(TFLITE_MICRO_DIR "" CACHE PATH "A checkout of tflite-micro")
set(TFLITE_MICRO_LIBRARY "" CACHE FILEPATH "Its library; the one in gen/ of the checkout if it is not given")
if(NOT EXISTS "${TFLITE_MICRO_DIR}/tensorflow/lite/micro/micro_interpreter.h")
  message(FATAL_ERROR "There is no tflite-micro in '${TFLITE_MICRO_DIR}': give -DTFLITE_MICRO_DIR=/its/checkout")
endif()
if(NOT TFLITE_MICRO_LIBRARY)
  file(GLOB made "${TFLITE_MICRO_DIR}/gen/*/lib/libtensorflow-microlite.a")
  list(LENGTH made count)
  if(NOT count EQUAL 1)
    message(FATAL_ERROR "${count} libraries are in ${TFLITE_MICRO_DIR}/gen: give -DTFLITE_MICRO_LIBRARY=/path/to/one.a")
  endif()
  set(TFLITE_MICRO_LIBRARY "${made}")
endif()

add_executable(network main.cc ../@SOURCE@)
target_include_directories(network PRIVATE ..)
# What it downloads lies in the first folder in a checkout, in the second in a tree by its create_tflm_tree.py.
foreach(dir "${TFLITE_MICRO_DIR}/tensorflow/lite/micro/tools/make/downloads" "${TFLITE_MICRO_DIR}/third_party")
  target_include_directories(network SYSTEM PRIVATE "${dir}/flatbuffers/include" "${dir}/gemmlowp" "${dir}/ruy")
endforeach()
target_include_directories(network SYSTEM PRIVATE "${TFLITE_MICRO_DIR}")
# As the library is compiled: the first changes its structures, and without the last two it lacks symbols.
target_compile_definitions(network PRIVATE TF_LITE_STATIC_MEMORY TF_LITE_DISABLE_X86_NEON)
target_compile_options(network PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti> $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)
target_link_libraries(network PRIVATE "${TFLITE_MICRO_LIBRARY}" m)
enable_testing()
add_test(NAME expected_answer COMMAND network)
"""
_METHODS = """
    Abs Add AddN ArgMax ArgMin AveragePool2D BatchMatMul BatchToSpaceNd BroadcastArgs BroadcastTo Cast Ceil
    Concatenation Conv2D Cos CumSum DepthToSpace DepthwiseConv2D Dequantize Div DynamicUpdateSlice EmbeddingLookup Elu
    Equal Exp ExpandDims Fill Floor FloorDiv FloorMod FullyConnected Gather GatherNd Greater GreaterEqual HardSwish If
    L2Normalization L2Pool2D LeakyRelu Less LessEqual Log LogicalAnd LogicalNot LogicalOr Logistic LogSoftmax Maximum
    MaxPool2D MirrorPad Mean Minimum Mul Neg NotEqual Pack Pad PadV2 Prelu Quantize ReduceAll ReduceMax ReduceMin Relu
    Relu6 Reshape ResizeBilinear ResizeNearestNeighbor ReverseV2 Round Rsqrt SelectV2 Shape Sin Slice Softmax
    SpaceToBatchNd SpaceToDepth Split SplitV Squeeze Sqrt Square SquaredDifference StridedSlice Sub Sum Svdf Tanh
    TransposeConv Transpose Unpack UnidirectionalSequenceLSTM While ZerosLike
"""
"""What `MicroMutableOpResolver` can add; without operators on variables, for which the program keeps no memory."""
_METHOD_OF = {method.upper(): method for method in _METHODS.split()}


def resolver_methods(names: Sequence[str]) -> list[str]:
    """The methods of `MicroMutableOpResolver` that add the operators `names`, which are LiteRT's, such as "CONV_2D".

    Raises UnknownOperator for one that it does not have.
    """
    unknown = [name for name in names if name.replace("_", "") not in _METHOD_OF]
    if unknown:
        raise UnknownOperator(f"the resolver of TensorFlow Lite Micro has no method for the operator {unknown[0]}")
    return [f"Add{_METHOD_OF[name.replace('_', '')]}" for name in names]


def write_micro_program(
    model: Path, folder: Path, array: Path, name: str, sample: np.ndarray, answer: np.ndarray
) -> dict[str, Any]:
    """Write a program that runs the C array `array` of the int8 LiteRT file `model` to the new folder `folder`.

    Args:
        array: a C file beside `folder`, by `write_c_array` with the number of bytes of the arena.
        name: of the model, as the array has it.
        sample: float32 (1, ...), for the test; the program quantises it.
        answer: int8; that of tflite-micro.

    Returns {"operators": the names of the file's}. Raises UnknownOperator for one that the resolver does not have.
    """
    names = operator_names(model.read_bytes())
    calls = [f"resolver.{method}() == kTfLiteOk" for method in resolver_methods(names)]
    symbol = c_symbol(name)
    texts = {
        "main.cc": _MAIN.format(
            sample="image" if sample.ndim == 4 else "row",
            header=array.with_suffix(".h").name,
            count=len(calls),
            operators=" &&\n           ".join(calls),
            symbol=symbol,
            macro=symbol.upper(),
        ),
        "test_image.h": _TEST.format(
            what=comment(f"{'An image' if sample.ndim == 4 else 'A row'} for {name}"),
            input=rows(sample.astype(np.float32)),
            output=rows(answer),
        ),
        "CMakeLists.txt": _CMAKE.replace("@SOURCE@", array.name),
    }
    folder.mkdir()
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return {"operators": names}
