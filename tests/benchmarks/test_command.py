"""What the commands of the benchmarks share."""

import signal
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from helpers.command import at_least, interrupted_once, refused, write_whole


def test_whole_numbers_from_the_least_on() -> None:
    assert at_least(0)("0") == 0
    assert at_least(1)("12") == 12
    for text in ("0", "-3", "1.5", "x"):
        with pytest.raises(ArgumentTypeError, match=f"'{text}' is not a whole number of at least 1"):
            at_least(1)(text)


def test_an_error_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(ValueError("one\nor two")) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    def write_half(new: Path) -> None:
        new.write_text("hal")
        raise KeyboardInterrupt

    path = tmp_path / "results.json"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, write_half)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [(path.name, "before")]
    write_whole(path, lambda new: new.write_text("something new"))
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [(path.name, "something new")]


def test_signals_that_follow_the_first_one_do_not_disturb_the_end() -> None:
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.getsignal(number) for number in numbers]
    for first in numbers:
        with interrupted_once():
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(first)
            for number in numbers:
                signal.raise_signal(number)
        assert [signal.getsignal(number) for number in numbers] == before
