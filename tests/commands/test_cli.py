"""How the command ends: its status, one line for an error, and quick answers without heavy imports."""

import os
import signal
import subprocess
import sys
import textwrap
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kerastuna.search.commands.cli import COMMANDS, PRINTING, STOPPING
from kerastuna.search.errors import SearchFailed
from kerastuna.search.training.interruption import stop

HEAVY = ("tensorflow", "jax", "keras", "keras_tuner", "mlflow", "optuna")


def test_help_and_errors_import_nothing_heavy(tmp_path: Path) -> None:
    quick = [
        ["--help"],
        *([name, "--help"] for name in COMMANDS),
        ["search", "--data", "nope"],
        ["search", "--space", "no_such_module:Space"],
        ["search", "--budget", "0"],
        ["export", "--reference", "eip_9"],
        ["export", "--formats", "nope"],
        ["trials"],
        ["studies"],
        ["repair"],
        ["confirm"],
        ["describe", "eip_9"],
        ["ui"],
    ]
    program = f"""
        import sys
        from kerastuna.search.commands.cli import main
        for arguments in {quick!r}:
            try:
                status = main(arguments)
            except SystemExit as error:
                status = error.code
            assert status == (0 if arguments[-1] == "--help" else 2), (arguments, status)
            heavy = sorted(set({HEAVY!r}) & set(sys.modules))
            assert not heavy, f"{{arguments}} imported {{heavy}}"
    """
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(kerastuna: Any, command: str) -> None:
    status, out, err = kerastuna(*filter(None, [command]), "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: kerastuna {command}".strip())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["search", "--data", "nope"], "'nope'"),
        (["search", "--data", "gone.npz"], "'gone.npz'"),
        (["search", "--space", "nope"], "module:attribute"),
        (["search", "--space", "no_such_module:Space"], "no_such_module"),
        (["search", "--budget", "0"], "--budget 0"),
        (["search", "--trials", "-3"], "--trials -3"),
        (["search", "--epochs", "two"], "--epochs"),
        (["search", "--timeout", "0"], "--timeout 0"),
        (["search", "--seed", "-1"], "--seed -1"),
        (["search", "--device", "tpu"], "tpu"),
        (["search", "--profile", "huge"], "huge"),
        (["search", "--sampler", "nope"], "nope"),
        (["search", "--pruner", "nope"], "nope"),
        (["search", "--tri", "3"], "--tri"),
        (["search", "--max-macs", "3X"], "'3X' is not a whole number above 0"),
        (["search", "--max-macs", "0.0001K"], "'0.0001K' is not a whole number above 0"),
        (["search", "--max-ram", "K"], "'K' is not a whole number above 0"),
        (["search", "--pareto", "val_accuracy"], "--pareto val_accuracy"),
        (["search", "--minimize", "params"], "--reach"),
        (["search", "--minimize", "params", "--reach", "val_accuracy"], "METRIC=VALUE"),
        (["search", "--minimize", "params", "--reach", "val_accuracy=high"], "METRIC=VALUE"),
        (["trials"], "mlruns/optuna.journal"),
        (["studies"], "mlruns/optuna.journal"),
        (["describe"], "eip_1"),
        (["describe", "eip_9"], "'eip_9'"),
        (["describe", "eip_3", "--trial", "1"], "--trial"),
        (["confirm", "--seeds", "0"], "0"),
        (["ui", "--port", "0"], "--port 0"),
        (["ui"], "mlruns/mlflow.db"),
        (["nope"], "nope"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_argument_gets_one_line(kerastuna: Any, tmp_path: Path, arguments: list[str], told: str) -> None:
    status, out, err = kerastuna(*arguments)
    assert (status, out) == (2, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    any(map(os.path.exists, ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))), reason="there is a GPU driver"
)
def test_a_gpu_that_is_not_there_is_refused(kerastuna: Any) -> None:
    status, _, err = kerastuna("search", "--device", "gpu")
    assert status == 2
    assert "gpu" in err


