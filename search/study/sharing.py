"""Whether several processes can use a storage at the same time."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from optuna.storages import BaseStorage, InMemoryStorage

from ..errors import StudyError

OBJECT_STORES = ("fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.rclone", "fuse.mount-s3", "fuse.blobfuse2")
"""File systems that show an object store as files, by the names of Linux."""
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "fuse.sshfs", *OBJECT_STORES)
"""File systems of a network, where SQLite's locks cannot be relied on."""
MOUNTS = Path("/proc/self/mounts")


def one_process_only(storage: BaseStorage) -> str | None:
    """Why only one process can use `storage`, and what to do about it; None where several can."""
    url = str(getattr(storage, "url", ""))
    file = _sqlite_file(url) if url.startswith("sqlite") else None
    if isinstance(storage, InMemoryStorage) or file == "":
        return (
            "the study is in the memory of this process, where no worker finds it: give a storage in a file or a "
            "database, or workers=1"
        )
    if file is not None and (kind := file_system(Path(file))) in NETWORK:
        return (
            f"storage {url!r} is on a network file system ({kind}), where SQLite cannot lock it for several "
            "processes: give a file on a local disk, or the URL of a database server, or workers=1"
        )
    return None


def _sqlite_file(url: str) -> str:
    """The path of the file of an SQLite database; empty where it is in memory, in any of its spellings."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    database = parsed.database or ""
    if "mode=memory" in database or "memory" in parsed.query.get("mode", ""):
        return ""
    file = urlsplit(database).path if database.startswith("file:") else database
    return "" if file == ":memory:" else file


def check_lockable(path: Path) -> None:
    """Raise StudyError when the journal `path` is on a file system where no lock keeps two processes apart."""
    if (kind := file_system(path)) in OBJECT_STORES:
        raise StudyError(
            f"storage {str(path)!r} is on {kind}, which cannot lock a file and writes it anew at every change: give a "
            "path on a disk, or the URL of a database server"
        )


def file_system(path: Path) -> str | None:
    """The kind of the file system that `path` is on, by Linux's name; None where the system does not tell."""
    real = Path(os.path.realpath(path))
    mounts = {point: kind for point, kind in _mounts() if real == point or point in real.parents}
    return mounts[max(mounts, key=lambda point: len(point.parts))] if mounts else None


def _mounts() -> Iterator[tuple[Path, str]]:
    """The folder of each mounted file system, and its kind; of several on one folder, the last is the one in use."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        yield Path(point.replace("\\040", " ")), kind
