"""Runs jobs in a new Python process, where Keras uses TensorFlow whatever backend trained the model.

A converter or a runtime may crash, and they write to the terminal. In a process of its own that costs only one job.
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
    """Run `jobs` one after the other in a new process with `python -m module`, which must call `serve`.

    Returns the result of each, by the names in `jobs`: {"problem": one line} for a job that raised an exception or
    ended the process. After that, another process runs the remaining jobs.
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
    """The other side of `run_jobs`: run the jobs in the folder that `sys.argv` names, and write the results there."""
    folder = Path(sys.argv[1])
    for name, (function, arguments) in json.loads((folder / "jobs").read_text()).items():
        try:
            result = functions[function](**arguments)
        except Exception as error:  # a converter or a runtime may raise anything
            result = {"problem": cause(error)}
        partial = folder / f"{name}.partial"
        partial.write_text(json.dumps(result))
        partial.rename(folder / f"{name}.json")


def _last_words(child: subprocess.CompletedProcess[str]) -> str:
    status = child.returncode
    ended = f"exit status {status}" if status >= 0 else Signals(-status).name
    lines = child.stderr.strip().splitlines() or ["without a word"]
    return f"its process ended with {ended} ({lines[-1][:200]})"
