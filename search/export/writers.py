"""Converts a model to other formats, in a separate process that `run_jobs` starts."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from ..errors import InputError
from ..user_code import find_module
from .process import serve


@cache
def load_model(path: str, modules: tuple[str, ...]) -> Any:
    """The model in the file `path`, not compiled, after importing `modules`, which may be in the working folder.

    Raises InputError for a module that does not exist.
    """
    for module in modules:
        find_module(module, f"the model {path}", InputError)
        import_module(module)
    import keras

    return keras.saving.load_model(path, compile=False)


def savedmodel(model: str, modules: Sequence[str], shape: Sequence[int], path: str) -> Mapping[str, Any]:
    """A SavedModel folder at `path`, whose default signature takes samples (n, *shape)."""
    _export(model, modules, path, "tf_saved_model", (None, *shape))
    return {}


def onnx(model: str, modules: Sequence[str], shape: Sequence[int], path: str) -> Mapping[str, Any]:
    """An ONNX file at `path`, which takes samples (n, *shape)."""
    _export(model, modules, path, "onnx", (None, *shape))
    return {}


def litert(model: str, modules: Sequence[str], shape: Sequence[int], path: str) -> Mapping[str, Any]:
    """A LiteRT file at `path` in float32, which takes one sample (1, *shape)."""
    import tensorflow as tf

    # Keras would allow TensorFlow's own operators, which LiteRT alone cannot run.
    builtin = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    _export(model, modules, path, "litert", (1, *shape), target_spec=builtin)
    return {}


def litert_int8(
    model: str, modules: Sequence[str], shape: Sequence[int], path: str, calibration: str
) -> Mapping[str, Any]:
    """A LiteRT file at `path` in int8 throughout, input and output included.

    Its scales come from the samples (n, *shape) in the file `calibration`.
    """
    import tensorflow as tf

    samples = np.load(calibration, allow_pickle=False)

    def representative() -> Iterator[list[np.ndarray]]:
        for sample in samples:
            yield [sample[np.newaxis]]

    _export(
        model,
        modules,
        path,
        "litert",
        (1, *shape),
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=representative,
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    return {}


def _export(
    model: str, modules: Sequence[str], path: str, form: str, shape: tuple[int | None, ...], **settings: Any
) -> None:
    loaded = load_model(model, tuple(modules))
    import keras

    signature = [keras.InputSpec(shape=shape, dtype="float32")]
    loaded.export(path, format=form, verbose=False, input_signature=signature, **settings)


if __name__ == "__main__":
    serve({function.__name__: function for function in (savedmodel, onnx, litert, litert_int8)})
