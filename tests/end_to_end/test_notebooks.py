"""The notebooks in docs/, cell by cell as programs, on less data: what a cell ends with is shown as a notebook does.

No kernel is started: KerasTuner imports IPython wherever it is installed, and every process of the tests would wait for
it.
"""

import ast
import json
import re
from pathlib import Path

import pytest
from support import ROOT, call_program, write_slice

NOTEBOOKS = ROOT / "docs" / "notebooks"
SHOW = """
def show(value):
    if value is not None:
        print(value._repr_html_() if hasattr(value, "_repr_html_") else value)
"""


def program(notebook: Path) -> str:
    """The code cells of `notebook` as one program, in which `show` is given what a cell ends with."""
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert 0 < len(cells) <= 4
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"]] == []  # they are kept without
    parts = [SHOW]
    for cell in cells:
        tree = ast.parse("".join(cell["source"]))
        if isinstance(last := tree.body[-1], ast.Expr):
            last.value = ast.Call(ast.Name("show"), [last.value], [])
        parts.append(ast.unparse(tree))
    return "\n".join(parts)


def told_by(name: str, folder: Path, less: tuple[str, str]) -> str:
    """What the notebook shows, with the second text of `less` in place of the first."""
    code = program(NOTEBOOKS / f"{name}.ipynb")
    assert code.count(less[0]) == 1
    (folder / f"{name}.py").write_text(code.replace(*less))
    return call_program(folder / f"{name}.py")


def test_every_notebook_is_run_here() -> None:
    assert sorted(path.name for path in NOTEBOOKS.iterdir()) == ["drop_in.ipynb", "search.ipynb"]


def test_a_search_shows_its_trials_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = write_slice(tmp_path / "mnist.npz")
    monkeypatch.setattr("kerastuna.search.datasets.resolve.EMBEDDED_MNIST", few)
    told = told_by("search", tmp_path, ("images=1000", "images=200"))
    assert told.startswith("((28, 28, 1), 10)\n")
    table, _, figures = told.partition("</table>")
    assert table.count("COMPLETE") + table.count("PRUNED") >= 3
    assert '<img alt="params_vs_accuracy" src="data:image/png;base64,' in figures


def test_a_build_function_is_searched_within_a_budget(tmp_path: Path) -> None:
    told = told_by("drop_in", tmp_path, ("epochs=3", "epochs=1"))
    assert 1 <= told.count("Score: ") <= 3  # one that was stopped early is not shown
    assert "Results in runs/drop_in" in told
    [total] = re.findall(r"Total params: ([\d,]+)", told)
    assert int(total.replace(",", "")) <= 5000
