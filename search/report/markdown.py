"""Markdown for the model card: sections, tables, and text that cannot break them."""

from collections.abc import Iterable, Sequence
from typing import Any


def section(title: str, *paragraphs: str) -> str:
    """A heading of the second level with its paragraphs."""
    return "\n\n".join((f"## {title}", *paragraphs))


def facts(rows: Iterable[tuple[str, Any]]) -> str:
    """A table of names and values, with an empty header row."""
    return table(("", ""), rows, left=2)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """A table. The first `left` columns are aligned to the left, the others to the right."""
    rules = [":--" if place < left else "--:" for place in range(len(columns))]
    lines = [columns, rules, *([text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def text(value: Any) -> str:
    """`value` on one line, with Markdown's special characters escaped; "unknown" for None."""
    if value is None:
        return "unknown"
    line = " ".join(str(value).split())
    for sign in "\\|`<[]*":
        line = line.replace(sign, f"\\{sign}")
    return line


def code(language: str, lines: str) -> str:
    """A block of code."""
    return f"```{language}\n{lines}\n```"