@pytest.fixture
def studies_does(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Puts a function in place of the command `studies`."""

    def replace(function: Callable[[], int]) -> None:
        module = import_module("kerastuna.search.commands.studies")

        def studies(options: Namespace) -> int:
            return function()

        monkeypatch.setattr(module, "studies", studies)

    return replace


def test_the_error_decides_the_status(kerastuna: Any, studies_does: Any) -> None:
    def fail() -> int:
        raise SearchFailed("nothing\n  fits")

    studies_does(fail)
    assert kerastuna("studies") == (1, "", "kerastuna: nothing fits\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_says_how_to_go_on(kerastuna: Any, studies_does: Any, number: signal.Signals) -> None:
    def interrupted() -> int:
        signal.raise_signal(number)
        return 0

    studies_does(interrupted)
    status, out, err = kerastuna("studies", "--folder", "my runs")
    assert (status, out) == (130, "")
    assert err.endswith("To go on: kerastuna studies --folder 'my runs'\n")


def test_an_interrupted_benchmark_is_not_said_to_be_kept(kerastuna: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("kerastuna.search.commands.bench")

    def interrupted(options: Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "bench", interrupted)
    assert kerastuna("bench", "samplers", "--seeds", "2") == (
        130,
        "",
        "kerastuna: interrupted; what is kept, and how to go on, is up to the benchmark\n",
    )


@pytest.mark.parametrize("error", [SearchFailed, RuntimeError])
def test_what_somebody_made_of_an_interruption_is_one(
    kerastuna: Any, studies_does: Any, error: type[Exception]
) -> None:
    def interrupted() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise error("as TensorFlow does") from None
        return 0

    studies_does(interrupted)
    status, out, err = kerastuna("studies")
    assert (status, out) == (130, "")
    assert err.startswith("kerastuna: interrupted; nothing that was finished is lost.")


def test_a_signal_at_the_end_of_a_command_changes_nothing() -> None:
    program = """
        import atexit, os, signal, sys
        from kerastuna.search.commands import studies
        from kerastuna.search.commands.cli import run
        tell = lambda: os.kill(os.getpid(), signal.SIGTERM)
        class Telling:
            def write(self, text):
                tell()
                return sys.__stderr__.write(text)
            def flush(self):
                sys.__stderr__.flush()
        sys.stderr = Telling()
        atexit.register(tell)
        studies.studies = lambda options: tell()
        sys.argv = ["kerastuna", "studies"]
        run()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    told = "kerastuna: interrupted; nothing that was finished is lost. To go on: kerastuna studies\n"
    assert (ended.returncode, ended.stderr) == (130, told)


def test_a_command_that_waits_for_its_reader_can_be_interrupted() -> None:
    program = """
        import os, signal, sys
        from kerastuna.search.commands import studies
        from kerastuna.search.commands.cli import run
        class Waiting:
            def flush(self):
                os.kill(os.getpid(), signal.SIGTERM)
        sys.stdout = Waiting()
        studies.studies = lambda options: 0
        sys.argv = ["kerastuna", "studies"]
        run()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr.partition(";")[0]) == (130, "kerastuna: interrupted")


def test_a_command_called_by_a_program_leaves_its_handlers_of_signals(kerastuna: Any, studies_does: Any) -> None:
    def during() -> int:
        assert signal.getsignal(signal.SIGTERM) is stop
        return 0

    before = [signal.getsignal(number) for number in STOPPING]
    studies_does(during)
    assert kerastuna("studies")[0] == 0
    assert stop not in before
    assert [signal.getsignal(number) for number in STOPPING] == before


@pytest.mark.parametrize(("command", "status"), [("studies", 0), ("repair", 141)])
def test_a_reader_that_closes_the_pipe_is_no_error(command: str, status: int) -> None:
    assert (command in PRINTING) == (status == 0)
    program = """
        import sys
        from importlib import import_module
        from kerastuna.search.commands.cli import run
        def endless(options):
            while True:
                print("line")
        setattr(import_module("kerastuna.search.commands." + sys.argv[1]), sys.argv[1], endless)
        run()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "line\n"
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == ("", status)
    process.stderr.close()


def test_the_command_to_go_on_shows_no_password(kerastuna: Any, studies_does: Any) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    studies_does(interrupted)
    status, _, err = kerastuna("studies", "--storage=postgresql://me:hunter2@host/db", "--folder", "a b")
    assert status == 130
    assert err.endswith("To go on: kerastuna studies '--storage=postgresql://me:***@host/db' --folder 'a b'\n")


@pytest.mark.parametrize(
    ("variables", "storage", "told"),
    [
        ({}, "journal", "no route to postgresql://me:hunter2@host/db"),
        ({"DB_PASSWORD": "hunter2secret"}, "journal", "login with hunter2secret failed"),
        ({}, "postgresql://me:p%40ss%2Fword@host/db", "connect(password is p@ss/word)"),
    ],
)
def test_a_traceback_shows_no_password(
    variables: dict[str, str],
    storage: str,
    told: str,
    kerastuna: Any,
    studies_does: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> int:
        raise RuntimeError(told)

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    studies_does(fail)
    status, _, err = kerastuna("studies", "--storage", storage)
    assert status == 1
    assert "Traceback" in err
    assert "***" in err.splitlines()[-1]
    assert not any(secret in err.replace("fail", "") for secret in ("hunter2", "p@ss", "p%40ss"))


def test_another_pipe_that_breaks_is_an_error(kerastuna: Any, studies_does: Any) -> None:
    def fail() -> int:
        raise BrokenPipeError(32, "a worker's pipe")

    studies_does(fail)
    status, _, err = kerastuna("studies")
    assert status == 1
    assert err.splitlines()[-1] == "BrokenPipeError: [Errno 32] a worker's pipe"
