"""Measures the least arena in which tflite-micro runs a LiteRT file."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from .process import Job, run_jobs

ARENA = "the least in which tflite-micro ran on a 64-bit machine; a 32-bit microcontroller needs somewhat less"
MOST_ARENA_BYTES = 64 << 20
"""In which the files are run; how much they need is measured."""
ALIGNMENT = 16
"""Bytes: sizes of an arena are multiples of it."""
_RUNTIMES_MODULE = f"{__package__}.runtimes"


def least_arenas(files: Mapping[str, Path]) -> dict[str, Mapping[str, Any]]:
    """For each of the LiteRT `files`, as `ARENA` says: {"arena_bytes"}, or {"problem": one line}.

    It is at least what tflite-micro keeps. Where the values of a network take less than the plan of where they lie, as
    in very small networks, it is more.
    """
    contents = {name: sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    paths = {contents[name]: str(path.resolve()) for name, path in files.items()}  # the same file is measured once
    kept = run_jobs(_RUNTIMES_MODULE, {name: ("kept_arena", {"path": path}) for name, path in paths.items()})
    sizes = {name: _aligned(result["bytes"]) for name, result in kept.items() if "problem" not in result}
    enough = _runs({name: (paths[name], size) for name, size in sizes.items()})
    least = {name: size if enough[name] else _search(paths[name], size) for name, size in sizes.items()}
    found = {name: {"arena_bytes": least[name]} if name in least else kept[name] for name in paths}
    return {name: found[content] for name, content in contents.items()}


def _search(path: str, too_small: int) -> int:
    """The least arena for the file at `path`, by bisection; `too_small` is known to be."""
    more = 64 * ALIGNMENT
    while too_small + more < MOST_ARENA_BYTES and not _runs({"file": (path, too_small + more)})["file"]:
        too_small, more = too_small + more, 2 * more
    enough = min(too_small + more, MOST_ARENA_BYTES)  # in which it ran
    while enough - too_small > ALIGNMENT:
        middle = _aligned((too_small + enough) // 2)
        if _runs({"file": (path, middle)})["file"]:
            enough = middle
        else:
            too_small = middle
    return enough


def _runs(tries: Mapping[str, tuple[str, int]]) -> dict[str, bool]:
    """Whether tflite-micro runs each (file, bytes of an arena)."""
    jobs: dict[str, Job] = {name: ("run_in", {"path": path, "size": size}) for name, (path, size) in tries.items()}
    return {name: "problem" not in result for name, result in run_jobs(_RUNTIMES_MODULE, jobs).items()}


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
