"""Shared by the sections: the device, the images and the network. Import it before Keras."""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal
from unittest.mock import patch

os.environ.setdefault("KERAS_BACKEND", "jax")

from kerastuna.search.training.device import prepare_environment, software, use_device

prepare_environment("auto")

import jax  # noqa: E402
import keras  # noqa: E402
import keras_tuner  # noqa: E402
import numpy as np  # noqa: E402

from kerastuna.search.datasets.data import load_dataset  # noqa: E402
from kerastuna.search.errors import KerastunaError  # noqa: E402
from kerastuna.spaces.convnet import ConvNet  # noqa: E402
from kerastuna.spaces.references import REFERENCES  # noqa: E402

Form = Literal["convolution", "product"]
"""Of the convolutions in a program: XLA's own, or matrix products."""

_convolution = jax.lax.conv_general_dilated


def convolutions_as(form: Form) -> AbstractContextManager[Any]:
    """Within the block, programs are traced with convolutions of this form."""
    return patch.object(jax.lax, "conv_general_dilated", _as_product) if form == "product" else nullcontext()


def _as_product(
    images: Any,
    kernel: Any,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any = None,
    rhs_dilation: Any = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    **parameters: Any,
) -> Any:
    """A convolution as the product of shifted images, side by side, and the kernel as a matrix (im2col).

    Batched over models, it is a product of batches of matrices, forwards and backwards. Takes batch, rows, columns,
    channels and a kernel of rows, columns, inputs, outputs; others are left to XLA.
    """
    rows, columns, inputs, outputs = kernel.shape
    plain = feature_group_count == 1 and set(rhs_dilation or (1, 1)) == {1} and not lhs_dilation
    if not plain or images.shape[-1] != inputs:
        return _convolution(
            images,
            kernel,
            window_strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            dimension_numbers=dimension_numbers,
            feature_group_count=feature_group_count,
            **parameters,
        )
    down, right = window_strides
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(images.shape[1:3], (rows, columns), window_strides, padding)
    padded = jax.numpy.pad(images, ((0, 0), *padding, (0, 0)))
    height, width = (
        (side - window) // step + 1
        for side, window, step in zip(padded.shape[1:3], (rows, columns), window_strides, strict=True)
    )
    shifted = [
        padded[:, row : row + down * (height - 1) + 1 : down, column : column + right * (width - 1) + 1 : right]
        for row in range(rows)
        for column in range(columns)
    ]
    return jax.numpy.concatenate(shifted, -1) @ kernel.reshape(rows * columns * inputs, outputs)


def hyperparameters(small: bool = False) -> keras_tuner.HyperParameters:
    """The point of `eip_3` in `ConvNet`; if `small`, of a network that compiles in seconds."""
    made = keras_tuner.HyperParameters()
    ConvNet().declare_hyperparameters(made)
    if small:
        values = {"blocks": 2, "block1_conv1": 8, "block2_conv1": 8, "head": "gap"}
        made.values = {hp.name: hp.default for hp in made.space} | values
    else:
        made.values = dict(REFERENCES["eip_3"].values)
    return made


def network(seed: int = 0, small: bool = False) -> keras.Model:
    """`eip_3`, or the small network, from its first weights."""
    keras.utils.set_random_seed(seed)
    return ConvNet().build(hyperparameters(small))


def batch_size() -> int:
    return ConvNet().recipe(hyperparameters()).batch_size


def images(number: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Images (n, 28, 28, 1) and labels (n,), and where they are from: drawn at random where MNIST is not at hand."""
    try:
        data = load_dataset("mnist")
    except KerastunaError as error:
        generator = np.random.default_rng(0)
        drawn = np.divide(generator.integers(0, 256, (number, 28, 28, 1)), np.float32(255), dtype=np.float32)
        return drawn, generator.integers(0, 10, number), f"random, since {error}"
    x, y = (np.concatenate(parts) for parts in ((data.x_train, data.x_validation), (data.y_train, data.y_validation)))
    return np.ascontiguousarray(x[:number]), np.ascontiguousarray(y[:number]), "mnist"


def machine() -> dict[str, Any]:
    """The device and the versions."""
    device = use_device("auto")
    return {"device": f"{device.kind} {device.name}", **software()}


def seconds_of(call: Callable[[], Any]) -> float:
    """How long `call` takes until its results are there."""
    began = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - began
