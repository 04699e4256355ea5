"""Which processor trains: chosen by the user, found, and tested with a convolution before a search relies on it."""

import os
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, final, get_args

from ..captured_output import captured_stderr
from ..compat.imports import backend_to_be
from ..errors import DeviceError
from ..messages import cause, shortened

DeviceChoice = Literal["auto", "gpu", "cpu"]
_PACKAGES = ("kerastuna", "keras", "keras-tuner", "optuna", "mlflow", "numpy")
_GPU_NODES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


@final
@dataclass(frozen=True)
class Device:
    """The processor that trains.

    Attributes:
        kind: "gpu" or "cpu".
        name: as its driver or the system calls it.
        backend: Keras's backend and its version.
        note: why it is not a GPU, if the user left the choice open; empty otherwise.
    """

    kind: Literal["gpu", "cpu"]
    name: str
    backend: str
    note: str = ""


def check_device(choice: str) -> None:
    """Refuse an unknown or missing device at once, without importing Keras; raises DeviceError."""
    if choice not in get_args(DeviceChoice):
        raise DeviceError(f"device {choice!r} is unknown: choose one of {', '.join(get_args(DeviceChoice))}")
    if choice == "gpu" and not _gpu_is_conceivable():
        raise DeviceError(
            "device 'gpu' was asked for, but this machine shows none (no driver under /dev): install its driver, or "
            "use --device auto or cpu"
        )


def prepare_environment(choice: str) -> None:
    """Make the settings that the backends read when they are imported: call it before Keras is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX: memory growth
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # TensorFlow: the same
    if backend_to_be() != "tensorflow":
        # Keras imports TensorFlow if it is installed, only to set its seed. That takes seconds and memory of the GPU.
        sys.modules.setdefault("tensorflow", None)  # type: ignore[arg-type]
    if trains_on_cpu(choice):
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ.setdefault("JAX_PLATFORMS", "cpu")


def use_device(choice: str) -> Device:
    """The processor to train on; a GPU is tested with one convolution.

    Raises DeviceError if `choice` is "gpu" and there is none, or it fails.
    """
    import_keras()

    backend = software()["backend"]
    if choice == "cpu":
        return Device("cpu", _cpu_name(), backend)
    problem = "Keras finds no GPU"
    if gpus():
        try:
            _convolve()
            return Device("gpu", _gpu_name(), backend)
        except Exception as error:
            problem = f"the GPU failed at a convolution ({shortened(cause(error), 150)})"
    if choice == "gpu":
        raise DeviceError(
            f"device 'gpu' was asked for, but {problem}: check the driver and the installed extra (gpu or jax), or use "
            "--device auto or cpu"
        )
    return Device("cpu", _cpu_name(), backend, note=problem)


def import_keras() -> None:
    """Import Keras and its backend; what TensorFlow's C++ code writes to the terminal is shown only on failure."""
    with captured_stderr():
        import keras  # noqa: F401


def trains_on_cpu(choice: str) -> bool:
    """Whether it is certain, before Keras is imported, that a CPU trains."""
    return choice == "cpu" or not _gpu_is_conceivable()


def _gpu_is_conceivable() -> bool:
    return not sys.platform.startswith("linux") or any(map(os.path.exists, _GPU_NODES))


def gpus() -> int:
    """The number of GPUs that Keras finds."""
    import keras

    try:
        return len(keras.distribution.list_devices("gpu"))
    except RuntimeError:  # JAX raises for a kind of device of which it has none
        return 0


def _convolve() -> None:
    import numpy as np
    from keras import ops

    images, kernel = ops.ones((2, 8, 8, 3)), ops.ones((3, 3, 3, 4))
    result = np.asarray(ops.convert_to_numpy(ops.conv(images, kernel)))
    if result.shape != (2, 6, 6, 4) or not (result == 27).all():
        raise ArithmeticError("a convolution of ones did not give 27")


def software() -> dict[str, str]:
    """What trains, for the record: Keras's backend and its version, and the versions of the packages."""
    import keras

    return {
        "backend": f"{keras.backend.backend()} {_backend_version()}",
        "versions": ", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    }


def _backend_version() -> str:
    import keras

    module = sys.modules.get(keras.backend.backend())
    return str(getattr(module, "__version__", ""))


def _gpu_name() -> str:
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        gpu = tf.config.list_physical_devices("GPU")[0]
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    if keras.backend.backend() == "jax":
        import jax  # an extra

        return str(jax.devices("gpu")[0].device_kind)
    return str(keras.distribution.list_devices("gpu")[0])


def _cpu_name() -> str:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        model = platform.machine()
    return f"{model}, {count} cores"
