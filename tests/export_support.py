"""Shared by the tests of exports: a source with few small images, an export written by hand, and an ONNX file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerastuna.search.datasets.answers import ClassAnswers
from kerastuna.search.datasets.task import Classification
from kerastuna.search.export.files import file_sum
from kerastuna.search.export.formats import ExportSource
from kerastuna.search.export.manifest import write_manifest

NAME = 'mnist "small" */ 2'  # with all characters that need care in C
SHAPE = (2, 3, 1)
CLASSES = 3


def small_source(model: Path, **changes: Any) -> ExportSource:
    """The file `model`, which may have any content, with ten images of three classes in each part."""
    rng = np.random.default_rng(5)
    fields = {
        "model_path": model,
        "name": NAME,
        "x_validation": rng.random((10, *SHAPE), np.float32),
        "y_validation": np.arange(10, dtype=np.int32) % CLASSES,
        "x_train": rng.random((10, *SHAPE), np.float32),
        "task": Classification(CLASSES),
        "answers": ClassAnswers(CLASSES, logits=False),
        "preprocessing": "none",
        "extra": {"study": "small", "trial": 7},
    }
    return ExportSource(**{**fields, **changes})


def write_export(folder: Path, files: Mapping[str, list[str]]) -> Path:
    """An export whose manifest lists `files`, the paths for each format; those that are missing are made, as text."""
    for path in (folder / path for paths in files.values() for path in paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(f"export {path.name}")
    formats = {name: {"files": {path: file_sum(folder / path) for path in paths}} for name, paths in files.items()}
    write_manifest(folder, {"name": NAME, "formats": formats})
    return folder


def write_onnx(path: Path, kernel: np.ndarray) -> None:
    """The softmax of the pixels of an image times `kernel`, float32 (pixels, classes)."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    nodes = [
        helper.make_node("Flatten", ["images"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "kernel"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", *SHAPE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", kernel.shape[1]])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    save(model, path)


def answers_of_int8_file(path: Path, x: np.ndarray) -> np.ndarray:
    """What a LiteRT file in int8 answers to samples, as real numbers: read here without anything of the package."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    (scale, zero), (step, nothing) = source["quantization"], answer["quantization"]
    given = []
    for sample in x:
        interpreter.set_tensor(
            source["index"], np.clip(np.round(sample[None] / scale) + zero, -128, 127).astype("int8")
        )
        interpreter.invoke()
        given.append(step * (interpreter.get_tensor(answer["index"]).astype(float) - nothing))
    return np.concatenate(given)
