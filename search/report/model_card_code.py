"""The section of a model card on loading the model, with code for each format."""

import shlex
from collections.abc import Mapping
from typing import Any

from ..export.formats import FORMATS
from .markdown import code, section

CODE = {
    "keras": """\
import keras

model = keras.saving.load_model("{path}")
probabilities = model.predict(images)""",
    "savedmodel": """\
import tensorflow as tf

model = tf.saved_model.load("{path}")
probabilities = model.serve(images).numpy()""",
    "onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession("{path}")
(probabilities,) = session.run(None, {{session.get_inputs()[0].name: images}})""",
    "litert": """\
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("{path}")  # takes one image at a time
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images[:1])
interpreter.invoke()
probabilities = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])""",
    "litert_int8": """\
import numpy as np
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("{path}")  # takes one image at a time, int8 in and out
interpreter.allocate_tensors()
given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
scale, zero_point = given["quantization"]
pixels = np.clip(np.round(images[:1] / scale) + zero_point, -128, 127).astype(np.int8)
interpreter.set_tensor(given["index"], pixels)
interpreter.invoke()
scale, zero_point = answer["quantization"]
probabilities = (interpreter.get_tensor(answer["index"]).astype(np.float32) - zero_point) * scale""",
}
"""Code to load each format that Python can run; {path} is the path of its file in the export."""
_REGISTERED = """\
import mlflow

mlflow.set_tracking_uri({tracking_uri!r})
model = mlflow.keras.load_model({model!r})
probabilities = model.predict(images)"""


def loading(record: Mapping[str, Any], tracking_uri: str) -> str:
    """The section on loading. `tracking_uri` must not contain a password: it is shown as it is."""
    shape = ", ".join(map(str, record["data"]["input_shape"]))
    blocks = [
        part
        for name, lines in CODE.items()
        for part in (f"**{name}**", code("python", lines.format(path=FORMATS[name].path)))
    ]
    return section(
        "How to load it",
        f"`images` are float32 (n, {shape}), preprocessed as above. From the MLflow registry:",
        code("python", _REGISTERED.format(tracking_uri=tracking_uri, model=record["mlflow"]["model"])),
        "This writes other formats and checks that they give the same answers:",
        code("sh", f"kerastuna export --study {shlex.quote(record['study'])}"),
        *blocks,
        "**c_array**",
        f"`{FORMATS['c_array'].path}` and its header hold litert_int8 for TensorFlow Lite Micro; the header "
        "shows how to quantise an image.",
    )
