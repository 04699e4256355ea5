"""Text for C: what a comment must not hold, numbers that are read back as they were, and rows of them."""

import numpy as np

from kerastuna.search.export.c_text import comment, real, rows


def test_a_comment_is_one_line_and_cannot_end_early() -> None:
    assert comment("of two\n  lines */ code /* more") == "of two lines * / code / * more"


def test_a_real_number_is_a_float_of_c_and_keeps_every_bit() -> None:
    for number in (0.0, 1.0, -3.0, 1 / 255, 1e-12, 3.4e38):
        text = real(number)
        assert text.endswith("f")
        assert "." in text or "e" in text  # 1f would be no number
        assert np.float32(text[:-1]) == np.float32(number)


def test_rows_are_of_whole_or_real_numbers() -> None:
    assert rows(np.array([[1, -2], [3, 127]], np.int8)) == "    1, -2, 3, 127,"
    assert rows(np.array([0.5, 1], np.float32)) == "    0.5f, 1.0f,"
    lines = rows(np.arange(45)).splitlines()
    assert [line.count(",") for line in lines] == [20, 20, 5]
