"""The folder of an export: what may be replaced, and its replacement in one step."""

import glob
import shutil
from pathlib import Path

from ..errors import InputError
from .formats import MANIFEST
from .manifest import read_manifest

# the folder


def _check_folder(out: Path) -> None:
    """Refuse to replace what is not an export; bring back one whose replacement was killed half way."""
    if not out.exists():
        for previous in out.parent.glob(f".{glob.escape(out.name)}.*/previous"):
            previous.rename(out)
            shutil.rmtree(previous.parent)
            break
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        read_manifest(out)
    except InputError as error:
        raise InputError(f"{str(out)!r} holds something else than an export: choose another folder") from error


def _keep_other_files(out: Path, new: Path) -> None:
    """Copy what lies in `out` beside the export to `new`."""
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


def _replace(out: Path, new: Path, previous: Path) -> None:
    """Put `new` in the place of `out`, which goes to `previous`; all on one file system."""
    if out.exists():
        out.rename(previous)
    try:
        new.rename(out)
    except BaseException:
        if previous.exists():
            previous.rename(out)
        raise
