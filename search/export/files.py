"""Writes the files of an export to a folder: copies the model, and converts it in a separate process."""

import shutil
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from .arena import least_arenas
from .c_array import c_symbol, write_c_array
from .formats import FORMATS, ExportSource
from .process import Job, run_jobs

CALIBRATION_SAMPLES = 500
CALIBRATION_SEED = 0
MADE_OF_INT8 = ("c_array", "c_program")
MICRO_PROGRAM = "tflite_micro"
"""The folder of the program that runs the C array, beside it."""
QUANTIZATION_RULE = "integer = clip(round(real / scale) + zero_point, -128, 127); real = scale * (integer - zero_point)"
_WRITERS_MODULE = f"{__package__}.writers"
_RUNTIMES_MODULE = f"{__package__}.runtimes"


def write_files(
    folder: Path, source: ExportSource, names: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, str], dict[str, str]]:
    """Write the formats `names` to `folder`.

    Returns three mappings. For each format that could be written, its entry of the manifest: "files" from `file_sums`,
    what its writer returns, "quantization" for int8, "symbol", "header" and "program" for the C array. For each that
    could not be written, why. For each that cannot have what the network needs, why.
    """
    converted = [name for name in names if name not in ("keras", *MADE_OF_INT8)]
    paths = {name: folder / FORMATS[name].path for name in names}
    if "keras" in names:
        shutil.copyfile(source.model_path, paths["keras"])
    with TemporaryDirectory() as scratch:
        calibration = Path(scratch, "calibration.npy")
        np.save(calibration, calibration_samples(source.x_train), allow_pickle=False)
        jobs = {name: _writing(name, paths[name], source, calibration) for name in converted}
        results = run_jobs(_WRITERS_MODULE, jobs)
        made: dict[str, Mapping[str, Any]] = {}
        if set(MADE_OF_INT8).intersection(names) and "problem" not in results["litert_int8"]:
            made = _write_programs(paths, source, Path(scratch))
        program = made.pop("c_array", {})
        results |= made
    entries: dict[str, dict[str, Any]] = {name: dict(results.get(name, {})) for name in names}
    if "litert_int8" in names and "problem" not in results["litert_int8"]:
        reading: Job = ("quantization", {"path": str(paths["litert_int8"])})
        scales = run_jobs(_RUNTIMES_MODULE, {"litert_int8": reading})["litert_int8"]
        results["litert_int8"] = scales
        entries["litert_int8"]["quantization"] = {**scales, "rule": QUANTIZATION_RULE}
    left_out = {name: str(result["left_out"]) for name, result in results.items() if "left_out" in result}
    problems = {name: str(result["problem"]) for name, result in results.items() if "problem" in result}
    if "litert_int8" in problems:
        problems |= {name: "it is made of the int8 file" for name in MADE_OF_INT8 if name in names}
    elif "c_array" in names:
        quantization = entries["litert_int8"]["quantization"]
        _write_c(paths["litert_int8"], paths["c_array"], source, quantization, program.get("arena_bytes"))
        header = paths["c_array"].with_suffix(".h").name
        entries["c_array"] = {"symbol": c_symbol(source.name), "header": header, "program": program}
    for name in problems:
        _remove(paths[name])
    if "c_array" in problems:
        _remove(folder / MICRO_PROGRAM)
    written = {name: entry for name, entry in entries.items() if name not in problems and name not in left_out}
    for name, entry in written.items():
        files = [FORMATS[name].path]
        if name == "c_array":
            files += [entry["header"], *([] if "left_out" in program else [MICRO_PROGRAM])]
        entry["files"] = {path: sums for file in files for path, sums in file_sums(folder, file).items()}
    return written, problems, left_out


def file_sums(folder: Path, path: str) -> dict[str, dict[str, Any]]:
    """{"bytes", "sha256"} of the file `path`, or of every file in the folder `path`, by their paths within `folder`."""
    top = folder / path
    files = [top] if top.is_file() else sorted(file for file in top.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file_sum(file) for file in files}


def file_sum(file: Path) -> dict[str, Any]:
    """{"bytes", "sha256"} of one file."""
    data = file.read_bytes()
    return {"bytes": len(data), "sha256": sha256(data).hexdigest()}


def _writing(name: str, path: Path, source: ExportSource, calibration: Path) -> Job:
    arguments: dict[str, Any] = {
        "model": str(source.model_path.resolve()),
        "modules": list(source.modules),
        "shape": list(source.input_shape),
        "path": str(path),
    }
    if name == "litert_int8":
        arguments["calibration"] = str(calibration)
    return name, arguments


def calibration_samples(x: np.ndarray) -> np.ndarray:
    """Those of the training samples `x`, (n, ...), that int8 gets its scales from; the same ones every time."""
    chosen = np.random.default_rng(CALIBRATION_SEED).permutation(len(x))[:CALIBRATION_SAMPLES]
    return x[np.sort(chosen)]


def _write_programs(paths: Mapping[str, Path], source: ExportSource, scratch: Path) -> dict[str, Mapping[str, Any]]:
    """Write the C program, and the program for tflite-micro beside the C array, where `paths` has these formats.

    Returns what became of each: of the C program as `write_files` needs it; for "c_array" {"operators", "arena_bytes"},
    or {"left_out": why} where it has no program.
    """
    sample, model = scratch / "sample.npy", str(paths["litert_int8"])
    np.save(sample, source.x_validation[:1], allow_pickle=False)
    jobs: dict[str, Job] = {}
    given = {"path": model, "sample": str(sample)}
    if (path := paths.get("c_program")) is not None:
        in_words = {"preprocessing": source.preprocessing, "meaning": source.answers.meaning}
        jobs["c_program"] = "c_program", {**given, "folder": str(path), "what": source.name, **in_words}
    if (path := paths.get("c_array")) is not None:
        to = {"folder": str(path.parent / MICRO_PROGRAM), "array": str(path), "name": source.name}
        jobs["c_array"] = "micro_program", {**given, **to}
    made = run_jobs(_RUNTIMES_MODULE, jobs)
    if (told := made.get("c_array")) is not None:
        if "operators" in told:
            told = {**told, **least_arenas({"c_array": paths["litert_int8"]})["c_array"]}
        if "problem" in told:
            told = {"left_out": told["problem"]}
        made["c_array"] = told
        if "left_out" in told:
            _remove(paths["c_array"].parent / MICRO_PROGRAM)
    return made


def _write_c(
    model: Path, path: Path, source: ExportSource, quantization: Mapping[str, Any], arena_bytes: int | None
) -> None:
    write_c_array(
        model,
        path,
        name=source.name,
        shape=source.input_shape,
        answers=source.answers,
        preprocessing=source.preprocessing,
        quantization=quantization,
        arena_bytes=arena_bytes,
    )


def _remove(path: Path) -> None:
    """Remove what a failed conversion may have left."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
