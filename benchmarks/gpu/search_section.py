"""The search of the full profile: 100 trials of 20 epochs with pruning, and its confirmation."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import machine


def measurements(small: bool, out: Path) -> Iterator[dict[str, Any]]:
    yield machine()
    full = ["--profile", "full", "--trials", "100"]
    less = ["--profile", "quick", "--trials", "2", "--epochs", "1", "--images", "300", "--top", "1", "--seeds", "1"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kerastuna", "search", "--folder", folder, "--json"]
        environment = os.environ | {"KERAS_BACKEND": "jax"}
        for what, more in (("search", ["--no-confirm"]), ("confirmation", [])):
            began = time.perf_counter()
            done = subprocess.run(
                [*command, *(less if small else full), *more],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            found: dict[str, Any] = {"what": what, "seconds": time.perf_counter() - began}
            if done.returncode:
                yield found | {"failed": f"code {done.returncode}: {done.stderr[-400:]}"}
                return
            yield found | {"result": json.loads(done.stdout)}
