"""Lines on a terminal and elsewhere."""

import io

from rich.console import Console

from kerastuna.search.display.lines import show_commands, show_line

LINE = "  validation 60.00 % over 2 fresh seeds, see models:/one@champion"


def shown(show, *given, width: int | None = None) -> list[str]:
    """The lines that `show` prints, on a terminal of `width` columns or to a file."""
    out = io.StringIO()
    show(Console(file=out, force_terminal=width is not None, width=width, color_system=None), *given)
    return out.getvalue().splitlines()


def test_a_terminal_breaks_a_line_between_words_and_indents_the_rest():
    assert shown(show_line, LINE, width=40) == [
        "  validation 60.00 % over 2 fresh seeds,",
        "      see models:/one@champion",
    ]
    assert shown(show_line, LINE, width=10)[-1].strip() == "models:/one@champion"


def test_a_file_gets_the_line_as_it_is():
    assert shown(show_line, LINE * 9) == [LINE * 9]


def test_text_is_shown_as_it_is():
    odd = "study a:rocket:b at 'ex[/a]' and [red]"
    assert shown(show_line, odd) == shown(show_line, odd, width=80) == [odd]
    assert shown(show_commands, [(odd, odd)]) == [f"  {odd}   {odd}"]
    assert shown(show_commands, [(odd, odd)], width=60) == [f"  {odd}", f"      {odd}"]


def test_commands_stand_beside_what_they_do_where_there_is_room():
    commands = [("kerastuna ui", "every trial"), ("kerastuna trials --study one", "this table [again]")]
    beside = ["  kerastuna ui                   every trial", "  kerastuna trials --study one   this table [again]"]
    assert shown(show_commands, commands) == shown(show_commands, commands, width=60) == beside
    assert shown(show_commands, commands, width=40) == [
        "  kerastuna ui",
        "      every trial",
        "  kerastuna trials --study one",
        "      this table [again]",
    ]
