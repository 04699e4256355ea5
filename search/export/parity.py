"""Checks whether the files of an export are what was written, and give the same answers as the Keras model."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import numpy as np

from ..errors import KerastunaError
from ..messages import cause
from .arena import least_arenas
from .c_array import compiled_bytes
from .comparison import compare
from .files import MADE_OF_INT8, file_sum
from .formats import FORMATS, MICRO, ExportSource, missing_packages
from .manifest import read_manifest
from .process import Job, run_jobs

MICRO_SAMPLES = 1_000  # of a part, evenly spaced: tflite-micro takes milliseconds where the others take microseconds
UNLIKE = 16  # leaves the smaller of two columns 16 of the 256 steps of int8
REFERENCE_KERNELS = "c_program.reference"
RUNTIMES_MODULE = f"{__package__}.runtimes"
_Rows = Mapping[str, np.ndarray]
"""For each part, which of all samples to check on: indices into the parts one after the other."""


@final
@dataclass
class _Findings:
    """What the check of one format found."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    proven: bool = False  # by its answers on some part, or by its bytes

    def result(self) -> dict[str, Any]:
        passed = False if self.problems else True if self.proven else None
        return {"passed": passed, "problems": self.problems, "notes": self.notes, **self.figures}


def verify(
    folder: Path, source: ExportSource, progress: Callable[[str], None] = lambda line: None
) -> dict[str, dict[str, Any]]:
    """Check every format that the manifest in `folder` lists, on the validation and test samples of `source`.

    The files are compared with their SHA-256 sums. The C array is compiled and compared with the int8 file. Then each
    file is run by its own runtime and compared with the model of `source` in Keras, all in new processes.

    Returns for each format {"passed": True, False, or None for not checked; "problems", "notes": lines; "bytes"}. If it
    could be run: "runtime", "milliseconds_per_image", "output_shape", and "validation" and "test" from
    `Comparison.figures`. For LiteRT files and the C array: "flash_bytes", and "arena_bytes" if it could be measured.
    For the C program: "same_as_tflite_micro", a share of the samples. Raises InputError without a readable
    manifest, KerastunaError if the model of `source` cannot be run.
    """
    manifest = read_manifest(folder)
    found = {name: _Findings() for name in FORMATS if name in manifest["formats"]}
    for name, findings in found.items():
        _check_sums(findings, folder, manifest["formats"][name]["files"])
    parts = source.parts().values()
    targets = np.concatenate([y for _, y in parts])
    ends = np.cumsum([len(y) for _, y in parts])
    every: _Rows = dict(zip(source.parts(), np.split(np.arange(len(targets)), ends[:-1]), strict=True))
    some = {
        part: rows[np.unique(np.linspace(0, len(rows) - 1, MICRO_SAMPLES).astype(int))] for part, rows in every.items()
    }
    with TemporaryDirectory() as folder_of_answers:
        scratch = Path(folder_of_answers)
        paths = {name: folder / FORMATS[name].path for name in found}
        if "c_array" in found:
            paths["c_array"] = scratch / "compiled.tflite"
            _compile(found["c_array"], folder, manifest["name"], paths["c_array"])
            if (why := manifest["formats"]["c_array"].get("program", {}).get("left_out")) is not None:
                found["c_array"].notes.append(f"without a program for tflite-micro: {why}")
        samples = np.concatenate([x for x, _ in parts])
        np.save(scratch / "every.npy", samples, allow_pickle=False)
        np.save(scratch / "some.npy", samples[np.concatenate(list(some.values()))], allow_pickle=False)
        results = _run(found, paths, source, scratch, progress)
        expected = _answers(scratch, "reference")
        for name, findings in found.items():
            if _note(findings, results, name):
                rows = some if name in MADE_OF_INT8 else every
                answers = _answers(scratch, name)
                if name == "c_program" and answers[0].size == expected[0].size:  # it has no shape but a length
                    answers = answers.reshape(len(answers), *expected.shape[1:])
                _judge(findings, name, source, answers, expected, targets, rows)
                if name == "c_program" and "problem" not in results.get(REFERENCE_KERNELS, {"problem": ""}):
                    _compare_kernels(findings, answers, _answers(scratch, REFERENCE_KERNELS))
    int8 = found.get("litert_int8")
    for name in MADE_OF_INT8:
        if name in found and int8 is not None and not int8.proven:
            found[name].proven = False
            found[name].notes.append("not proven: it is the int8 file, which is not")
    return {name: findings.result() for name, findings in found.items()}


def summary(result: Mapping[str, Any], unit: str) -> str:
    """The result of `verify` for one format, on one line; `unit` is what samples are called, in the plural."""
    words = [{True: "passed", False: "FAILED", None: "not checked"}[result["passed"]], *result["problems"]]
    for part in ("validation", "test"):
        if figures := result.get(part):
            words += _agreement(figures, f"{part} {unit}")
    words.append(f"{result['bytes']:,} bytes")
    if "same_as_tflite_micro" in result:
        words.append(f"every value as tflite-micro on {result['same_as_tflite_micro']:.2%}")
    if "milliseconds_per_image" in result:
        words.append(f"{result['milliseconds_per_image']:.2f} ms {'an image' if unit == 'images' else 'a row'}")
    if "arena_bytes" in result:
        words.append(f"arena {result['arena_bytes']:,} bytes")
    return "; ".join([", ".join(words), *result["notes"]])


