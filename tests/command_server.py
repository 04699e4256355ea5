"""The command `kerastuna` in processes that begin within milliseconds: copies of one that has imported everything.

Importing Keras and MLflow takes a process many seconds, which would leave few kills for the time that tests have. The
server is a process of its own and trains nothing itself, so a copy of it finds TensorFlow as a new process does.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

MODULES = (
    *("kerastuna.search.commands.search", "kerastuna.search.commands.session", "kerastuna.search.commands.observers"),
    *(
        "kerastuna.search.commands.first_model",
        "kerastuna.search.champion.trainings",
        "kerastuna.search.report.figures",
    ),
    *("kerastuna.search.tuning.tuner", "kerastuna.search.report.study_report", "kerastuna.search.display.summary"),
    *("mlflow.tracking", "psycopg"),
    *("mlflow.store.tracking.sqlalchemy_store", "keras", "tensorflow", "kerastuna.search.study.journal"),
)


class Command:
    """A command that runs.

    Attributes:
        pid: of its process, which has a group of its own.
        output: what it printed, once it has ended.
    """

    def __init__(self, server: "CommandServer", pid: int, printed: Path) -> None:
        self._server, self.pid, self._printed = server, pid, printed
        self.status: int | None = None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, seconds: float = 120.0) -> int:
        """Its exit status, once it has ended: negative for a signal."""
        if self.status is None:
            self.status = self._server.ask("wait", self.pid, seconds)
            assert self.status is not None, f"it still runs after {seconds} s"
        return self.status

    @property
    def has_ended(self) -> bool:
        if self.status is None:
            self.status = self._server.ask("wait", self.pid, 0)
        return self.status is not None

    def wait_for_handlers(self) -> None:
        """Wait until it handles signals, if it does not end before."""
        hangup = 1 << (signal.SIGHUP - 1)
        while not self.has_ended:
            with suppress(FileNotFoundError, ProcessLookupError):
                lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
                if int(next(line.split()[1] for line in lines if line.startswith("SigCgt")), 16) & hangup:
                    return
            time.sleep(0.005)

    def wait_for(self, text: str) -> None:
        """Wait until it has printed this, if it does not end before."""
        while not self.has_ended and text not in self.output:
            time.sleep(0.02)

    @property
    def output(self) -> str:
        return self._printed.read_text(errors="replace")


class CommandServer:
    """Starts commands. A context manager: none of them is left when the block is left.

    Args:
        folder: in which they run.
        environment: of all of them, besides that of this process.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder, self._environment = folder, environment
        self._count = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=self._folder,
            env={**os.environ, **self._environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # the end of its input ends it, and what it started
        self._process.wait()

    def start(self, *arguments: str) -> Command:
        """Start a command."""
        self._count += 1
        printed = self._folder / f"output-{self._count}"
        return Command(self, self.ask("start", str(printed), arguments), printed)

    def ask(self, *message: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _begin(printed: str, arguments: Sequence[str]) -> int:
    """Begin the command in a copy of this process; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setpgid(0, 0)
        nothing, file = os.open(os.devnull, os.O_RDONLY), os.open(printed, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for descriptor, source in ((0, nothing), (1, file), (2, file)):
            os.dup2(source, descriptor)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
        sys.argv = ["kerastuna", *arguments]
        from kerastuna.search.commands.cli import run

        run()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(pid: int, seconds: float) -> int | None:
    """The exit status; None where the process still runs after that time."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.01)


def _serve() -> None:
    sys.path.insert(0, os.getcwd())  # of the user's space
    for module in MODULES:
        __import__(module)
    print("ready", flush=True)
    running: set[int] = set()
    for line in sys.stdin:
        kind, *values = json.loads(line)
        if kind == "start":
            running.add(answer := _begin(*values))
        elif (answer := _wait(*values)) is not None:
            running.discard(values[0])
        print(json.dumps(answer), flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _serve()
