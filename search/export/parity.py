"""Checks whether the files of an export are what was written, and give the same answers as the Keras model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import numpy as np

from ..errors import KerastunaError
from ..messages import cause
from .c_array import compiled_bytes
from .comparison import compare
from .files import file_sum
from .formats import FORMATS, MICRO, ExportSource, missing_packages
from .manifest import read_manifest
from .process import Job, run_jobs

MICRO_IMAGES = 1_000  # of a part, evenly spaced: tflite-micro takes milliseconds where the others take microseconds
RUNTIMES_MODULE = f"{__package__}.runtimes"
_Rows = Mapping[str, np.ndarray]
"""For each part, which of all images to check on: indices into the parts one after the other."""


@final
@dataclass
class _Findings:
    """What the check of one format found."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    proven: bool = False  # by its answers or its bytes

    def result(self) -> dict[str, Any]:
        passed = False if self.problems else True if self.proven else None
        return {"passed": passed, "problems": self.problems, "notes": self.notes, **self.figures}


def verify(
    folder: Path, source: ExportSource, progress: Callable[[str], None] = lambda line: None
) -> dict[str, dict[str, Any]]:
    """Check every format that the manifest in `folder` lists, on the validation images and the test images of `source`.

    The files are compared with their SHA-256 sums. The C array is compiled and compared with the int8 file. Then each
    file is run by its own runtime and compared with the model of `source` in Keras, all in new processes.

    Returns for each format {"passed": True, False, or None for not checked; "problems", "notes": lines; "bytes"}. If it
    could be run: "runtime", "milliseconds_per_image", and "validation" and "test" from `Comparison.figures`. For LiteRT
    files and the C array: "arena_bytes", if it could be measured. Raises InputError without a readable manifest,
    KerastunaError if the model of `source` cannot be run.
    """
    manifest = read_manifest(folder)
    found = {name: _Findings() for name in FORMATS if name in manifest["formats"]}
    for name, findings in found.items():
        _check_sums(findings, folder, manifest["formats"][name]["files"])
    parts = source.parts().values()
    labels = np.concatenate([y for _, y in parts])
    ends = np.cumsum([len(y) for _, y in parts])
    every: _Rows = dict(zip(source.parts(), np.split(np.arange(len(labels)), ends[:-1]), strict=True))
    some = {
        part: rows[np.unique(np.linspace(0, len(rows) - 1, MICRO_IMAGES).astype(int))] for part, rows in every.items()
    }
    with TemporaryDirectory() as folder_of_answers:
        scratch = Path(folder_of_answers)
        paths = {name: folder / FORMATS[name].path for name in found}
        if "c_array" in found:
            paths["c_array"] = scratch / "compiled.tflite"
            _compile(found["c_array"], folder, manifest["name"], paths["c_array"])
        images = np.concatenate([x for x, _ in parts])
        np.save(scratch / "every.npy", images, allow_pickle=False)
        np.save(scratch / "some.npy", images[np.concatenate(list(some.values()))], allow_pickle=False)
        results = _run(found, paths, source, scratch, progress)
        expected = _answers(scratch, "reference")
        for name, findings in found.items():
            if _note(findings, results, name):
                _judge(findings, name, _answers(scratch, name), expected, labels, some if name == "c_array" else every)
    return {name: findings.result() for name, findings in found.items()}


def summary(result: Mapping[str, Any]) -> str:
    """The result of `verify` for one format, on one line."""
    words = [{True: "passed", False: "FAILED", None: "not checked"}[result["passed"]], *result["problems"]]
    for part in ("validation", "test"):
        if figures := result.get(part):
            same, images = round(figures["agreement"] * figures["images"]), figures["images"]
            difference = figures["largest_difference"]
            words.append(f"as Keras on {same:,} of {images:,} {part} images")
            words.append(f"probabilities within {'any bounds' if difference is None else f'{difference:.1e}'}")
            words.append(f"accuracy {figures['accuracy']:.4f} ({0 - figures['points_lost']:+.2f} points)")
    words.append(f"{result['bytes']:,} bytes")
    if "milliseconds_per_image" in result:
        words.append(f"{result['milliseconds_per_image']:.2f} ms an image")
    if "arena_bytes" in result:
        words.append(f"arena {result['arena_bytes']:,} bytes")
    return "; ".join([", ".join(words), *result["notes"]])


