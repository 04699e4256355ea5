"""How the values of arguments are read. tests/commands/test_parser.py reads them from whole commands."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

import pytest

from kerastuna.search.commands.argument_values import MOST_REPEATS, amount_of, names, positive, seconds, target


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (positive, "7", 7),
        (positive, str(MOST_REPEATS), MOST_REPEATS),
        (amount_of(1000), "3M", 3_000_000),
        (amount_of(1024), "0.5k", 512),
        (seconds, "10m", 600.0),
        (seconds, "0.5h", 1800.0),
        (seconds, "600", 600.0),
        (names, "a, b", ("a", "b")),
        (target, "val_accuracy =0.99", {"val_accuracy": 0.99}),
    ],
)
def test_a_value_is_read(read: Callable[[str], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((positive, text) for text in ("0", "1.5", "x", str(MOST_REPEATS + 1))),
        *((amount_of(1000), text) for text in ("", "K", "0", "1.5", "2X", "1e308K")),
        *((seconds, text) for text in ("", "m", "2d")),
        *((target, text) for text in ("val_accuracy", "a=nan", "a=b")),
    ],
)
def test_anything_else_is_refused(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        read(text)
