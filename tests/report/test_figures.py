"""Figures are saved as files."""

import re
from base64 import b64decode

import matplotlib.style
import pytest
from study_samples import BUDGET, NAMES

from kerastuna.search import InputError
from kerastuna.search.report.figures import Figures, png
from kerastuna.search.report.study_report import study_figures
from kerastuna.search.report.style import heading, new_figure


def test_figures_are_saved_as_png(study, tmp_path):
    before = dict(matplotlib.rcParams)
    paths = study_figures(study, BUDGET).save(tmp_path / "report")
    assert {path.name for path in paths} == {f"{name}.png" for name in NAMES}
    assert all(path.read_bytes().startswith(b"\x89PNG\r\n") for path in paths)
    assert dict(matplotlib.rcParams) == before


def test_a_name_that_the_font_cannot_write_is_drawn_without_a_warning():
    figure = new_figure()
    heading(figure, "\N{CJK UNIFIED IDEOGRAPH-4E2D}")
    assert png(figure).startswith(b"\x89PNG\r\n")  # a warning would fail the test


def test_the_folder_is_created_and_figures_that_are_there_are_replaced(tmp_path):
    folder = tmp_path / "a" / "b"
    first, second = (Figures({"one": new_figure(height)}) for height in (2, 3))
    (path,) = first.save(folder)
    before = path.read_bytes()
    assert second.save(str(folder)) == [path] == [folder / "one.png"]
    assert path.read_bytes() != before
    assert first.left_out == {}


def test_another_style_of_the_process_changes_nothing(study):
    with matplotlib.style.context("default"):
        plain = {name: png(figure) for name, figure in study_figures(study, BUDGET).drawn.items()}
    with matplotlib.style.context("ggplot"):  # Optuna's own plots set it
        styled = {name: png(figure) for name, figure in study_figures(study, BUDGET).drawn.items()}
    assert styled == plain


def test_a_notebook_shows_the_figures_and_why_others_are_left_out():
    shown = Figures({"one": new_figure(), "two": new_figure()}, {"three": "fewer than <4> trials"})._repr_html_()
    pictures = re.findall(r'<img alt="(\w+)" src="data:image/png;base64,([^"]+)">', shown)
    assert [name for name, _ in pictures] == ["one", "two"]
    assert b64decode(pictures[0][1]).startswith(b"\x89PNG")
    assert "<li>three: fewer than &lt;4&gt; trials</li>" in shown
    assert "Left out" not in Figures({"one": new_figure()})._repr_html_()


def test_some_of_the_figures_alone():
    one = new_figure()
    figures = Figures({"one": one, "two": new_figure()}, {"three": "no trial", "four": "no trial"})
    assert figures.only("three", "one") == Figures({"one": one}, {"three": "no trial"})
    with pytest.raises(InputError, match="there is no figure 'five': choose among one, two, three, four"):
        figures.only("one", "five")
