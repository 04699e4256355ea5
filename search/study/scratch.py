"""Folders that a process needs for a while. They are named after it, so that a later one removes those of dead ones."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from .liveness import is_running_worker, this_worker

PREFIX = "kerastuna-"
"""Of the folders for temporary files."""
LONG_AGO_SECONDS = 24 * 3600.0
"""A folder of a process that cannot be looked up is removed when nothing in it has changed for so long."""
_MARK = re.compile(r"(?P<place>[0-9a-f]{12})-(?P<pid>\d+)-(?P<started>\w+)-\w+")


def make_scratch(parent: Path, prefix: str) -> Path:
    """A new folder in `parent`; raises OSError where none can be made."""
    me = this_worker()
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{_place()}-{me['pid']}-{me['started']}-", dir=parent))


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove what `make_scratch` made there for processes that are dead, and never a live one's.

    A process of another machine, of another container or of an earlier start of this machine cannot be looked up: its
    folder is removed a day after its last change.
    """
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            mark = _MARK.fullmatch(entry.name.removeprefix(prefix)) if entry.name.startswith(prefix) else None
            if mark is not None and entry.is_dir(follow_symlinks=False) and _is_dead(Path(entry.path), mark):
                shutil.rmtree(entry.path, ignore_errors=True)


@contextmanager
def own_temporary_folder() -> Iterator[None]:
    """In the block, temporary files of this process and its children are in a folder of its own, removed at the end.

    Libraries leave files in the system's folder when their process is killed: what other processes of Kerastuna left in
    theirs is removed first. Ray keeps its place, where its processes look for each other.
    """
    before, system = tempfile.tempdir, Path(tempfile.gettempdir())
    remove_leftovers(system, PREFIX)
    try:
        own = make_scratch(system, PREFIX)
    except OSError:  # whoever needs a temporary file will say so
        yield
        return
    variables = {"TMPDIR": str(own), "RAY_TMPDIR": os.environ.get("RAY_TMPDIR", str(system))}
    known = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    tempfile.tempdir = str(own)
    try:
        yield
    finally:
        tempfile.tempdir = before
        for name, value in known.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(own, ignore_errors=True)


def _place() -> str:
    """This start of this machine or container, in few letters."""
    me = this_worker()
    return sha256(f"{me['host']} {me['boot']}".encode()).hexdigest()[:12]


def _is_dead(folder: Path, mark: re.Match[str]) -> bool:
    if mark["place"] == _place():
        return is_running_worker({**this_worker(), "pid": int(mark["pid"]), "started": mark["started"]}) is False
    times = [folder.lstat().st_mtime]
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(OSError):
                times.append(os.lstat(os.path.join(path, name)).st_mtime)
    return time.time() - max(times) >= LONG_AGO_SECONDS
