"""Converts a model to other formats, in a separate process that `run_jobs` starts."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compat.imports import without_unused_packages
from ..errors import InputError
from ..user_code import find_module
from .process import serve

if TYPE_CHECKING:
    from .folding import Folded


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


@cache
def load_folded(path: str, modules: tuple[str, ...]) -> "Folded":
    """The model as `load_model` loads it, for inference; raises as that does."""
    from .folding import fold  # imports Keras

    return fold(load_model(path, modules))


def savedmodel(model: str, modules: Sequence[str], shape: Sequence[int], path: str) -> Mapping[str, Any]:
    """A SavedModel folder at `path`, whose default signature takes samples (n, *shape)."""
    _export(load_model(model, tuple(modules)), path, "tf_saved_model", (None, *shape))
    return {}


def onnx(model: str, modules: Sequence[str], shape: Sequence[int], path: str) -> Mapping[str, Any]:
    """An ONNX file of the folded model at `path`, which takes samples (n, *shape).

    This and the two below return {"batch_normalizations": {"folded", "remaining"}}, their numbers.
    """
    return _export_folded(model, modules, path, "onnx", (None, *shape))


def litert(model: str, modules: Sequence[str], shape: Sequence[int], path: str) -> Mapping[str, Any]:
    """A LiteRT file of the folded model at `path` in float32, which takes one sample (1, *shape)."""
    import tensorflow as tf

    # Keras would allow TensorFlow's own operators, which LiteRT alone cannot run.
    builtin = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    return _export_folded(model, modules, path, "litert", (1, *shape), target_spec=builtin)


def litert_int8(
    model: str, modules: Sequence[str], shape: Sequence[int], path: str, calibration: str
) -> Mapping[str, Any]:
    """A LiteRT file of the folded model at `path` in int8 throughout, input and output included.

    Its scales come from the samples (n, *shape) in the file `calibration`.
    """
    import tensorflow as tf

    samples = np.load(calibration, allow_pickle=False)

    def representative() -> Iterator[list[np.ndarray]]:
        for sample in samples:
            yield [sample[np.newaxis]]

    return _export_folded(
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


def _export_folded(
    model: str, modules: Sequence[str], path: str, form: str, shape: tuple[int | None, ...], **settings: Any
) -> Mapping[str, Any]:
    folded = load_folded(model, tuple(modules))
    _export(folded.model, path, form, shape, **settings)
    return {"batch_normalizations": {"folded": folded.folded, "remaining": folded.remaining}}


def _export(model: Any, path: str, form: str, shape: tuple[int | None, ...], **settings: Any) -> None:
    import keras

    signature = [keras.InputSpec(shape=shape, dtype="float32")]
    model.export(path, format=form, verbose=False, input_signature=signature, **settings)


if __name__ == "__main__":
    with without_unused_packages():
        import keras  # noqa: F401  every job needs it
    serve({function.__name__: function for function in (savedmodel, onnx, litert, litert_int8)})
