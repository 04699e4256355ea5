"""The section of a model card on loading the model, with code for each format."""

import shlex

from ..datasets.task import Regression
from ..export.formats import FORMATS
from .markdown import code, section
from .model_card_values import Record, meaning_of_answers, sample_in, task_in, unit_in

CODE = {
    "keras": """\
import keras

model = keras.saving.load_model("{path}")
{answers} = model.predict({inputs})""",
    "savedmodel": """\
import tensorflow as tf

model = tf.saved_model.load("{path}")
{answers} = model.serve({inputs}).numpy()""",
    "onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession("{path}")
({answers},) = session.run(None, {{session.get_inputs()[0].name: {inputs}}})""",
    "litert": """\
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("{path}")  # takes one {sample} at a time
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], {inputs}[:1])
interpreter.invoke()
{answers} = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])""",
    "litert_int8": """\
import numpy as np
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("{path}")  # takes one {sample} at a time, int8 in and out
interpreter.allocate_tensors()
given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
scale, zero_point = given["quantization"]
quantised = np.clip(np.round({inputs}[:1] / scale) + zero_point, -128, 127).astype(np.int8)
interpreter.set_tensor(given["index"], quantised)
interpreter.invoke()
scale, zero_point = answer["quantization"]
{answers} = (interpreter.get_tensor(answer["index"]).astype(np.float32) - zero_point) * scale""",
}
"""Code to load each format that Python can run.

{path} is the path of its file in the export; {inputs} and {answers} are names of variables; {sample} is what one of the
inputs is called.
"""
_REGISTERED = """\
import mlflow

mlflow.set_tracking_uri({tracking_uri!r})
model = mlflow.keras.load_model({model!r})
{answers} = model.predict({inputs})"""


def loading(record: Record, tracking_uri: str) -> str:
    """The section on loading. `tracking_uri` must not contain a password: it is shown as it is."""
    shape = ", ".join(map(str, record["data"]["input_shape"]))
    inputs, sample = unit_in(record), sample_in(record)
    names = {"inputs": inputs, "answers": _answers(record), "sample": sample}
    blocks = [
        part
        for name, lines in CODE.items()
        for part in (f"**{name}**", code("python", lines.format(path=FORMATS[name].path, **names)))
    ]
    registered = {"tracking_uri": tracking_uri, "model": record["mlflow"]["model"]}
    one = f"{'an' if sample == 'image' else 'a'} {sample}"
    return section(
        "How to load it",
        f"`{inputs}` are float32 (n, {shape}), preprocessed as above. From the MLflow registry:",
        code("python", _REGISTERED.format(**registered, **names)),
        "This writes other formats and checks that they give the same answers:",
        code("sh", f"kerastuna export --study {shlex.quote(record['study'])}"),
        *blocks,
        "**c_array**",
        f"`{FORMATS['c_array'].path}` and its header hold litert_int8 for TensorFlow Lite Micro; the header "
        f"shows how to quantise {one}. `tflite_micro/` has a program that runs them on {one} with a known answer; "
        "its `CMakeLists.txt` says how to build it.",
        "**c_program**",
        f"`{FORMATS['c_program'].path}` is the same network as C code that needs no runtime: `network_run` of its "
        "`network.h`, and a test with a known answer.",
        code("sh", f"cd {FORMATS['c_program'].path} && cc -std=c99 -O2 main.c network.c && ./a.out"),
    )


def _answers(record: Record) -> str:
    """The name of a variable that holds the answers."""
    if isinstance(task_in(record), Regression):
        return "numbers"
    return "logits" if "logit" in meaning_of_answers(record) else "probabilities"
