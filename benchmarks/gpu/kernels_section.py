"""Where the time of a training step of `eip_3` goes: the kernels that run on the GPU, longest first."""

import gzip
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Form, batch_size, convolutions_as, images, machine, network

from kerastuna.search.training.jax_engine import JaxEngine

import jax  # isort: skip
import keras  # isort: skip

MOST = 30
"""Kernels that are told of."""
FORMS: tuple[Form, ...] = ("product", "convolution")


class Trace(keras.callbacks.Callback):
    """Has JAX write down what runs in the second epoch."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            jax.profiler.start_trace(str(self._folder), create_perfetto_trace=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            jax.profiler.stop_trace()


def measurements(small: bool, out: Path) -> Iterator[dict[str, Any]]:
    yield machine()
    steps = 3 if small else 100
    x, y, source = images(steps * batch_size())
    for form in FORMS:
        with tempfile.TemporaryDirectory() as folder, convolutions_as(form):
            JaxEngine().fit(
                network(small=small), x, y, batch_size=batch_size(), epochs=2, callbacks=[Trace(Path(folder))]
            )
            trace = next(Path(folder).rglob("perfetto_trace.json.gz"))
            (out / f"trace-{form}.json.gz").write_bytes(trace.read_bytes())
            kernels = _kernels(json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"])
        spent = sum(microseconds for microseconds, _ in kernels.values())
        yield {
            "what": "kernels of a step",
            "form": form,
            "data": source,
            "steps": steps,
            "microseconds_of_a_step": spent / steps,
            "kernels_of_a_step": sum(count for _, count in kernels.values()) / steps,
        }
        for name, (microseconds, count) in sorted(kernels.items(), key=lambda item: -item[1][0])[:MOST]:
            yield {
                "form": form,
                "kernel": name[:80],
                "microseconds_of_a_step": round(microseconds / steps, 2),
                "times_a_step": round(count / steps, 2),
            }


def _kernels(events: list[dict[str, Any]]) -> dict[str, tuple[float, int]]:
    """Microseconds and number of runs of each kernel: what a trace has on the streams of a GPU."""
    names = {
        (event["name"], event.get("pid"), event.get("tid") if event["name"] == "thread_name" else None): event["args"]
        for event in events
        if event.get("ph") == "M" and event.get("name") in ("process_name", "thread_name")
    }
    found: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for event in events:
        process = names.get(("process_name", event.get("pid"), None), {}).get("name", "")
        thread = names.get(("thread_name", event.get("pid"), event.get("tid")), {}).get("name", "")
        if event.get("ph") == "X" and "GPU" in process and thread.startswith("Stream"):
            microseconds, count = found[event["name"]]
            found[event["name"]] = microseconds + event.get("dur", 0), count + 1
    return found
