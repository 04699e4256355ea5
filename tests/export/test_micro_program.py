"""The program for TensorFlow Lite Micro: what it holds and, with the sources at hand, what it prints.

To build and run it, set KERASTUNA_TFLITE_MICRO to a checkout of tflite-micro with its library:
make -f tensorflow/lite/micro/tools/make/Makefile microlite
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from export_support import NAME
from keras import layers

from kerastuna.search.datasets.answers import ClassAnswers
from kerastuna.search.export.arena import least_arenas
from kerastuna.search.export.c_array import c_symbol, write_c_array
from kerastuna.search.export.formats import MICRO, missing_packages
from kerastuna.search.export.int8_file import UnknownOperator
from kerastuna.search.export.micro_program import resolver_methods
from kerastuna.search.export.runtimes import _micro_interpreter, micro_program, quantization, quantize
from kerastuna.search.export.writers import litert_int8

if missing_packages((MICRO,)):
    pytest.skip("there is no tflite-micro", allow_module_level=True)

SOURCES = os.environ.get("KERASTUNA_TFLITE_MICRO", "")
MACRO = c_symbol(NAME).upper()
OPERATORS = [
    *("ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "LOGISTIC", "MAX_POOL_2D"),
    *("MEAN", "MUL", "PAD", "RESHAPE", "SOFTMAX", "TANH"),
]


def network() -> Any:
    """Every operator that a network of the spaces can have, but for the maximum of a map; and padding of its own."""
    given = keras.Input((11, 9, 2))
    x = layers.Conv2D(4, 3, padding="same", strides=2, activation="relu")(layers.ZeroPadding2D(1)(given))
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)])
    x = layers.MaxPooling2D(2, strides=1)(layers.AveragePooling2D(2, strides=1, padding="same")(x))
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(4, 2, padding="same", activation="tanh")(x)
    mean, flat = layers.GlobalAveragePooling2D()(x), layers.Flatten()(x)
    joined = layers.Add()([layers.Dense(6)(mean), layers.Dense(6, activation="sigmoid")(flat)])
    return keras.Model(given, layers.Dense(5, activation="softmax")(joined))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, dict[str, Any]]:
    """A folder with an int8 file, its C array and the program; the test's input, and what the writer returned."""
    folder = tmp_path_factory.mktemp("micro")
    model = network()
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.uniform(0.2 if "variance" in weight.name else -0.8, 0.9, weight.shape))
    samples = rng.normal(size=(50, *model.input_shape[1:])).astype("float32")
    np.save(folder / "samples.npy", samples)
    np.save(folder / "one.npy", samples[:1])
    model.save(folder / "model.keras")
    file, array = folder / "model_int8.tflite", folder / "model_int8.c"
    litert_int8(str(folder / "model.keras"), (), samples.shape[1:], str(file), str(folder / "samples.npy"))
    made = micro_program(str(file), str(folder / "program"), str(folder / "one.npy"), str(array), NAME)
    told = {**made, **least_arenas({"file": file})["file"]}
    write_c_array(
        file,
        array,
        name=NAME,
        shape=samples.shape[1:],
        answers=ClassAnswers(5, logits=False),
        preprocessing="none",
        quantization=quantization(str(file)),
        arena_bytes=told["arena_bytes"],
    )
    return folder, samples[:1], told


def test_the_resolver_has_the_operators_of_the_file_and_no_others(
    written: tuple[Path, np.ndarray, dict[str, Any]],
) -> None:
    folder, _, told = written
    assert told["operators"] == OPERATORS
    main = (folder / "program" / "main.cc").read_text()
    added = re.findall(r"resolver\.Add(\w+)\(\) == kTfLiteOk", main)
    assert [name.upper() for name in added] == [name.replace("_", "") for name in OPERATORS]
    assert f"MicroMutableOpResolver<{len(OPERATORS)}>" in main
    assert f"uint8_t arena[{MACRO}_ARENA_BYTES]" in main
    assert f"tflite::GetModel({c_symbol(NAME)})" in main
    assert '#include "model_int8.h"' in main
    assert "add_executable(network main.cc ../model_int8.c)" in (folder / "program" / "CMakeLists.txt").read_text()


