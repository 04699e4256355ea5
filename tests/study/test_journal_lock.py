"""The lock of a journal: given back, broken, lost, and shared with Optuna's own."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock

from kerastuna.search.study import journal_lock
from kerastuna.search.study.journal import open_journal
from kerastuna.search.study.journal_lock import JournalLock
from kerastuna.search.study.liveness import this_worker

HOLDER = """
    import sys
    from pathlib import Path
    from kerastuna.search.study.journal import open_journal
    open_journal(Path(sys.argv[1]))._backend._lock.acquire()
    print("locked", flush=True)
    sys.stdin.readline()
    """


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of the journal."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal"
    optuna.create_study(storage=open_journal(path), study_name="s")
    return path


def write(path: Path) -> float:
    """Write to the journal; returns how many seconds it took."""
    began = time.monotonic()
    study = optuna.load_study(study_name="s", storage=open_journal(path))
    study.tell(study.ask(), 9.0)
    return time.monotonic() - began


@pytest.mark.parametrize("relative", [False, True])
def test_the_lock_of_a_killed_process_is_broken_at_once(
    relative: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # nobody has asked how it ended
        assert os.path.exists(f"{path}.lock")
        assert write(Path(path.name) if relative else path) < 5


@pytest.mark.parametrize("hides", [FileNotFoundError, PermissionError])
def test_the_lock_of_a_process_that_the_system_hides_is_waited_for(
    hides: type[OSError], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of another user, where `/proc` is mounted with hidepid."""
    with holder(path) as process:
        read, kill = Path.read_text, os.kill

        def hiding(file: Path, *arguments: Any, **named: Any) -> str:
            if str(file) == f"/proc/{process.pid}/stat":
                raise hides
            return read(file, *arguments, **named)

        def forbidding(pid: int, number: int) -> None:
            if pid == process.pid:
                raise PermissionError
            kill(pid, number)

        monkeypatch.setattr(Path, "read_text", hiding)
        monkeypatch.setattr(os, "kill", forbidding)
        waiting = threading.Thread(target=write, args=(path,))
        waiting.start()
        waiting.join(0.5)
        is_waiting = waiting.is_alive()
        monkeypatch.undo()
        process.kill()
        waiting.join()
        assert is_waiting


def test_the_lock_of_a_living_process_is_waited_for(path: Path) -> None:
    with holder(path) as process:
        waiting = threading.Thread(target=write, args=(path,))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        process.kill()
        waiting.join(20)
        assert not waiting.is_alive()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b"{}"])
def test_a_lock_that_does_not_say_whose_it_is_is_broken_in_time(
    content: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_lock, "GRACE_SECONDS", 0.5)
    Path(f"{path}.lock").write_bytes(content)
    assert 0.5 <= write(path) < 10


def test_the_lock_of_another_machine_is_broken_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_lock, "GRACE_SECONDS", 0.5)
    Path(f"{path}.lock").write_text(json.dumps(this_worker() | {"host": "elsewhere", "lock": "x"}))
    assert 0.5 <= write(path) < 10


def test_a_lock_that_an_interruption_left_to_this_process_is_broken_at_once(path: Path) -> None:
    storage = open_journal(path)
    lock: JournalLock = storage._backend._lock  # type: ignore[attr-defined]
    own = path.parent / "own"
    own.write_text(json.dumps({**this_worker(), "lock": lock._name}))
    assert lock._make(own)  # Ctrl-C before it was noted
    began = time.monotonic()
    optuna.load_study(study_name="s", storage=storage).ask()
    assert time.monotonic() - began < 5


