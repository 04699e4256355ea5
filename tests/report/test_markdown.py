"""Markdown for the model card."""

import pytest

from kerastuna.search.report.markdown import code, facts, section, table, text


def test_a_section_has_a_heading_and_its_paragraphs():
    assert section("Data", "One.", "Two.") == "## Data\n\nOne.\n\nTwo."


def test_a_table_aligns_its_first_columns_to_the_left():
    assert table(("trial", "mean"), [(1, 0.5), (2, None)]) == (
        "| trial | mean |\n| :-- | --: |\n| 1 | 0.5 |\n| 2 | unknown |"
    )
    assert facts([("name", "a|b")]) == "|  |  |\n| :-- | :-- |\n| name | a\\|b |"


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        (None, "unknown"),
        (12, "12"),
        ("two\n lines", "two lines"),
        ("a|b", "a\\|b"),
        ("<b>*x* [y] `z`", "\\<b>\\*x\\* \\[y\\] \\`z\\`"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_text_is_one_line_with_markdown_escaped(value: object, escaped: str):
    assert text(value) == escaped


def test_code_is_fenced_with_its_language():
    assert code("sh", "ls\npwd") == "```sh\nls\npwd\n```"
