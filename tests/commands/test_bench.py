"""`kerastuna bench`: runs a script of the checkout's benchmarks in a process of its own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from support import KERASTUNA, ROOT

from kerastuna.search.commands.bench import first_line, run_benchmark
from kerastuna.search.errors import InputError


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    """A folder with two benchmarks, and something that is none."""
    folder = tmp_path / "benchmarks"
    (folder / "helpers").mkdir(parents=True)
    (folder / "helpers" / "part.py").write_text('"""No benchmark."""')
    (folder / "second.py").write_text("import sys\nsys.exit(7)\n")
    (folder / "first.py").write_text(
        '"""What it measures.\n\nMore."""\nimport pathlib, sys\npathlib.Path("told").write_text(repr(sys.argv[1:]))\n'
    )
    return folder


def test_without_a_name_they_are_listed(benchmarks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_benchmark(benchmarks, None, []) == 0
    assert capsys.readouterr().out == "first   What it measures.\nsecond  \n"


def test_the_status_is_handed_on(benchmarks: Path) -> None:
    assert run_benchmark(benchmarks, "second", []) == 7


def test_a_signal_that_ended_it_is_told_as_a_shell_does(benchmarks: Path) -> None:
    (benchmarks / "killed.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert run_benchmark(benchmarks, "killed", []) == 128 + signal.SIGKILL


def test_arguments_are_handed_on(benchmarks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_benchmark(benchmarks, "first", ["--seeds", "2", "--help"]) == 0
    assert (tmp_path / "told").read_text() == "['--seeds', '2', '--help']"


def test_an_unknown_name_is_refused(benchmarks: Path) -> None:
    with pytest.raises(InputError, match=r"'part': choose one of first, second$"):
        run_benchmark(benchmarks, "part", [])


def test_where_there_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="source checkout"):
        run_benchmark(tmp_path / "benchmarks", "peers", [])


def test_the_command_lists_those_of_the_checkout(kerastuna: Any) -> None:
    status, out, err = kerastuna("bench")
    assert (status, err) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert listed == {path.stem: first_line(path) for path in (ROOT / "benchmarks").glob("*.py")}
    assert "KerasTuner" in listed["peers"]


def test_the_help_of_a_benchmark_is_its_own(tmp_path: Path) -> None:
    command = [str(KERASTUNA), "bench", "peers", "--help"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.startswith("usage: peers.py")


def test_a_benchmark_ends_with_its_command(benchmarks: Path, tmp_path: Path) -> None:
    (benchmarks / "endless.py").write_text(
        "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)\n"
    )
    program = f"""
        import sys
        from pathlib import Path
        from kerastuna.search.commands import bench
        from kerastuna.search.commands.cli import run
        bench.BENCHMARKS = Path({str(benchmarks)!r})
        sys.argv[1:] = ["bench", "endless"]
        run()
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path, stderr=subprocess.PIPE)
    pid = tmp_path / "pid"
    deadline = time.monotonic() + 30
    while not (pid.exists() and pid.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
