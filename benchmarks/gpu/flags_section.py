"""What XLA's flags change: seconds to compile `eip_3`, and seconds of an epoch. A process for each set of flags."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Form

COMMAND_BUFFERS = "FUSION,CUBLAS,CUBLASLT,CUDNN,CUSTOM_CALL,DYNAMIC_SLICE_FUSION,CONDITIONAL,WHILE"
FLAGS: dict[str, tuple[Form, str]] = {
    "convolutions": ("convolution", ""),
    "convolutions, the loop as one graph": ("convolution", f"--xla_gpu_enable_command_buffer={COMMAND_BUFFERS}"),
    "convolutions, no search for the fastest kernels": ("convolution", "--xla_gpu_autotune_level=0"),
    "products": ("product", ""),
    "products, the loop as one graph": ("product", f"--xla_gpu_enable_command_buffer={COMMAND_BUFFERS}"),
    "products, without Triton": ("product", "--xla_gpu_enable_triton_gemm=false"),
    "products, without Triton, no search for the fastest kernels": (
        "product",
        "--xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=0",
    ),
}
SECONDS = 60
"""That a set of flags gets."""


def measurements(small: bool, out: Path) -> Iterator[dict[str, Any]]:
    """A line for each set of flags; see `run.py`."""
    for name, (form, flags) in FLAGS.items():
        told = {"what": "flags of XLA", "name": name, "flags": flags}
        environment = os.environ | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()}
        command = [sys.executable, __file__, form, *(["--small"] if small else [])]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            yield told | {"failed": f"stopped after {SECONDS} s"}
            continue
        if done.returncode:
            yield told | {"failed": f"code {done.returncode}: {done.stderr[-400:]}"}
        else:
            yield json.loads(done.stdout.splitlines()[-1]) | told


def main(form: Form) -> None:
    """Train with the flags of this process, and print what it took."""
    from common import images, machine
    from epoch_section import by_the_engine

    small = "--small" in sys.argv
    number, epochs, validated = (200, 2, 100) if small else (60_000, 4, 10_000)
    x, y, source = images(number)
    found = by_the_engine(x, y, (x[:validated], y[:validated]), epochs, form, small)
    print(json.dumps(machine() | {"images": number, "data": source} | found))


if __name__ == "__main__":
    main("product" if sys.argv[1] == "product" else "convolution")
