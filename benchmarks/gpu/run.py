"""What one GPU gives: seven sections, each in a process of its own, so that the failure of one leaves the others.

    KERAS_BACKEND=jax python benchmarks/gpu/run.py --out DIR [--only bare epoch ...] [--small]

bare     an empty compiled call, and the reference network `eip_3` in JAX alone, without Keras, to compare with
epoch    20 epochs of `eip_3` with 60,000 images by Kerastuna's engine, what compiling costs, cold and from the disk,
         and Keras's own `fit` beside it
flags    the same with flags of XLA
kernels  what runs on the GPU in a training step, longest first
seeds    several seeds of `eip_3` in one program, with convolutions as they are and as products of matrices
workers  epochs a minute against the number of workers on one GPU, with NVIDIA's Multi-Process Service too
search   `kerastuna search --profile full` with 100 trials and their confirmation

Every line printed is JSON, and is kept in DIR/SECTION.jsonl. `--small` tries everything out on a CPU in some minutes.
"""

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

SECTIONS = ("bare", "epoch", "flags", "kernels", "seeds", "workers", "search")
GRACE_SECONDS = 30
"""For a section to end what it started; NVIDIA's service may take 20 of them."""


def measure(section: str, small: bool, out: Path) -> None:
    """Print and keep every measurement of a section."""
    measurements = importlib.import_module(f"{section}_section").measurements(small, out)
    with (out / f"{section}.jsonl").open("a") as kept, contextlib.closing(measurements):
        for found in measurements:
            line = json.dumps({"section": section, "small": small, **found})
            print(line, flush=True)
            kept.write(line + "\n")
            kept.flush()


def run(section: str, small: bool, out: Path, limit: float) -> dict[str, Any]:
    """Run a section in a new process, and say how it ended."""
    command = [sys.executable, __file__, "--section", section, "--out", str(out), *(["--small"] if small else [])]
    began = time.perf_counter()
    with (out / f"{section}.err").open("w") as errors:
        # A group of its own, so that the processes that the section started end with it.
        process = subprocess.Popen(command, stderr=errors, start_new_session=True)
        try:
            code = process.wait(limit)
            ended = "done" if code == 0 else f"failed with code {code}: see {section}.err"
        except subprocess.TimeoutExpired:
            ended = f"stopped after {limit:.0f} s"
        finally:
            end(process)
    return {"section": section, "ended": ended, "seconds": round(time.perf_counter() - began, 1)}


def end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group of `process`: it gets time to clean up, unless it is interrupted once more."""
    try:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    finally:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # nothing is left
        os.killpg(process.pid, number)


def _terminated(number: int, frame: object) -> NoReturn:
    """Let SIGTERM raise, so that `finally` blocks run; they are not to be stopped by another one."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    """Run the sections; returns 1 if one of them failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--limit", type=float, default=1800, help="seconds for a section")
    parser.add_argument("--section", choices=SECTIONS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    os.environ.setdefault("KERAS_BACKEND", "jax")
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if options.section is not None:
        measure(options.section, options.small, out)
        return 0
    ends = []
    try:
        for section in options.only:
            ends.append(run(section, options.small, out, options.limit))
            print(json.dumps(ends[-1]), flush=True)
    except KeyboardInterrupt:
        print(f"interrupted: {out} has what was measured", file=sys.stderr)
        return 130
    return int(any(end["ended"] != "done" for end in ends))


if __name__ == "__main__":
    sys.exit(main())
