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
COMMAND = re.compile(r"^!\{python\} -m kerastuna (.*) 2>&1 \| cat$", flags=re.MULTILINE)


def program(notebook: Path) -> str:
    """The code cells of `notebook` as one program, in which `show` is given what a cell ends with."""
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert 0 < len(cells) <= 10
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"]] == []  # they are kept without
    parts = [SHOW]
    for cell in cells:
        tree = ast.parse(COMMAND.sub(_called, "".join(cell["source"])))
        if isinstance(last := tree.body[-1], ast.Expr):
            last.value = ast.Call(ast.Name("show"), [last.value], [])
        parts.append(ast.unparse(tree))
    return "\n".join(parts)


def _called(command: re.Match[str]) -> str:
    """A line for the shell as Python that runs the command in this process."""
    return (
        "from pathlib import Path; from support import call_kerastuna\n"
        f"print(call_kerastuna(Path.cwd(), *f{command[1]!r}.split()).stderr)"
    )


def told_by(name: str, folder: Path, *less: tuple[str, str], then: str = "") -> str:
    """What the notebook shows, with the second text of each of `less` for the first, and what `then` prints."""
    code = program(NOTEBOOKS / f"{name}.ipynb")
    for before, after in less:
        assert code.count(before) == 1, before
        code = code.replace(before, after)
    (folder / f"{name}.py").write_text(f"{code}\n{then}")
    return call_program(folder / f"{name}.py")


@pytest.fixture
def few_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images in place of MNIST."""
    few = write_slice(tmp_path / "mnist.npz")
    monkeypatch.setattr("kerastuna.search.datasets.resolve.EMBEDDED_MNIST", few)


def test_every_notebook_is_run_here() -> None:
    names = ["drop_in", "export", "front", "own_data", "search"]
    assert sorted(path.name for path in NOTEBOOKS.iterdir()) == [f"{name}.ipynb" for name in names]


@pytest.mark.usefixtures("few_images")
def test_a_search_shows_its_trials_and_figures(tmp_path: Path) -> None:
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


@pytest.mark.usefixtures("few_images")
def test_a_network_of_a_front_is_chosen_and_exported(tmp_path: Path) -> None:
    then = (
        "import json\n"
        "trials = [(trial.number, *trial.values) for trial in study.trials if trial.state.name == 'COMPLETE']\n"
        "print(json.dumps([trials, [int(n) for n in front['trial']], best - allowed, int(chosen.trial)]))"
    )
    told = told_by("front", tmp_path, ("max_trials=12", "max_trials=5"), ("images=1000", "images=200"), then=then)
    trials, front, least, chosen = json.loads(told.splitlines()[-1])
    assert len(trials) == 5
    assert all(params <= 10_000 for _, _, params in trials)
    not_beaten = {
        number
        for number, accuracy, params in trials
        if not any(a >= accuracy and p <= params and (a, p) != (accuracy, params) for _, a, p in trials)
    }
    assert set(front) == not_beaten
    assert chosen == min((params, number) for number, accuracy, params in trials if accuracy >= least)[1]
    assert '<img alt="pareto_front" src="data:image/png;base64,' in told
    assert told.count("<img") == 1
    manifest = json.loads((tmp_path / "export" / "chosen" / "manifest.json").read_text())
    assert set(manifest["formats"]) == {"litert_int8"}
    assert manifest["lineage"]["params"] == {number: params for number, _, params in trials}[chosen]


def test_own_images_a_space_and_a_table(tmp_path: Path) -> None:
    then = (
        "import json\n"
        "trials = [[trial.user_attrs for trial in t.oracle.study.trials] for t in (tuner, numbers)]\n"
        "print(json.dumps([[attrs['params'] for attrs in part if attrs.get('seconds')] for part in trials]))"
    )
    fewer = (("max_trials=6, budget=5000", "max_trials=3, budget=5000"), ("epochs=5", "epochs=2"))
    told = told_by(
        "own_data",
        tmp_path,
        *fewer,
        ("max_trials=6, budget=1000", "max_trials=3, budget=1000"),
        ("epochs=20", "epochs=3"),
        then=then,
    ).splitlines()
    assert told[0] == "(Classification(classes=10, one_hot=False, names=()), (8, 8, 1), 1350, 150)"
    counted = [int(line.split()[-2]) for line in told if line.endswith(" parameters")]
    assert counted == [1502, 11_946, 862, 14_890, 542, 20_394]
    [tested] = [ast.literal_eval(line) for line in told if line.startswith("{'")]
    assert 0.3 < tested["accuracy"] <= 1
    assert any(line.startswith("(Regression(numbers=1, names=('target',)), ('age', 'sex',") for line in told)
    simplest, best = ast.literal_eval(told[-2])
    assert 40 < simplest < 100  # the targets are from 25 to 346
    assert 0 < best < 250
    images, rows = json.loads(told[-1])
    assert len(images) == len(rows) == 3
    assert max(images) <= 5000
    assert max(rows) <= 1000


@pytest.mark.usefixtures("few_images")
def test_a_champion_is_confirmed_exported_and_run(tmp_path: Path) -> None:
    then = "import json\nprint(json.dumps([record['test'], float((from_int8 == from_keras).mean()), len(images)]))"
    told = told_by(
        "export",
        tmp_path,
        ("--images 2000", "--images 200"),
        ("--epochs 3", "--epochs 1"),
        ("'litert', ", ""),
        ("--trials 3", "--trials 1 --workers 1"),
        ("seeds=2", "seeds=1, device='cpu'"),
        then=then,
    )
    test, agreed, images = json.loads(told.splitlines()[-1])
    assert test["n"] == test["opening"] == 1
    assert images == 60
    assert agreed >= 0.9
    manifest = json.loads((tmp_path / "export" / "chip" / "manifest.json").read_text())
    assert set(manifest["formats"]) == {"keras", "litert_int8", "c_array", "c_program"}
    for name in ("model_int8.c", "c_program/main.c", "tflite_micro/main.cc"):
        assert f"'{name}'" in told
    assert "#define NETWORK_INPUTS 784\n" in told
