"""The manifest of an export: describes it, and is written and read as JSON."""

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..messages import cause
from .arena import ARENA
from .files import CALIBRATION_SAMPLES, CALIBRATION_SEED
from .formats import FORMATS, MANIFEST, ExportSource
from .runtimes import TIMING

_PACKAGES = (
    "kerastuna",
    "keras",
    "tensorflow",
    "numpy",
    "onnx",
    "tf2onnx",
    "onnxruntime",
    "ai-edge-litert",
    "tflite-micro",
)


def description(source: ExportSource) -> dict[str, Any]:
    """What the manifest says about the model and this machine; "passed" is None until the formats are checked."""
    return {
        "name": source.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "passed": None,
        "lineage": dict(source.extra),
        "task": source.task.record(),
        "labels": list(source.labels),
        "preprocessing": source.preprocessing,
        "input": {"dtype": "float32", "shape": ["n", *source.input_shape], "layout": _layout(source.input_shape)},
        "output": {"dtype": "float32", "shape": ["n", source.answers.width], "meaning": source.answers.meaning},
        "calibration": {
            "images": min(CALIBRATION_SAMPLES, len(source.x_train)),
            "drawn_from": f"training {source.unit}",
            "seed": CALIBRATION_SEED,
        },
        "timing": TIMING,
        "arena": ARENA,
        "machine": f"{platform.system()} on {platform.machine()}",
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _layout(shape: Sequence[int]) -> str:
    """What the dimensions of samples of this shape mean."""
    names = {1: ("columns",), 2: ("steps", "channels"), 3: ("height", "width", "channels")}
    return ", ".join(["n", *names.get(len(shape), [f"dimension {place}" for place in range(len(shape))])])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write `manifest` to `folder`; raises ValueError for a number that JSON does not have."""
    text = json.dumps(manifest, indent=2, allow_nan=False, ensure_ascii=False)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """The manifest of the export in `folder`; raises InputError if there is none, or it cannot be read."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        unknown = [name for name, entry in manifest["formats"].items() if name not in FORMATS or "files" not in entry]
        if unknown or not isinstance(manifest["name"], str):
            raise ValueError(f"unknown formats {unknown}" if unknown else "it has no name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not the manifest of an export ({cause(error)}): export again") from error
    return manifest
