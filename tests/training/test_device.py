"""What trains: a GPU that works, or the CPU, and never a promise that is not kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerastuna.search.errors import DeviceError
from kerastuna.search.training import device
from kerastuna.search.training.device import check_device, use_device

NO_DRIVER = not any(map(os.path.exists, ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")))


def test_the_cpu_is_named_with_its_backend():
    device = use_device("cpu")
    assert device.kind == "cpu"
    assert device.name.endswith(" cores")
    assert device.backend.startswith("tensorflow 2.")
    assert device.note == ""


@pytest.mark.skipif(not NO_DRIVER, reason="this machine has a GPU driver")
def test_without_a_gpu_auto_says_so_and_gpu_is_refused():
    assert use_device("auto").note == "Keras finds no GPU"
    with pytest.raises(DeviceError, match=r"'gpu' was asked for, but Keras finds no GPU.*--device auto"):
        use_device("gpu")
    with pytest.raises(DeviceError, match="this machine shows none"):
        check_device("gpu")


def test_a_gpu_that_fails_without_a_word_is_passed_over(monkeypatch: pytest.MonkeyPatch):
    def fails() -> None:
        raise MemoryError

    monkeypatch.setattr(device, "gpus", lambda: 1)
    monkeypatch.setattr(device, "_convolve", fails)
    assert use_device("auto").note == "the GPU failed at a convolution (MemoryError)"


@pytest.mark.parametrize(("backend", "blocked"), [("jax", True), ("tensorflow", False)])
def test_another_backend_never_imports_tensorflow(tmp_path: Path, backend: str, blocked: bool):
    program = """
import importlib.util, sys
from kerastuna.search.training.device import prepare_environment
prepare_environment("cpu")
try:
    import tensorflow
    print("imported")
except ImportError:
    print("blocked")
"""
    told = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"KERAS_BACKEND": backend},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.stdout.strip() == ("blocked" if blocked else "imported")
