"""The arguments of the command as values."""

from typing import Any

import pytest

from kerastuna.search.commands.parser import make_parser

COMMANDS = ("search", "confirm", "export", "trials", "studies", "repair", "describe", "ui", "bench")


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        (["--max-macs", "3M"], "max_macs", 3_000_000),
        (["--max-macs", "1.5k"], "max_macs", 1500),
        (["--max-macs", "3000000"], "max_macs", 3_000_000),
        (["--max-ram", "64K"], "max_ram", 65_536),
        (["--max-ram", "2m"], "max_ram", 2 * 1024**2),
        (["--max-ram", "65536"], "max_ram", 65_536),
        (["--pareto", "val_accuracy, params,ram"], "pareto", ("val_accuracy", "params", "ram")),
        (["--reach", "val_accuracy=0.994"], "reach", {"val_accuracy": 0.994}),
    ],
)
def test_what_is_given_is_read(given: list[str], name: str, value: Any):
    parser = make_parser(dict.fromkeys(COMMANDS, lambda options: 0))
    assert getattr(parser.parse_args(["search", *given]), name) == value
