"""Runs an exported file in the runtime of its format, in a separate process that `run_jobs` starts."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..captured_output import captured_stderr
from ..compat.imports import without_unused_packages
from .arena import MOST_ARENA_BYTES
from .c_program import CompiledProgram, write_c_program
from .formats import MICRO, missing_packages
from .int8_file import UnknownOperator, operator_names
from .micro_program import resolver_methods, write_micro_program
from .process import serve
from .writers import load_model

Predict = Callable[[np.ndarray], np.ndarray]
"""Samples float32 (n, ...) to the answers of the model, (n,) or (n, k)."""
BATCH = 256
WARM_UP_CALLS = 20
TIMED_CALLS = 200
TIMING = f"one sample at a time on one CPU thread, median of {TIMED_CALLS} calls after {WARM_UP_CALLS} to warm up"


def evaluate(runtime: str, path: str, samples: str, answers: str, modules: Sequence[str]) -> Mapping[str, Any]:
    """Run the file `path` over the samples in the file `samples`, and write its answers to the file `answers`.

    Returns {"runtime": its name and version, "milliseconds_per_image": by `TIMING`}.
    """
    x = np.load(samples, mmap_mode="r", allow_pickle=False)
    open_file, batch = RUNTIMES[runtime]
    name, predict = open_file(path, tuple(modules))
    given = [np.asarray(predict(np.asarray(x[start : start + batch]))) for start in range(0, len(x), batch)]
    np.save(answers, np.concatenate(given).astype(np.float32), allow_pickle=False)
    return {"runtime": name, "milliseconds_per_image": _milliseconds(predict, x)}


def kept_arena(path: str) -> Mapping[str, Any]:
    """{"bytes"}: of an arena, what tflite-micro keeps of it for the LiteRT file `path`. To begin may take more."""
    micro = _micro_interpreter(path)
    details = micro.get_input_details(0)
    micro.set_input(np.zeros(details["shape"], details["dtype"]), 0)
    micro.invoke()
    with captured_stderr() as printed:
        micro.print_allocations()
    found = re.search(r"Arena allocation total (\d+) bytes", printed.getvalue())
    if found is None:
        raise ValueError(f"tflite-micro printed no total of its arena but {printed.getvalue()[:100]!r}")
    return {"bytes": int(found[1])}


def quantization(path: str) -> Mapping[str, Any]:
    """{"input", "output"}, each {"scale", "zero_point"}, of an int8 LiteRT file; raises ValueError for another type."""
    interpreter = _litert_interpreter(path)
    ends = {"input": interpreter.get_input_details()[0], "output": interpreter.get_output_details()[0]}
    if any(end["dtype"] != np.int8 for end in ends.values()):
        raise ValueError("its input or output is not int8")
    scales = {name: end["quantization"] for name, end in ends.items()}
    return {name: {"scale": float(scale), "zero_point": int(zero)} for name, (scale, zero) in scales.items()}


def run_in(path: str, size: int) -> Mapping[str, Any]:
    """{} if tflite-micro runs the LiteRT file `path` in an arena of `size` bytes.

    Otherwise it raises an exception, or ends the process.
    """
    micro = _micro_interpreter(path, size)
    details = micro.get_input_details(0)
    micro.set_input(np.zeros(details["shape"], details["dtype"]), 0)
    micro.invoke()
    return {}


def c_program(path: str, folder: str, sample: str, what: str, **in_words: str) -> Mapping[str, Any]:
    """Write the int8 LiteRT file `path` as a C program to `folder`, with the file `sample` of one sample as its test.

    `in_words` are the last arguments of `write_c_program`.

    Returns what `write_c_program` returns; {"left_out": why} if the program cannot have an operator of the network, or
    tflite-micro is not there, whose answers it must give.
    """
    if missing := missing_packages((MICRO,)):
        return {"left_out": missing}
    values, answer = _micro_answer(path, np.load(sample, allow_pickle=False))
    try:
        return write_c_program(Path(path), Path(folder), what, values, answer, **in_words)
    except UnknownOperator as error:
        return {"left_out": str(error)}


def micro_program(path: str, folder: str, sample: str, array: str, name: str) -> Mapping[str, Any]:
    """Write a program for the C array `array` of the int8 LiteRT file `path` to `folder`; `sample` as in `c_program`.

    Returns what `write_micro_program` returns; {"left_out": why} as `c_program` does.
    """
    if missing := missing_packages((MICRO,)):
        return {"left_out": missing}
    real = np.load(sample, allow_pickle=False)
    try:
        resolver_methods(operator_names(Path(path).read_bytes()))
        _, answer = _micro_answer(path, real)
        return write_micro_program(Path(path), Path(folder), Path(array), name, real, answer)
    except UnknownOperator as error:
        return {"left_out": str(error)}


def _micro_answer(path: str, sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One float32 sample in int8, and the int8 answer of tflite-micro."""
    micro = _micro_interpreter(path)
    quantization = micro.get_input_details(0)["quantization_parameters"]
    values = quantize(sample, quantization["scales"][0], quantization["zero_points"][0])
    micro.set_input(values, 0)
    micro.invoke()
    return values, micro.get_output(0)


