"""Work in a fresh Python process, under TensorFlow whatever trained the model.

A conversion or a runtime may crash on what it is given, and they all write to the terminal: here that costs one job.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from signal import Signals
from tempfile import TemporaryDirectory
from typing import Any

from ..messages import cause

Job = tuple[str, Mapping[str, Any]]
"""The name of a function of the module, and its arguments (JSON-able)."""


def run_jobs(module: str, jobs: Mapping[str, Job]) -> dict[str, Mapping[str, Any]]:
    """Run `jobs` one after the other in a fresh process with `python -m module`, which must call `serve`.

    Returns what each gave, by the names in `jobs`; {"problem": one line} for one that raised or took the process down,
    after which another process does the rest.
    """
    environment = os.environ | {
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    results: dict[str, Mapping[str, Any]] = {}
    with TemporaryDirectory() as folder:
        while pending := {name: job for name, job in jobs.items() if name not in results}:
            Path(folder, "jobs").write_text(json.dumps(pending))
            command = [sys.executable, "-P", "-m", module, folder]
            child = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
            )
            for name in pending:
                answer = Path(folder, f"{name}.json")
                if not answer.exists():
                    results[name] = {"problem": _last_words(child)}
                    break
                results[name] = json.loads(answer.read_text())
    return results


def serve(functions: Mapping[str, Callable[..., Mapping[str, Any]]]) -> None:
    """The other side of `run_jobs`: run what the folder in `sys.argv` asks for, and leave the answers there."""
    folder = Path(sys.argv[1])
    for name, (function, arguments) in json.loads((folder / "jobs").read_text()).items():
        try:
            result = functions[function](**arguments)
        except Exception as error:  # whatever a converter or a runtime raises is its answer
            result = {"problem": cause(error)}
        partial = folder / f"{name}.partial"
        partial.write_text(json.dumps(result))
        partial.rename(folder / f"{name}.json")


def _last_words(child: subprocess.CompletedProcess[str]) -> str:
    status = child.returncode
    ended = f"exit status {status}" if status >= 0 else Signals(-status).name
    lines = child.stderr.strip().splitlines() or ["without a word"]
    return f"its process ended with {ended} ({lines[-1][:200]})"
