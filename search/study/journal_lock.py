"""The lock of a journal file: a file beside it, which tells who holds it."""

import errno
import fcntl
import functools
import glob
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from optuna.storages.journal import JournalFileOpenLock

from .liveness import is_running_worker, this_worker

GRACE_SECONDS = 30.0
"""A lock of another machine, or another program, is broken when it did not change for so long."""
LONGEST_PAUSE = 0.05
"""Seconds between two looks at a lock that somebody holds."""
NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK})
"""What a file system without hard links says."""

_logger = logging.getLogger(__name__)


class JournalLock(JournalFileOpenLock):
    """Optuna's lock, except that it is broken at once when the process that holds it is gone.

    Optuna's own locks are files too, at the same place: programs with one of those and this one keep each other out. A
    lock of the kernel would go away with its process by itself, but those programs, and many network file systems, do
    not know of it. The thread that holds the lock can acquire it again.

    Args:
        path: of the journal, absolute.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._lock_path = Path(f"{path}.lock")
        self._name = uuid.uuid4().hex
        _remove_left_over(self._lock_path)
        self._holder: tuple[int, int] | None = None  # the process and its thread; a child process inherits this object
        self._depth = 0
        self._content = b""

    def acquire(self) -> bool:
        """Wait for the lock; raises OSError where no file can be made."""
        me = (os.getpid(), threading.get_ident())
        if self._holder == me:
            self._depth += 1
            return True
        content = _content(os.getpid(), self._name)
        with _written(Path(f"{self._lock_path}.{os.getpid()}-{self._name}"), content) as own:
            self._wait_for(own)
        self._holder, self._depth, self._content = me, 1, content
        return True

    def _wait_for(self, own: Path) -> None:
        """Make the lock of the file `own`, as soon as nobody has one."""
        pause, seen, since = 0.001, None, time.monotonic()
        while not self._make(own):
            state = _state(self._lock_path)
            if state != seen:
                seen, since = state, time.monotonic()
            silent = time.monotonic() - since > GRACE_SECONDS
            if silent or self._is_stale():
                self._break(state, silent)
                continue
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def release(self) -> None:
        """Give the lock back. One that another process has broken meanwhile is theirs."""
        self._depth -= 1
        if self._depth > 0:
            return
        self._holder = None
        with suppress(FileNotFoundError):
            if self._content.startswith(self._lock_path.read_bytes()):  # all of it, or what a full disk took
                self._lock_path.unlink()
                return
        _logger.warning("the lock of %s was broken by another process, while this one stood still", self._path)

    def _make(self, own: Path) -> bool:
        """Make the file `own` the lock, whole: nothing can come between its making and its content."""
        try:
            os.link(own, self._lock_path)
            return True
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
        try:
            descriptor = os.open(self._lock_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        _write(descriptor, own.read_bytes())
        return True

    def _is_stale(self) -> bool:
        """Whether the process that holds the lock is gone, or is this one, which has lost it by an interruption."""
        try:
            holder = json.loads(self._lock_path.read_bytes())
            if holder["lock"] == self._name and holder["pid"] == os.getpid():
                return self._holder is None
            return is_running_worker(holder) is False
        except (OSError, ValueError, TypeError, LookupError):
            return False  # it is given back already, or belongs to a program that does not say who it is

    def _break(self, state: tuple[int, int] | None, silent: bool) -> None:
        """Remove the lock that was in this `state`: one process at a time, so that no new lock is removed for it."""
        with open(self._path, "rb") as journal:
            with suppress(OSError):  # a network file system without such locks
                fcntl.flock(journal, fcntl.LOCK_EX)
            if state is not None and _state(self._lock_path) == state and (silent or self._is_stale()):
                with suppress(FileNotFoundError):
                    self._lock_path.unlink()


@contextmanager
def _written(path: Path, content: bytes) -> Iterator[Path]:
    """The file `path` with `content`, within the block; raises OSError where none can be made."""
    try:
        _write(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666), content)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write(descriptor: int, content: bytes) -> None:
    try:
        with suppress(OSError):  # a full disk: a lock without a name is one all the same
            os.write(descriptor, content)
    finally:
        os.close(descriptor)


def _remove_left_over(lock: Path) -> None:
    """Remove what a process that was killed while it waited for the lock has left of its own."""
    for path in lock.parent.glob(f"{glob.escape(lock.name)}.*-*"):
        with suppress(OSError, ValueError, TypeError, LookupError):  # gone already, or being written just now
            if is_running_worker(json.loads(path.read_bytes())) is False:
                path.unlink()


@functools.cache
def _content(pid: int, name: str) -> bytes:
    """What a lock tells of its holder: the process `pid`, which is this one, and the name of its `JournalLock`."""
    return json.dumps({**this_worker(), "lock": name}).encode()


def _state(path: Path) -> tuple[int, int] | None:
    """What tells one lock from the next; None when there is none."""
    try:
        stat = os.lstat(path)
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_ctime_ns