def quantize(x: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Real numbers to int8, by the rule in the manifest."""
    return np.clip(np.round(x / scale) + zero_point, -128, 127).astype(np.int8)


def dequantize(q: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Int8 to real numbers."""
    return (q.astype(np.float32) - zero_point) * np.float32(scale)


def _open_keras(path: str, modules: tuple[str, ...]) -> tuple[str, Predict]:
    with without_unused_packages():
        import keras

    tensorflow = _single_threaded_tensorflow()
    return f"Keras {keras.__version__} on {tensorflow}", load_model(path, modules).predict_on_batch


def _open_savedmodel(path: str, _: tuple[str, ...]) -> tuple[str, Predict]:
    with without_unused_packages():
        import tensorflow as tf

    tensorflow = _single_threaded_tensorflow()
    loaded: Any = tf.saved_model.load(path)

    def predict(x: np.ndarray) -> np.ndarray:
        signature = loaded.signatures["serving_default"]  # `loaded` owns the variables, the signature does not
        (argument,) = signature.structured_input_signature[1]
        (answer,) = signature(**{argument: tf.constant(x)}).values()
        return answer.numpy()

    return tensorflow, predict


def _single_threaded_tensorflow() -> str:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    return f"TensorFlow {tf.__version__}"


def _open_onnx(path: str, _: tuple[str, ...]) -> tuple[str, Predict]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (argument,) = session.get_inputs()
    return f"ONNX Runtime {onnxruntime.__version__}", lambda x: np.asarray(session.run(None, {argument.name: x})[0])


def _open_litert(path: str, _: tuple[str, ...]) -> tuple[str, Predict]:
    interpreter = _litert_interpreter(path)
    (argument,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(argument["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])

    predict = run
    if argument["dtype"] == np.int8:
        predict = _real(run, argument["quantization"], answer["quantization"])
    return f"LiteRT {version('ai-edge-litert')}", predict


def _open_c_program(path: str, _: tuple[str, ...]) -> tuple[str, Predict]:
    program = CompiledProgram(Path(path))
    return program.compiler, _real(program.run, program.input, program.output)


def _open_tflite_micro(path: str, _: tuple[str, ...]) -> tuple[str, Predict]:
    micro = _micro_interpreter(path)

    def run(x: np.ndarray) -> np.ndarray:
        micro.set_input(x, 0)
        micro.invoke()
        return micro.get_output(0)

    ends = [
        micro.get_input_details(0)["quantization_parameters"],
        micro.get_output_details(0)["quantization_parameters"],
    ]
    scales = [(end["scales"][0], end["zero_points"][0]) for end in ends]
    return f"tflite-micro {version('tflite-micro')}", _real(run, *scales)


RUNTIMES: Mapping[str, tuple[Callable[[str, tuple[str, ...]], tuple[str, Predict]], int]] = {
    "keras": (_open_keras, BATCH),
    "savedmodel": (_open_savedmodel, BATCH),
    "onnx": (_open_onnx, BATCH),
    "litert": (_open_litert, 1),  # its files take one sample, as a microcontroller does
    "tflite_micro": (_open_tflite_micro, 1),
    "c_program": (_open_c_program, 1),
}


def _real(run: Predict, argument: tuple[float, int], answer: tuple[float, int]) -> Predict:
    """A function of real numbers around `run`, which takes and returns int8; needs scale and zero point of both."""
    return lambda x: dequantize(run(quantize(x, *argument)), *answer)


def _litert_interpreter(path: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def _micro_interpreter(path: str, arena_bytes: int = MOST_ARENA_BYTES) -> Any:
    from tflite_micro.python.tflite_micro import runtime

    return runtime.Interpreter.from_file(path, arena_size=arena_bytes)


def _milliseconds(predict: Predict, x: np.ndarray) -> float:
    seconds = []
    for call in range(WARM_UP_CALLS + TIMED_CALLS):
        index = call % len(x)
        sample = np.asarray(x[index : index + 1])
        began = time.perf_counter()
        predict(sample)
        seconds.append(time.perf_counter() - began)
    return round(1000 * median(seconds[WARM_UP_CALLS:]), 4)


if __name__ == "__main__":
    serve(
        {
            function.__name__: function
            for function in (evaluate, c_program, kept_arena, micro_program, quantization, run_in)
        }
    )
