"""Arguments of the commands."""

from argparse import ArgumentTypeError

import pytest
from replay.arguments import at_least, refused


def test_whole_numbers_from_the_least_on() -> None:
    assert at_least(0)("0") == 0
    assert at_least(1)("12") == 12
    for text in ("0", "-3", "1.5", "x"):
        with pytest.raises(ArgumentTypeError, match=f"'{text}' is not a whole number of at least 1"):
            at_least(1)(text)


def test_an_error_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(ValueError("one\nor two")) == 2
    assert capsys.readouterr().err.count("\n") == 1
