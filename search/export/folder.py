"""The folder of an export: whether it may be replaced, and its replacement in one step."""

import glob
import shutil
from pathlib import Path

from ..errors import InputError
from ..study.scratch import remove_leftovers
from .formats import MANIFEST
from .manifest import read_manifest


def check_folder(out: Path) -> None:
    """Raise InputError if `out` contains something else than an export.

    If a process was killed while it replaced `out`, the previous export is put back first. What else killed processes
    left beside `out` is removed.
    """
    if not out.exists():
        for previous in out.parent.glob(f".{glob.escape(out.name)}.*/previous"):
            previous.rename(out)
            shutil.rmtree(previous.parent)
            break
    remove_leftovers(out.parent, scratch_prefix(out))
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        read_manifest(out)
    except InputError as error:
        raise InputError(f"{str(out)!r} holds something else than an export: choose another folder") from error


def scratch_prefix(out: Path) -> str:
    """How the names of folders begin in which exports to `out` are written."""
    return f".{out.name}."


def keep_other_files(out: Path, new: Path) -> None:
    """Copy the files and folders in `out` that are not part of the export to `new`, unless `new` has the same name."""
    if not (out / MANIFEST).exists():
        return
    formats = read_manifest(out)["formats"].values()
    exported = {MANIFEST, *(Path(path).parts[0] for entry in formats for path in entry["files"])}
    for entry in out.iterdir():
        if entry.name in exported or (new / entry.name).exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, new / entry.name, follow_symlinks=False)


def replace_export(out: Path, new: Path, previous: Path) -> None:
    """Move `out` to `previous` and `new` to `out`; if that fails, `out` is as before. All are on one file system."""
    if out.exists():
        out.rename(previous)
    try:
        new.rename(out)
    except BaseException:
        if previous.exists():
            previous.rename(out)
        raise
