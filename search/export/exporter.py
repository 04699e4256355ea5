"""Writes a trained model in several formats, and checks that each gives the same answers as Keras.

This happens in a temporary folder, which takes the place of the folder of the export at the end.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, KerastunaError
from ..messages import cause
from ..study.scratch import make_scratch
from .files import MADE_OF_INT8, write_files
from .folder import check_folder, keep_other_files, replace_export, scratch_prefix
from .formats import FORMATS as _FORMATS
from .formats import ExportSource, missing_packages
from .manifest import description, write_manifest
from .parity import summary, verify

FORMATS = tuple(_FORMATS)


def check_formats(formats: Sequence[str]) -> None:
    """Refuse unknown formats, and an empty list; raises InputError."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        given = f"format {unknown[0]!r} is unknown" if unknown else "no format is given"
        raise InputError(f"{given}: choose among {', '.join(FORMATS)}")


def export(
    source: ExportSource,
    out: Path,
    formats: Sequence[str] | None,
    *,
    progress: Callable[[str], None],
    finish: Callable[[Path, Mapping[str, Any]], None] | None = None,
) -> Mapping[str, Any]:
    """Write `source` to the folder `out` in `formats`, check each format, and return the manifest of the export.

    An earlier export in `out` is replaced in one step at the end. If anything fails before, it stays as it was. Other
    files in the folder are kept. A format is skipped if a package that it needs is not installed.

    Args:
        formats: of `FORMATS`; None for all. C array and C program come with the int8 file, of which they are made.
        progress: is called with one line for each step.
        finish: is called with the temporary folder and the manifest, to add files such as a model card.

    Returns the manifest: {"name", "created", "passed", "lineage", "task", "labels", "preprocessing", "input",
    "output", "calibration", "timing", "arena", "machine", "versions", "skipped" {format: why}, "formats" {format: what
    `write_files` and `verify` return}}. "passed": no format failed, and no format that `formats` names was skipped.

    Raises InputError for an unknown format, and for an `out` that cannot be written or contains something else than an
    export; KerastunaError if the model cannot be run or nothing can be written.
    """
    check_formats(FORMATS if formats is None else formats)
    out = out.resolve()
    check_folder(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = make_scratch(out.parent, scratch_prefix(out))
    except OSError as error:
        raise InputError(f"{str(out)!r} cannot be written ({error.strerror}): choose another folder") from error
    try:
        new = work / "new"
        new.mkdir()
        manifest = _fill(new, source, formats, progress)
        if finish is not None:
            finish(new, manifest)
        keep_other_files(out, new)
        replace_export(out, new, work / "previous")
    except OSError as error:
        raise KerastunaError(f"{str(out)!r} could not be written ({cause(error)}) and is as it was") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _fill(
    folder: Path, source: ExportSource, formats: Sequence[str] | None, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Write and check the formats in `folder`; returns the manifest."""
    wanted = set(FORMATS if formats is None else formats)
    if wanted.intersection(MADE_OF_INT8):
        wanted.add("litert_int8")
    skipped: dict[str, str] = {}
    for name in FORMATS:
        if name in wanted and (missing := missing_packages(_FORMATS[name].needs)):
            skipped[name] = missing
            progress(f"{name}: left out, {missing}")
    names = [name for name in FORMATS if name in wanted and name not in skipped]
    if not names:
        reasons = "; ".join(f"{name} {missing}" for name, missing in skipped.items())
        raise KerastunaError(f"nothing can be exported: {reasons}")

    progress(f"writing {', '.join(names)}")
    entries, problems, left_out = write_files(folder, source, names)
    skipped |= left_out
    names = [name for name in names if name not in left_out]
    manifest = description(source) | {"skipped": skipped, "formats": entries}
    write_manifest(folder, manifest)

    parts = " and ".join(f"{len(y):,} {part}" for part, (_, y) in source.parts().items())
    progress(f"checking them on {parts} {source.unit}")
    results = verify(folder, source, progress)
    for name, problem in problems.items():
        results[name] = {"passed": False, "problems": [f"cannot be written ({problem})"], "notes": [], "bytes": 0}
    manifest["formats"] = {name: {"files": {}} | entries.get(name, {}) | results[name] for name in names}
    for name, result in manifest["formats"].items():
        progress(f"{name}: {summary(result, source.unit)}")
    for result in results.values():
        manifest["output"]["shape"] = result.get("output_shape", manifest["output"]["shape"])  # (n,) or (n, width)
    refused = any(result["passed"] is False for result in results.values())
    manifest["passed"] = not refused and not (skipped and formats is not None)
    write_manifest(folder, manifest)
    return manifest