def _agreement(figures: Mapping[str, Any], samples: str) -> list[str]:
    """The figures of a comparison in words."""
    count, difference = figures["images"], figures["largest_difference"]
    within = f"answers within {'any bounds' if difference is None else f'{difference:.1e}'}"
    if "agreement" in figures:
        same = round(figures["agreement"] * count)
        lost = f"accuracy {figures['accuracy']:.4f} ({0 - figures['points_lost']:+.2f} points)"
        return [f"as Keras on {same:,} of {count:,} {samples}", within, lost]
    mae, rise = figures["mae"], figures["mae_lost_of_spread"]
    lost = f"MAE {'not finite' if mae is None else f'{mae:.4g}'}"
    return [f"{count:,} {samples}", within, lost if rise is None else f"{lost} ({100 * rise:+.2f} % of the spread)"]


def _check_sums(findings: _Findings, folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    for path, expected in files.items():
        file = folder / path
        if not file.is_file():
            findings.problems.append(f"{path} is missing")
        elif file_sum(file) != expected:
            findings.problems.append(f"{path} is not what was written: its SHA-256 differs")
    findings.figures["bytes"] = sum(expected["bytes"] for expected in files.values())
    if all(path.endswith(".tflite") for path in files):
        findings.figures["flash_bytes"] = findings.figures["bytes"]


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
    findings.figures["flash_bytes"] = len(data)
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
        samples = scratch / ("some.npy" if name.partition(".")[0] in MADE_OF_INT8 else "every.npy")
        files = {"path": str(path.resolve()), "samples": str(samples), "answers": str(scratch / f"{name}.npy")}
        return "evaluate", {"runtime": runtime, "modules": list(source.modules), **files}

    arenas: dict[str, Path] = {}
    processes: dict[str, dict[str, Job]] = {"keras": {"reference": evaluation("reference", "keras", source.model_path)}}
    for name, findings in found.items():
        path, form = paths[name], FORMATS[name]
        if not path.exists():
            continue
        if missing := missing_packages(form.runs_with):
            findings.notes.append(f"not run: {missing}")
        elif name == "c_program" and shutil.which("cc") is None:
            findings.notes.append("not checked: there is no C compiler; install one that is called cc")
        else:
            # TensorFlow takes seconds to import: Keras and SavedModel share a process.
            runtime = "keras" if form.runtime == "savedmodel" else form.runtime
            processes.setdefault(runtime, {})[name] = evaluation(name, form.runtime, path)
        if name == "c_program" and paths["litert_int8"].exists() and not missing_packages((MICRO,)):
            reference = evaluation(REFERENCE_KERNELS, "tflite_micro", paths["litert_int8"])
            processes.setdefault("tflite_micro", {})[REFERENCE_KERNELS] = reference
        if path.suffix == ".tflite" and not missing_packages((MICRO,)):
            arenas[f"{name}.arena"] = path
    results: dict[str, Mapping[str, Any]] = {}
    for jobs in processes.values():
        progress(f"running {', '.join(jobs)}")
        results |= run_jobs(RUNTIMES_MODULE, jobs)
    if arenas:
        progress(f"measuring {', '.join(arenas)}")
        results |= least_arenas(arenas)
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


def _compare_kernels(findings: _Findings, answers: np.ndarray, expected: np.ndarray) -> None:
    """Note on which share of the samples the C program gives every value of tflite-micro."""
    same = (answers.reshape(len(answers), -1) == expected.reshape(len(expected), -1)).all(axis=1)
    findings.figures["same_as_tflite_micro"] = float(same.mean())
    if not same.all():
        findings.notes.append(f"other values than tflite-micro on {(~same).sum():,} of {len(same):,} samples")


def _unlike_columns(x: np.ndarray) -> bool:
    """Whether the columns of rows (n, columns) are so unlike that int8 has few steps for some of them."""
    sizes = np.abs(x).max(axis=0) if x.ndim == 2 else np.zeros(0)
    return bool((sizes.max(initial=0) > UNLIKE * sizes[sizes > 0]).any())


def _answers(scratch: Path, name: str) -> np.ndarray:
    return np.load(scratch / f"{name}.npy", allow_pickle=False)


def _judge(
    findings: _Findings,
    name: str,
    source: ExportSource,
    answers: np.ndarray,
    expected: np.ndarray,
    targets: np.ndarray,
    rows: _Rows,
) -> None:
    """Compare `answers` on `rows` with the answers of Keras; `expected` and `targets` are of all samples."""
    shape = (sum(map(len, rows.values())), *expected.shape[1:])
    if answers.shape != shape:
        findings.problems.append(f"its answers are of shape {answers.shape}, those of Keras {shape}")
        return
    findings.figures["output_shape"] = ["n", *expected.shape[1:]]
    start, exact = 0, FORMATS[name].exact
    problems: list[str] = []
    for part, chosen in rows.items():
        given = answers[start : start + len(chosen)]
        start += len(chosen)
        comparison = compare(source.task, source.answers, expected[chosen], given, targets[chosen], source.unit)
        findings.figures[part] = comparison.figures()
        if problem := comparison.problem(exact):
            problems.append(f"{part}: {problem}")
            continue
        doubt = comparison.doubt(exact)
        findings.proven |= not doubt
        told = [doubt] if exact else [doubt, comparison.int8_note()] if name not in MADE_OF_INT8 else []
        findings.notes += [f"{part}: {note}" for note in told if note]
    findings.problems += problems
    if problems and not exact and _unlike_columns(source.x_train):
        findings.notes.append("int8 has one scale for all columns, and theirs differ: train on scaled columns")
