"""Lines of text for people: on a terminal broken between words, elsewhere as long as they are."""

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

FARTHER = 4
"""By so many columns the rest of a broken line is indented."""


def show_line(out: Console, line: str) -> None:
    """Print `line`; what a terminal has no room for follows below, indented. A long word, such as an address, stays."""
    out.print(Text("\n".join(_broken(line, out.width)) if out.is_terminal else line), soft_wrap=True)


def show_commands(out: Console, commands: Sequence[tuple[str, str]]) -> None:
    """Print pairs of a command and what it does: beside each other, or below each other where there is no room."""
    width = max((len(command) for command, _ in commands), default=0)
    beside = not out.is_terminal or all(width + len(text) + 5 <= out.width for _, text in commands)
    for command, text in commands:
        if beside:
            show_line(out, f"  {command:<{width}}   {text}")
        else:
            out.print(Text(f"  {command}"), soft_wrap=True)  # can be copied as it is
            show_line(out, f"      {text}")


def _broken(line: str, width: int) -> list[str]:
    indent = len(line) - len(line.lstrip())
    rest = " " * (indent + FARTHER)
    return textwrap.wrap(
        line, max(width, len(rest) + 10), subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
