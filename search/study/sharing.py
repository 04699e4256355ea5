"""Whether several processes can use a storage at the same time."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from optuna.storages import BaseStorage, InMemoryStorage

from ..errors import StudyError

NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse")
"""By the names of Linux. SQLite's locks cannot be relied on there."""
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system answers that has no symbolic links. A folder that may not be written is EACCES or EROFS."""
MOUNTS = Path("/proc/self/mounts")


def one_process_only(storage: BaseStorage) -> str | None:
    """Why only one process can use `storage`, and what to do about it; None where several can."""
    url = str(getattr(storage, "url", ""))
    if isinstance(storage, InMemoryStorage) or url in ("sqlite://", "sqlite:///:memory:"):
        return (
            "the study is in the memory of this process, where no worker finds it: give a storage in a file or a "
            "database, or workers=1"
        )
    if url.startswith("sqlite"):
        from sqlalchemy.engine import make_url

        if (kind := network_file_system(Path(make_url(url).database or ""))) is not None:
            return (
                f"storage {url!r} is on a network file system ({kind}), where SQLite cannot lock it for several "
                "processes: give a file on a local disk, or the URL of a database server, or workers=1"
            )
    return None


def check_lock(path: Path) -> None:
    """Raise StudyError when the file system of the journal `path` has no symbolic links, which are its lock."""
    link = path.with_name(f"{path.name}.{uuid.uuid4().hex}.lock")
    try:
        os.symlink(path, link)
    except OSError as error:
        if error.errno in NO_LINKS:
            raise StudyError(
                f"storage {str(path)!r} cannot be locked ({error.strerror}), since its file system has no symbolic "
                "links: give a path on another one, or the URL of a database"
            ) from error
    else:
        with suppress(FileNotFoundError):
            link.unlink()


def network_file_system(path: Path) -> str | None:
    """The kind of the network file system that `path` is on; None for a local one, and where Linux does not tell."""
    real = Path(os.path.realpath(path))
    mounts = {point: kind for point, kind in _mounts() if real == point or point in real.parents}
    kind = mounts[max(mounts, key=lambda point: len(point.parts))] if mounts else None
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def _mounts() -> Iterator[tuple[Path, str]]:
    """The folder of each mounted file system, and its kind; of several on one folder, the last is the one in use."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        yield Path(point.replace("\\040", " ")), kind