class Interrupting:
    """Raises KeyboardInterrupt at the n-th event of a kind in a function of the lock, as a signal may."""

    def __init__(self, place: int) -> None:
        self._left = place
        self.raised = False

    def __call__(self, frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != journal_lock.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and not self.raised:
            self._left -= 1
            if self._left < 0:
                self.raised = True
                raise KeyboardInterrupt
        return self


def test_an_interruption_at_any_moment_leaves_no_lock_that_is_waited_for(path: Path) -> None:
    longest, place = 0.0, 0
    while True:
        interrupting, lock = Interrupting(place), JournalLock(path)
        sys.settrace(interrupting)
        try:
            lock.acquire()
            lock.release()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        if not interrupting.raised:
            break
        began = time.monotonic()
        lock.acquire()
        lock.release()
        longest = max(longest, time.monotonic() - began)
        Path(f"{path}.lock").unlink(missing_ok=True)  # interrupted while it was held: it is, until the process ends
        assert not list(path.parent.glob("*.lock*")), place
        place += 1
    assert place > 100
    assert longest < journal_lock.GRACE_SECONDS / 3


def test_what_a_killed_process_left_beside_the_lock_is_removed(path: Path) -> None:
    with holder(path) as process:
        process.kill()
    gone = json.loads(Path(f"{path}.lock").read_text())
    for name, pid in (("1-a", gone["pid"]), ("2-b", os.getpid())):
        Path(f"{path}.lock.{name}").write_text(json.dumps(this_worker() if pid == os.getpid() else gone))
    Path(f"{path}.lock.3-c").write_text("{")
    JournalLock(path)
    assert sorted(file.name for file in path.parent.glob("*.lock.*")) == ["journal.lock.2-b", "journal.lock.3-c"]


@pytest.mark.parametrize("number", sorted(journal_lock.NO_LINKS))
def test_a_file_system_without_hard_links_has_locks_too(
    number: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    lock, other = JournalLock(path), JournalLock(path)
    lock.acquire()
    waiting = threading.Thread(target=other.acquire)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    assert json.loads(Path(f"{path}.lock").read_text())["lock"] == lock._name
    lock.release()
    waiting.join(10)
    assert json.loads(Path(f"{path}.lock").read_text())["lock"] == other._name
    other._holder = (os.getpid(), threading.get_ident())
    other.release()


def test_a_lock_that_was_broken_meanwhile_is_left_to_its_new_holder(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """This process stood still for longer than the others wait."""
    lock = JournalLock(path)
    lock.acquire()
    Path(f"{path}.lock").unlink()
    lock.release()
    lock.acquire()
    Path(f"{path}.lock").unlink()
    other = JournalLock(path)
    other.acquire()
    lock.release()
    assert os.path.exists(f"{path}.lock")
    told = [record.getMessage() for record in caplog.records]
    assert told == 2 * [f"the lock of {path} was broken by another process, while this one stood still"]
    other.release()
    assert not os.path.exists(f"{path}.lock")
    assert len(caplog.records) == 2


def test_only_the_lock_that_was_found_stale_is_broken(path: Path) -> None:
    """Another process has broken it first, and holds a new one."""
    lock = JournalLock(path)
    Path(f"{path}.lock").write_text("{}")
    stale = journal_lock._state(Path(f"{path}.lock"))
    time.sleep(0.02)
    Path(f"{path}.lock").unlink()
    other = JournalLock(path)
    other.acquire()
    lock._break(stale, True)
    lock._break(journal_lock._state(Path(f"{path}.lock")), False)
    assert os.path.exists(f"{path}.lock")
    other.release()


def test_a_thread_acquires_it_again_and_others_wait(path: Path) -> None:
    lock = JournalLock(path)
    lock.acquire()
    lock.acquire()
    lock.release()
    assert os.path.exists(f"{path}.lock")
    done: list[int] = []
    thread = threading.Thread(target=lambda: (lock.acquire(), done.append(1), lock.release()))
    thread.start()
    thread.join(0.3)
    assert not done
    lock.release()
    thread.join(20)
    assert done
    assert not os.path.exists(f"{path}.lock")


def test_a_lock_that_cannot_be_named_holds_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk may have room for a name in a folder, and none for content."""

    def full(descriptor: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    lock = JournalLock(path)
    lock.acquire()
    assert Path(f"{path}.lock").read_bytes() == b""
    lock.release()
    assert not os.path.exists(f"{path}.lock")


@pytest.mark.parametrize("kind", [JournalFileSymlinkLock, JournalFileOpenLock])
def test_optunas_own_locks_and_this_one_keep_each_other_out(kind: type, path: Path) -> None:
    own, optunas = JournalLock(path), kind(str(path))
    for first, second in [(own, optunas), (optunas, own)]:
        first.acquire()
        thread = threading.Thread(target=lambda second=second: (second.acquire(), second.release()))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        first.release()
        thread.join(20)
        assert not thread.is_alive()
    plain = JournalStorage(JournalFileBackend(str(path)))
    optuna.load_study(study_name="s", storage=plain).ask()
    write(path)