def test_the_test_image_has_the_answer_of_tflite_micro(written: tuple[Path, np.ndarray, dict[str, Any]]) -> None:
    folder, sample, _ = written
    text = (folder / "program" / "test_image.h").read_text()
    given, answer = (re.findall(r"[-\d.e]+", part) for part in re.findall(r"\{\n(.*?)\}", text, re.DOTALL))
    assert np.array_equal(np.array(given, np.float32), sample.reshape(-1))
    micro = _micro_interpreter(str(folder / "model_int8.tflite"))
    scale = quantization(str(folder / "model_int8.tflite"))["input"]
    micro.set_input(quantize(sample, scale["scale"], scale["zero_point"]), 0)
    micro.invoke()
    assert [int(value) for value in answer] == micro.get_output(0).reshape(-1).tolist()
    assert len(set(answer)) > 1


def test_the_header_has_the_arena_which_can_be_set(written: tuple[Path, np.ndarray, dict[str, Any]]) -> None:
    folder, _, told = written
    expected = f"#ifndef {MACRO}_ARENA_BYTES\n#define {MACRO}_ARENA_BYTES {told['arena_bytes']}\n#endif\n"
    assert expected in (folder / "model_int8.h").read_text()


def test_an_operator_without_a_method_leaves_the_program_out(
    written: tuple[Path, np.ndarray, dict[str, Any]], tmp_path: Path
) -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    why = "the resolver of TensorFlow Lite Micro has no method for the operator GELU"
    with pytest.raises(UnknownOperator, match=why):
        resolver_methods(["CONV_2D", "GELU"])
    folder = written[0]
    file: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs((folder / "model_int8.tflite").read_bytes(), 0))
    file.operatorCodes[-1].builtinCode = schema.BuiltinOperator.GELU
    builder = flatbuffers.Builder()
    builder.Finish(file.Pack(builder), b"TFL3")
    (tmp_path / "gelu.tflite").write_bytes(builder.Output())
    paths = (str(tmp_path / "gelu.tflite"), str(tmp_path / "program"), str(folder / "one.npy"))
    assert micro_program(*paths, str(tmp_path / "array.c"), NAME) == {"left_out": why}
    assert not (tmp_path / "program").exists()


@pytest.mark.skipif(not SOURCES, reason="KERASTUNA_TFLITE_MICRO names no checkout of tflite-micro")
def test_every_method_is_one_of_the_resolver() -> None:
    header = Path(SOURCES, "tensorflow/lite/micro/micro_mutable_op_resolver.h").read_text()
    added = r"TfLiteStatus Add(\w+)\((?:(?!TfLiteStatus).)*?return AddBuiltin\(\s*BuiltinOperator_(\w+)"
    of_variables = {"ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"}
    methods = {name: f"Add{method}" for method, name in re.findall(added, header, re.DOTALL)}
    assert len(methods) > 90
    names = [name for name in methods if name not in of_variables]
    assert resolver_methods(names) == [methods[name] for name in names]
    for name in of_variables:
        with pytest.raises(UnknownOperator):
            resolver_methods([name])


@pytest.mark.skipif(not SOURCES, reason="KERASTUNA_TFLITE_MICRO names no checkout of tflite-micro")
def test_the_program_is_built_and_gives_the_expected_answer(
    written: tuple[Path, np.ndarray, dict[str, Any]], tmp_path: Path
) -> None:
    folder = shutil.copytree(written[0], tmp_path / "copied")
    build = tmp_path / "build"
    command = ["cmake", "-S", folder / "program", "-B", build]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode
    assert "-DTFLITE_MICRO_DIR=" in refused.stderr

    def ran(*options: str) -> tuple[int, list[str]]:
        strict = "-Wall -Wextra -pedantic -Werror"
        given = [f"-DTFLITE_MICRO_DIR={SOURCES}", f"-DCMAKE_CXX_FLAGS={strict} {' '.join(options)}"]
        subprocess.run([*command, *given], check=True, capture_output=True)
        subprocess.run(["cmake", "--build", build], check=True, capture_output=True)
        done = subprocess.run([build / "network"], capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()

    test = folder / "program" / "test_image.h"
    head, tail = test.read_text().rsplit("{", 1)
    status, lines = ran()
    assert (status, lines[-1]) == (0, "as expected")
    assert lines[0].split() == re.findall(r"-?\d+", tail)
    assert re.fullmatch(rf"arena: \d+ of {written[2]['arena_bytes']} bytes are used", lines[1])
    status, lines = ran(f"-D{MACRO}_ARENA_BYTES=900")
    assert status == 1
    assert lines == [f"WRONG: no memory for the tensors; define {MACRO}_ARENA_BYTES as a larger number"]
    test.write_text(f"{head}{{{tail.replace(',', '+1,', 1)}")
    status, lines = ran()
    assert (status, lines[-1]) == (1, "WRONG: 1 values are not as expected")
