"""Standard error is captured below Python, where C++ writes to it, and shown only when something failed."""

import os
import sys

import pytest

from kerastuna.search.captured_output import captured_stderr


def test_the_output_of_cpp_and_of_python_is_captured(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(2, "w", closefd=False) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)  # as it is outside pytest
        with captured_stderr() as captured:
            os.write(2, "Größe: ".encode() + b"\xff\n")  # as C++ does it, without Python's sys.stderr
            stderr.write("from Python")
    assert captured.getvalue() == "Größe: \N{REPLACEMENT CHARACTER}\nfrom Python"
    assert capfd.readouterr() == ("", "")


def test_standard_error_works_again_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with captured_stderr():
        os.write(2, b"hidden\n")
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"
    if descriptors is not None:
        assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_failure_shows_what_was_captured(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with captured_stderr():
            os.write(2, b"no such device\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert capfd.readouterr().err == "no such device\n"