def _check_sums(findings: _Findings, folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    for path, expected in files.items():
        file = folder / path
        if not file.is_file():
            findings.problems.append(f"{path} is missing")
        elif file_sum(file) != expected:
            findings.problems.append(f"{path} is not what was written: its SHA-256 differs")
    findings.figures["bytes"] = sum(expected["bytes"] for expected in files.values())


def _compile(findings: _Findings, folder: Path, name: str, compiled: Path) -> None:
    """Compile the C array, compare its bytes with the LiteRT file, and write them to the file `compiled`."""
    try:
        data = compiled_bytes(folder / FORMATS["c_array"].path, name)
    except (KerastunaError, OSError) as error:
        findings.problems.append(cause(error))
        return
    if data is None:
        findings.notes.append("not checked: there is no C compiler; install one that is called cc")
        return
    model = folder / FORMATS["litert_int8"].path
    if not model.is_file() or model.read_bytes() != data:
        findings.problems.append(f"its {len(data):,} bytes are not those of {model.name}")
    compiled.write_bytes(data)
    findings.proven = True


def _run(
    found: Mapping[str, _Findings],
    paths: Mapping[str, Path],
    source: ExportSource,
    scratch: Path,
    progress: Callable[[str], None],
) -> Mapping[str, Mapping[str, Any]]:
    """Run the model of `source` as "reference" and the files at `paths`, in a new process for each runtime.

    Writes their answers to `scratch`. Returns the result of each run, with "NAME.arena" for the arena of a format.
    """

    def evaluation(name: str, runtime: str, path: Path) -> Job:
        images = scratch / ("some.npy" if name == "c_array" else "every.npy")
        files = {"path": str(path.resolve()), "images": str(images), "answers": str(scratch / f"{name}.npy")}
        return "evaluate", {"runtime": runtime, "modules": list(source.modules), **files}

    processes: dict[str, dict[str, Job]] = {"keras": {"reference": evaluation("reference", "keras", source.model_path)}}
    for name, findings in found.items():
        path, form = paths[name], FORMATS[name]
        if not path.exists():
            continue
        if missing := missing_packages(form.runs_with):
            findings.notes.append(f"not run: {missing}")
        else:
            # TensorFlow takes seconds to import: Keras and SavedModel share a process.
            runtime = "keras" if form.runtime == "savedmodel" else form.runtime
            processes.setdefault(runtime, {})[name] = evaluation(name, form.runtime, path)
        if path.suffix == ".tflite" and not missing_packages((MICRO,)):
            processes.setdefault("arena", {})[f"{name}.arena"] = "arena", {"path": str(path.resolve())}
    results: dict[str, Mapping[str, Any]] = {}
    for jobs in processes.values():
        progress(f"running {', '.join(jobs)}")
        results |= run_jobs(RUNTIMES_MODULE, jobs)
    if "problem" in results["reference"]:
        raise KerastunaError(f"{source.model_path} cannot be run in Keras ({results['reference']['problem']})")
    return results


def _note(findings: _Findings, results: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    """Note the results of the runs of the format `name`; returns whether there are answers to judge."""
    arena = results.get(f"{name}.arena", {})
    if "problem" in arena:
        findings.notes.append(f"its arena could not be measured ({arena['problem']})")
    else:
        findings.figures |= arena
    result = results.get(name, {})
    if "problem" in result:
        findings.problems.append(f"cannot be run ({result['problem']})")
        return False
    findings.figures |= result
    return bool(result)


def _answers(scratch: Path, name: str) -> np.ndarray:
    return np.load(scratch / f"{name}.npy", allow_pickle=False)


def _judge(
    findings: _Findings, name: str, answers: np.ndarray, expected: np.ndarray, labels: np.ndarray, rows: _Rows
) -> None:
    """Compare `answers` on `rows` with the answers of Keras; `expected` and `labels` are of all images."""
    shape = (sum(map(len, rows.values())), *expected.shape[1:])
    if answers.shape != shape:
        findings.problems.append(f"its answers are of shape {answers.shape}, those of Keras {shape}")
        return
    start = 0
    for part, chosen in rows.items():
        comparison = compare(expected[chosen], answers[start : start + len(chosen)], labels[chosen])
        start += len(chosen)
        findings.figures[part] = comparison.figures()
        exact = FORMATS[name].exact
        if problem := comparison.float_problem() if exact else comparison.int8_problem():
            findings.problems.append(f"{part}: {problem}")
        elif not exact and name != "c_array" and (note := comparison.int8_note()):
            findings.notes.append(f"{part}: {note}")
    findings.proven = True
