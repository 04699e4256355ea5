"""docs/architecture.md shows the layers that import-linter checks, the packages that exist, and paths that exist."""

import re
import tomllib
from pathlib import Path

import pytest
from support import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
STEPS = "space -> proposal -> budget -> build -> train -> record -> confirm -> test once -> register -> export"


def drawn_layers() -> list[set[str]]:
    """The packages of every layer in the picture, from the top."""
    [picture] = re.findall(r"^```\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    layers: list[set[str]] = [set()]
    for line in picture.splitlines():
        if "┌" in line or "├" in line or "╞" in line:
            layers.append(set())
        elif row := re.match(r" *│([^│]*)│", line):
            layers[-1] |= set(row[1].split())
    return [layer for layer in layers if layer]


def contracts() -> dict[str, dict]:
    """The contracts of import-linter by their ids."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return {contract["id"]: contract for contract in listed}


def packages() -> set[str]:
    """The packages that exist: folders of search/ with modules, and modules that stand in it alone."""
    inside = (ROOT / "search").iterdir()
    return {path.stem for path in inside if path.suffix == ".py" or (path / "__init__.py").is_file()} - {"__init__"}


def table(header: str) -> list[list[str]]:
    """The rows of the table with that header, as cells."""
    lines = iter(PAGE.splitlines())
    assert header in lines
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[1:]


def test_the_picture_is_the_contract() -> None:
    contract = contracts()["layers-of-search"]
    layers = [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]
    assert drawn_layers() == [*layers, {"spaces"}]
    assert not any(":" in layer for layer in contract["layers"])  # ":" would allow imports within a layer
    assert contract["exhaustive"]


def test_the_packages_are_those_that_exist() -> None:
    drawn = [package for layer in drawn_layers() for package in layer]
    assert sorted(drawn) == sorted({*packages(), "spaces"})


def test_the_table_describes_every_package_from_the_top() -> None:
    rows = table("| Room | What is inside | Start reading at |")
    described = [name.strip("`") for name, _, _ in rows]
    assert sorted(described) == sorted(package for layer in drawn_layers() for package in layer)
    layer_of = {package: number for number, layer in enumerate(drawn_layers()) for package in layer}
    assert [layer_of[package] for package in described] == sorted(layer_of.values())
    for name, _, start in rows:
        package = name.strip("`")
        inside = "spaces/" if package == "spaces" else f"search/{package}"
        assert start.startswith(f"`{inside}"), start


def test_the_way_of_a_trial_has_all_steps_in_order() -> None:
    steps = table("| Step | What happens | Where |")
    assert " -> ".join(step for step, _, _ in steps) == STEPS
    assert [step for step, _, where in steps if not re.search(r"`\S+\.py`", where)] == []


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "data/README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))],
)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    folders = "|".join(["benchmarks", "data", "docs", "search", "spaces", "tests", r"\.ci"])
    named = set(re.findall(rf"`((?:{folders})/[^` ]*)", text)) | set(re.findall(r"`([\w.-]+\.(?:md|toml|txt))`", text))
    linked = {str(Path(page).parent / link) for link in re.findall(r"\]\((?!https?:)([^)#]+)", text)}
    assert named | linked
    assert sorted(path for path in named | linked if not (ROOT / path).exists()) == []
