"""Shared by the sections: the device, the images and the network. Import it before Keras."""

import os
import time
from collections.abc import Callable
from typing import Any

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
